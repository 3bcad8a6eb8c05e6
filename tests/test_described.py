"""What `invoke describe` writes of two sites on the fake network: each sentence of it holds, and none is left out."""

from __future__ import annotations

from collections.abc import Callable

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed.checks.describe import describe

NAT = """table inet n { chain post {
    type nat hook postrouting priority 100; policy accept; oifname isp_link masquerade;
} }"""
MUTE = "table inet n { chain out { type filter hook output priority 0; policy drop; } }"


def nothing(network: FakeNetwork) -> None:
    del network


def described(pair: Pair, *ports: int, change: Callable[[FakeNetwork], None] = nothing) -> dict[str, list[str]]:
    """The description's sentences by the scenario that they stand in, and its comments by their headings."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        change(network)
        bed.patience = 2.0
        captures = bed.captures
        text = describe(bed, ports, lambda _: None)
        assert (bed.captures, bed.fail_fast) == (captures, False)
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        said = line.strip()
        if said.startswith("Scenario: ") or (said.startswith("# ") and said.endswith(":")):
            heading = said.removeprefix("Scenario: ").removeprefix("# ")
            found[heading] = []
        elif said.startswith(("Then ", "And ", "#   ")):
            found[heading].append(said.partition(" ")[2].strip())
    return found


REACHED, STOPPED = "Who reaches whom, and how", "Who does not reach whom"
UNSAID, DOUBTS = "No sentence says:", "Could not be judged:"


def test_two_sites_reach_each_other_through_their_tunnel_and_the_gateways_outside_it(pair: Pair) -> None:
    found = described(pair)
    assert found[REACHED] == [
        "gateway A can reach gateway B outside the tunnel",
        "gateway B can reach gateway A outside the tunnel",
        "gateway A can reach host A",
        "gateway B can reach host B",
        "host A can reach gateway A",
        "host B can reach gateway B",
        "gateway A can reach host B through the tunnel",
        "host A can reach host B through the tunnel",
        "gateway B can reach host A through the tunnel",
        "host B can reach host A through the tunnel",
    ]
    assert STOPPED not in found
    assert DOUBTS not in found


def test_what_gateways_agreed_is_said_with_what_it_protects(pair: Pair) -> None:
    assert described(pair)["What the tunnels are"] == [
        "gateway A has a tunnel with gateway B",
        'gateway A has a peer authenticated as "192.0.2.2"',
        "gateway A protects exactly 10.1.0.0/24 towards 10.2.0.0/24",
        "gateway B has a tunnel with gateway A",
        'gateway B has a peer authenticated as "192.0.2.1"',
        "gateway B protects exactly 10.2.0.0/24 towards 10.1.0.0/24",
        "the tunnels of every gateway use exactly IKE aes256gcm16-prfsha384-ecp384 and ESP aes256gcm16",
    ]


def test_what_nodes_are_is_said_of_all_that_are_alike(pair: Pair) -> None:
    pair.services["host-a"]["cap_drop"] = ["ALL"]
    found = described(pair)["What the nodes are"]
    assert any(said.startswith("every gateway has exactly the capabilities ") for said in found)
    assert any(said.startswith("host B has exactly the capabilities ") for said in found)
    assert not any(said.startswith("host A has exactly the capabilities ") for said in found)
    assert "gateway A has interfaces only in isp_link and intranet_a" in found
    assert "host A has interfaces only in intranet_a" in found
    assert "every host has addresses only of the IP versions its stack gives" in found
    assert found[-1] == "no two nodes have the same address"


def test_a_port_is_reached_where_it_is_served_and_passed_on_in_vain_where_not(pair: Pair) -> None:
    pair.services["host-b"]["command"] = ["pingpong", "serve"]
    found = described(pair, 8080)
    assert "host A can reach host B on TCP port 8080 through the tunnel" in found[REACHED]
    assert "gateway B can reach host B on TCP port 8080" in found[REACHED]
    assert "host B is let through to host A and not served on TCP port 8080" in found[UNSAID]
    assert not any("port 8080 outside the tunnel" in said for said in found[REACHED])


def test_who_is_seen_as_another_has_a_sentence_that_says_so(pair: Pair) -> None:
    pair.tunnel = False
    pair.batches["gateway-b"] = ["route replace blackhole 10.1.0.0/24"]
    found = described(pair, change=lambda network: network.nodes["gateway-a"].rules.read(NAT))
    assert found["Source addresses after NAT"] == [
        "host A reaches gateway B and is seen there as gateway A",
        "host A reaches host B and is seen there as gateway A",
    ]
    assert found[STOPPED] == ["gateway B cannot reach host A", "host B cannot reach host A"]


def test_who_is_reached_and_does_not_answer_is_neither_reached_nor_stopped(pair: Pair) -> None:
    found = described(pair, change=lambda network: network.nodes["host-b"].rules.read(MUTE))
    assert "host A is let through to host B and not served" in found[UNSAID]
    assert "host B cannot reach host A" in found[STOPPED]
    assert not any("host B" in said for said in found[REACHED])


def test_what_holds_by_one_ip_version_alone_is_said_of_that_one(pair: Pair) -> None:
    pair.tunnel = False
    for node, number in (("gateway-a", 1), ("host-a", 2)):
        pair.services[node]["networks"]["intranet_a"]["ipv6_address"] = f"2001:db8:a::{number}"
    pair.networks["intranet_a"]["ipam"]["config"].append({"subnet": "2001:db8:a::/64"})
    closed = "table inet n { chain in { type filter hook input priority 0; policy accept; meta nfproto ipv6 drop; } }"
    found = described(pair, change=lambda network: network.nodes["host-a"].rules.read(closed))
    assert "gateway A can reach host A by IPv4" in found[REACHED]
    # It comes to host A, whose own firewall drops it: no firewall between them stopped it.
    assert found[UNSAID] == ["gateway A is let through to host A and not served by IPv6"]
    assert "gateway B can reach host A" in found[REACHED]


def test_an_address_beside_those_of_the_stack_is_a_comment(pair: Pair) -> None:
    def ipv6_left_on(network: FakeNetwork) -> None:
        network.nodes["host-a"].sysctls["net.ipv6.conf.all.disable_ipv6"] = "0"

    found = described(pair, change=ipv6_left_on)
    (said,) = (said for said in found[UNSAID] if said.startswith("host-a "))
    assert said == "host-a has addresses of IPv4 on intranet_a: found IPv6, too"
    assert "host B has addresses only of the IP versions its stack gives" in found["What the nodes are"]


def test_a_pair_of_which_nothing_can_be_said_is_a_doubt_and_no_sentence(pair: Pair) -> None:
    def unseen(network: FakeNetwork) -> None:
        network.nodes["host-a"].rules.read(
            "table netdev u { chain out { type filter hook egress device intranet_a priority 0; policy drop; } }"
        )

    found = described(pair, change=unseen)
    unseen_pairs = [said.partition(": ")[0] for said in found[DOUBTS]]
    assert {"host-a to host-b", "host-a to gateway-a", "host-b to host-a"} <= set(unseen_pairs)
    assert all("last seen: ['intranet_a by gateway-a']" in said for said in found[DOUBTS])
    assert REACHED not in found
    assert STOPPED not in found
