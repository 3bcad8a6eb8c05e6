"""Refutations of the phrases of steps/settings.py."""

from __future__ import annotations

from tests.refutations import impossible, untrue
from tests.refutations.breaks import overlaid, set_to, told

ACCEPTS = "net.ipv4.conf.all.accept_redirects"
NO_IPV6 = "net.ipv6.conf.all.disable_ipv6"
AGAIN = "sets a tunnel up again"

REFUTATIONS = (
    untrue(
        f"the router has {ACCEPTS} = 0",
        broken=set_to("router", ACCEPTS, 1),
        expected=f"router has {ACCEPTS} = 0",
        seen="1",
    ),
    impossible(
        "the router has net.ipv4.conf.all.acept_redirects = 0",
        possible=f"the router has {ACCEPTS} = 0",
        says="Then: router: found net.ipv4.conf.all.acept_redirects, expected a sysctl *",
    ),
    untrue(
        "client A1 has no route beyond its own networks but a default route by gateway A",
        broken=told(
            "client-a1", "ip route add 10.2.0.0/16 via 10.1.0.4", undo="ip route delete 10.2.0.0/16 via 10.1.0.4"
        ),
        expected="client-a1 has no route beyond its own networks but a default route by gateway-a",
        seen="10.2.0.0/16 via 10.1.0.4",
    ),
    untrue(
        "client A1 has no route beyond its own networks but a default route by gateway A",
        broken=told("client-a1", "ip route delete default", undo="ip route add default via 10.1.0.2"),
        expected="client-a1 has no route beyond its own networks but a default route by gateway-a",
        seen="no default route of IPv4",
    ),
    untrue(
        "the router has no route beyond its own networks",
        broken=told("router", "ip route add 10.3.0.0/16 via 172.28.28.28", undo="ip route delete 10.3.0.0/16"),
        expected="router has no route beyond its own networks",
        seen="10.3.0.0/16 via 172.28.28.28",
    ),
    untrue(
        "no node has an IPv6 address on any network",
        broken=set_to("client-a2", NO_IPV6, 0),
        expected="every node has addresses of IPv4 only",
        seen="inet and inet6 on intranet_a of client-a2",
    ),
    untrue(
        "gateway A changes its IKE keys after 14400 s",
        broken=overlaid("gateway-a", of_connection="rekey_time = 0s"),
        expected="gateway-a changes its IKE keys after 14400 s",
        seen="cloud: never",
    ),
    untrue(
        "gateway A changes its ESP keys after 3600 s",
        broken=overlaid("gateway-a", of_child="rekey_time = 30d"),
        expected="gateway-a changes its ESP keys after 3600 s",
        seen="cloud: after 2592000 s",
    ),
    untrue(
        "gateway A asks a silent peer for a sign of life after 2 s",
        broken=overlaid("gateway-a", of_connection="dpd_delay = 0s"),
        expected="gateway-a asks a peer that is silent for a sign of life after 2 s",
        seen="cloud: never",
    ),
    untrue(
        f"gateway A {AGAIN} on demand where its peer is dead",
        broken=overlaid("gateway-a", of_child="dpd_action = clear"),
        expected=f"gateway-a {AGAIN} on demand where its peer is dead",
        seen="cloud: never",
    ),
    untrue(
        f"gateway A {AGAIN} on demand where its peer closes it",
        broken=overlaid("gateway-a", of_child="close_action = start"),
        expected=f"gateway-a {AGAIN} on demand where its peer closes it",
        seen="cloud: at once",
    ),
)
