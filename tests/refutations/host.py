"""Refutations of the phrases of steps/host.py."""

from __future__ import annotations

from tests.refutations import untrue
from tests.refutations.breaks import EXTRA_LINK, given_more, machine_is

REFUTATIONS = (
    untrue(
        "the host has no route into the testbed",
        broken=machine_is("gateway-a"),
        expected="the host has no address in the testbed and no route into it",
        seen="*address 172.26.26.26/24 of isp_link_a; *route to 10.1.0.0/16 by intranet_a*",
    ),
    untrue(
        "the host's devices are not visible inside any node",
        broken=machine_is("gateway-a"),
        expected="gateway-a has a network stack of its own",
        seen="it has the host's",
    ),
    untrue(
        "client A1 has exactly its own networks",
        broken=EXTRA_LINK,
        expected="client-a1 has exactly intranet_a, lo",
        seen="internet_link, intranet_a, lo, other",
    ),
    untrue(
        "client A2 has exactly the capabilities its stack gives",
        broken=given_more("client-a2", "SYS_TIME"),
        expected="client-a2 has exactly NET_ADMIN, NET_RAW",
        seen="NET_ADMIN, NET_RAW, SYS_TIME",
    ),
    untrue(
        "client A2 is unprivileged",
        broken=given_more("client-a2", "SYS_ADMIN"),
        expected="client-a2 is unprivileged",
        seen="it has SYS_ADMIN",
    ),
)
