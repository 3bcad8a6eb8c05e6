"""What charon writes into its log where no tunnel comes of it."""

from __future__ import annotations

import re

# By how much they explain; of the first that the log has, the last line counts. A notify is the peer's own reason
# (RFC 7296, 3.10.1); what is merely `failed` says no more than that there is no tunnel.
COMPLAINTS = (
    re.compile(
        r"received [A-Z_]+ (notify|error)|no acceptable|unacceptable|no (trusted|matching|shared|private) \w+"
        r"|mismatched|not responding|giving up after|no IKE config found|constraint check failed|is revoked"
    ),
    re.compile(r"\[IKE\].*retransmit \d+ of request"),
    re.compile(r"\[IKE\].*(failed|mismatch|not found|no \w+ found)"),
)
# No errors, though received as notifies.
HARMLESS = re.compile(r"INITIAL_CONTACT|AUTH_LFT|MOBIKE|ESP_TFC_PADDING|COOKIE notify")


def complaint(log: str) -> str:
    """Why charon could set up no tunnel, by its log, without the time; nothing if no line has a reason."""
    lines = log.splitlines()
    for pattern in COMPLAINTS:
        if found := [line for line in lines if pattern.search(line) and not HARMLESS.search(line)]:
            return re.sub(r"^\S+ \S+ ", "", found[-1])
    return ""
