"""Refutations of the phrases of steps/segments.py."""

from __future__ import annotations

from tests.refutations import untrue
from tests.refutations.breaks import same_mac, secluded, told

# Whatever comes to gateway A from its site goes on to the ISP, at layer 2.
LEAK = told(
    "gateway-a",
    "nft add table netdev leak",
    "nft 'add chain netdev leak inside { type filter hook ingress device intranet_a priority 0; }'",
    "nft add rule netdev leak inside dup to isp_link_a",
    undo="nft delete table netdev leak",
)

REFUTATIONS = (
    untrue(
        "a broadcast by client A1 on intranet_a is seen by every node there and nobody else",
        broken=secluded("client-a2", "intranet_a"),
        expected="a frame of client-a1 on intranet_a is seen by client-a2, gateway-a alone",
        seen="by gateway-a",
    ),
    untrue(
        "a broadcast by client A1 on intranet_a is seen by every node there and nobody else",
        broken=LEAK,
        expected="a frame of client-a1 on intranet_a is seen by client-a2, gateway-a alone",
        seen="by client-a2, gateway-a, router",
    ),
    untrue(
        "an LLDP frame by client A1 on intranet_a is seen by every node there and nobody else",
        broken=secluded("client-a2", "intranet_a"),
        expected="a frame of client-a1 on intranet_a is seen by client-a2, gateway-a alone",
        seen="by gateway-a",
    ),
    untrue(
        "every interface has a MAC of its own",
        broken=same_mac("client-b1", "client-a1"),
        expected="every interface has a MAC of its own",
        seen="* is that of client-a1 on intranet_a and of client-b1 on intranet_b",
    ),
)
