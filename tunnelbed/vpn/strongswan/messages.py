"""What charon writes into its log, and what the kernel counts: the only module with these texts.

Sources: strongSwan's libcharon and libipsec (esp_packet.c, ipsec_processor.c); the kernel's xfrm_proc.rst.
"""

from __future__ import annotations

import re

from tunnelbed.vpn.api import Drop, Refusal

REFUSED = {
    Refusal.REVOKED: re.compile(r"certificate was revoked on"),
    Refusal.UNCHECKED: re.compile(r"RULE_CRL_VALIDATION is \w+, but requires at least GOOD"),
    Refusal.EXPIRED: re.compile(r"subject certificate invalid \(valid from"),
    Refusal.UNKNOWN_AUTHORITY: re.compile(r"no issuer certificate found for"),
    Refusal.UNKNOWN_IDENTITY: re.compile(r"no matching peer config found"),
    Refusal.NO_COMMON_PROPOSAL: re.compile(r"received proposals unacceptable|no acceptable proposal found"),
}
NOTIFIED = re.compile(r"received (\w+) (?:error|notify)")
DROPPED = {
    Drop.REPLAY: re.compile(r"ESP sequence number verification failed"),
    Drop.FORGERY: re.compile(r"ESP decryption or ICV verification failed"),
    Drop.NO_TUNNEL: re.compile(r"inbound ESP packet does not belong to an installed SA"),
}
# The same in /proc/net/xfrm_stat.
COUNTERS = {
    Drop.REPLAY: "XfrmInStateSeqError",
    Drop.FORGERY: "XfrmInStateProtoError",
    Drop.NO_TUNNEL: "XfrmInNoStates",
}
# `2026-11-24T06:01:15.730 10[IKE] <site-b|1> CHILD_SA site-b{3} established with SPIs ...`
ESTABLISHED = re.compile(
    r"^(?P<when>\d{4}-\d\d-\d\dT[\d:.]+) .*<(?P<connection>[^|>]+)\|\d+> CHILD_SA (?P<child>\S+)\{\d+\} established",
    re.MULTILINE,
)
# Each end writes it once the peer is authenticated, and a reauthentication is one more (RFC 7296, 2.8.3).
AUTHENTICATED = re.compile(r"IKE_SA \S+ established between")
# Each end writes it, whoever asked for the new keys.
RENEWED = {"IKE": re.compile(r"IKE_SA \S+ rekeyed between"), "ESP": re.compile(r"rekeyed CHILD_SA \S+ with SPIs")}
