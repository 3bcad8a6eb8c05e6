"""The clock of a node's VPN daemon, which can run fast while the daemon waits: scripts/node/clock."""

from __future__ import annotations

from tunnelbed.errors import CommandFailed, NodeFailed
from tunnelbed.host import waiting
from tunnelbed.vpn.api import Host

# A node's, which begins with how many nanoseconds its daemon's clock is ahead (scripts/node/clock).
FILE, NANOSECONDS = "/run/tunnelbed/clock", 1_000_000_000
# For how long an answer of a peer's is awaited at the machine's speed, before it is taken for lost. A round trip takes
# some 2 ms, and 50 ms on a busy machine.
ANSWER_SECONDS, BRIEF_ANSWER_SECONDS = 1.0, 0.2
# Parts that are shorter are for somebody who waits for what the daemon does about a peer that does not answer.
BRIEF = 10.0
# A packet that a daemon is to read, or a thread that is to run, may take so long.
SETTLE_SECONDS = 0.002
# In which a part of what shall pass must have passed; `Testbed` asks for parts that take about a second.
PART_SECONDS = 60.0


def pass_time(host: Host, seconds: float, pace: float) -> None:
    """Return when so much has passed for the daemon, up to `pace` times as fast as by the machine's clock."""
    answer = ANSWER_SECONDS if seconds >= BRIEF else BRIEF_ANSWER_SECONDS
    times = (f"{waiting.moved(answer):.3f}", f"{waiting.moved(SETTLE_SECONDS):.4f}")
    words = ("pass", f"{seconds:.3f}", f"{pace:.0f}", *times)
    _run(host, *words, timeout=waiting.stretched(PART_SECONDS))


def ahead(host: Host) -> float:
    """How many seconds the daemon's clock is ahead of the machine's; 0 where it has no clock of ours."""
    said = host.run(["od", "-A", "n", "-t", "d8", "-N", "8", FILE]).stdout.split()
    return int(said[0]) / NANOSECONDS if said else 0.0


def set_right(host: Host) -> None:
    """The daemon ends at once (SIGKILL); whatever runs it starts it again, by the machine's clock."""
    _run(host, "right")


def _run(host: Host, *words: str, timeout: float = PART_SECONDS) -> None:
    """Run `clock`. Raises `NodeFailed`."""
    try:
        host.run(["clock", *words], timeout=timeout, check=True)
    except CommandFailed as failed:
        advice = "take the image of this version (docs/time.md), and see `invoke logs`"
        raise NodeFailed(host.name, f"cannot let time pass: {failed.output.strip() or failed}", advice) from failed
