"""Refutations of the phrases of steps/machines.py."""

from __future__ import annotations

from tests.refutations import untrue
from tests.refutations.breaks import EXTRA_LINK, given_more, told

REFUTATIONS = (
    untrue(
        "client A2 has exactly the capabilities NET_ADMIN and NET_RAW",
        broken=given_more("client-a2", "SYS_TIME"),
        expected="client-a2 has exactly the capabilities NET_ADMIN NET_RAW",
        seen="NET_ADMIN NET_RAW SYS_TIME",
    ),
    untrue(
        "client A1 has interfaces only in the intranet of site A",
        broken=EXTRA_LINK,
        expected="client-a1 has interfaces only in intranet_a",
        seen="in internet_link and intranet_a and other",
    ),
    untrue(
        "gateway A has interfaces only in the ISP link of site A and the intranet of site A",
        broken=told(
            "gateway-a", "ip link add internet_link type veth peer name other", undo="ip link delete internet_link"
        ),
        expected="gateway-a has interfaces only in intranet_a and isp_link_a",
        seen="in internet_link and intranet_a and isp_link_a and other",
    ),
    untrue(
        "client A1 has interfaces only in the intranet of site A",
        # No network of the scenario, by its name or otherwise: as a network of the engine's that leads out.
        broken=told("client-a1", "ip link add eth0 type veth peer name other", undo="ip link delete eth0"),
        expected="client-a1 has interfaces only in intranet_a",
        seen="in eth0 and intranet_a and other",
    ),
    untrue(
        "every client has addresses only of the IP versions its stack gives",
        broken=told(
            "client-a2",
            "ip address add 10.1.0.9/16 dev intranet_a",
            undo="ip address delete 10.1.0.9/16 dev intranet_a",
        ),
        expected="client-a2 has addresses of IPv6 on intranet_a",
        seen="IPv4, too",
        scenario="ipv6",
    ),
    untrue(
        "no two nodes have the same address",
        broken=told(
            "client-a2",
            "ip address add 10.1.0.3/16 dev intranet_a",
            undo="ip address delete 10.1.0.3/16 dev intranet_a",
        ),
        expected="every address belongs to one node",
        seen="10.1.0.3 on intranet_a belongs to client-a1 and client-a2",
    ),
    untrue(
        "the router accepts no packet from the Internet on the ISP link of site A",
        broken=told(
            "router",
            "ip route add 203.0.113.10/32 dev isp_link_a",
            undo="ip route delete 203.0.113.10/32 dev isp_link_a",
        ),
        expected="router accepts no packet from internet on isp_link_a",
        seen="*was not dropped for its source address",
    ),
)
