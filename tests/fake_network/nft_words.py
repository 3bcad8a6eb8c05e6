"""The words that nft has for numbers, and whether a packet's field is what one means."""

from __future__ import annotations

import ipaddress

NUMBERS = {"esp": 50, "icmp": 1, "icmpv6": 58, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "ipv4": 4, "ipv6": 6}
TYPES = {
    "echo-request": (8, 128),
    "echo-reply": (0, 129),
    "destination-unreachable": (3, 1),
    "redirect": (5, 137),
    "time-exceeded": (11, 3),
    "packet-too-big": (-1, 2),
    "nd-redirect": (-1, 137),
    "nd-router-solicit": (-1, 133),
    "nd-router-advert": (-1, 134),
    "nd-neighbor-solicit": (-1, 135),
    "nd-neighbor-advert": (-1, 136),
    "frag-needed": (4, -1),
    "syn": (2, 2),
}


def same(found: object, wanted: str) -> bool:
    """Whether a field has a value, in nft's words for it."""
    if isinstance(found, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return found in ipaddress.ip_network(wanted)
    if isinstance(found, int):
        if wanted in TYPES:
            return found in TYPES[wanted]
        return found == (NUMBERS[wanted] if wanted in NUMBERS else int(wanted, 0))
    return str(found) == wanted
