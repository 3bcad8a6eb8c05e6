"""A sentence that does not hold is explained by the packet's own path where that shows the cause, else by another's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed.checks import packet_trace, reachability
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput
from tunnelbed.observe.evidence import PacketPath
from tunnelbed.observe.probes import Ping
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology.compose_file import load

HOME = Path(__file__).parents[1]


def path_of_failure(bed: Bed, source: str, target: str) -> tuple[Unmet, PacketPath]:
    bed.patience = 2.0
    nodes = bed.scenario.node(source), bed.scenario.node(target)
    with pytest.raises(Unmet) as raised, packet_trace.explained(bed, *nodes):
        reachability.reaches(bed, *nodes, Ping())
    first = raised.value.evidence[0]
    assert isinstance(first, PacketPath)
    return raised.value, first


def test_a_neighbour_that_is_not_there_is_seen_on_the_packet_s_own_path(tmp_path: Path) -> None:
    with brought_up(load("site-to-site", HOME), tmp_path) as (bed, _):
        bed.node("client-a2").run(["ip", "link", "set", "intranet_a", "down"], check=True)
        bed.absent.add(("client-a2", "intranet_a"))
        failed, path = path_of_failure(bed, "client-a1", "client-a2")
    assert path.traced is False
    assert path.cause.startswith("client-a1 asks on intranet_a who has 10.1.0.4: no answer")
    assert f"cause:    {path.cause}\npath of the packet:\n" in str(failed)


def test_a_rule_that_drops_it_is_found_by_one_more_packet(tmp_path: Path) -> None:
    with brought_up(load("site-to-site", HOME), tmp_path) as (bed, _):
        rule = "insert rule inet filter forward icmp type echo-request drop"
        bed.node("gateway-a").run(["nft", *rule.split()], check=True)
        failed, path = path_of_failure(bed, "client-a1", "server-s1")
    assert path.traced is True
    assert path.cause == "dropped by the firewall of gateway-a: inet filter forward: icmp type echo-request drop"
    assert "path of another such packet:\n" in str(failed)


def test_a_refusal_by_the_sender_s_kernel_is_told(tmp_path: Path) -> None:
    with brought_up(load("site-to-site", HOME), tmp_path) as (bed, _):
        bed.node("client-a1").run(["ip", "route", "del", "default"], check=True)
        failed, path = path_of_failure(bed, "client-a1", "server-s1")
    assert failed.seen.startswith("no answer; client-a1 does not send it: ")
    assert path.cause.startswith("client-a1 does not send it: ")


def traced(pair: Pair, change: Callable[[FakeNetwork], None], to: str = "host-b") -> PacketPath:
    """The path of a ping from host A, once something is changed."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        bed.patience = 2.0
        change(network)
        return packet_trace.trace(bed, packet_trace.asked(bed, "host-a", to))


def test_a_packet_that_leaves_its_gateway_by_a_tunnel_is_answered(pair: Pair) -> None:
    path = traced(pair, lambda _: None)
    assert path.answered
    assert path.cause == ""
    assert path.outcome.startswith("answered after ")
    assert "on isp_link" in path.outcome


def test_a_gateway_without_a_tunnel_is_named_with_what_its_vpn_logged(pair: Pair) -> None:
    def other_keys(network: FakeNetwork) -> None:
        charon = network.charons["gateway-b"]
        found = charon.connections["peer"]
        charon.connections = {"peer": replace(found, proposals=("aes128-sha256-ecp256",))}

    path = traced(pair, other_keys)
    assert path.cause.startswith("gateway-a has no tunnel, its VPN logged: ")
    assert "received NO_PROPOSAL_CHOSEN notify error; last seen leaving gateway-a by ipsec0" in path.cause


def with_more_selectors(network: FakeNetwork) -> None:
    """Gateway A has a tunnel, and asks for another network, too, which its peer does not grant."""
    charon = network.charons["gateway-a"]
    charon.initiate("peer", "sites")
    network.move()
    found = charon.connections["peer"]
    (child,) = found.children
    more = replace(child, name="more", remote=(ip_network("10.3.0.0/24"),))
    charon.connections = {"peer": replace(found, children=(child, more))}


def test_a_gateway_without_a_tunnel_for_these_addresses_says_for_which(pair: Pair) -> None:
    path = traced(pair, with_more_selectors, "10.3.0.9")
    assert path.cause.startswith("gateway-a has no tunnel for 10.1.0.2 > 10.3.0.9")


def test_a_tunnel_s_gateway_lacks_none_for_what_it_never_tunnels(pair: Pair) -> None:
    pair.batches["gateway-b"].append("route replace blackhole 10.9.0.0/24")
    path = traced(pair, with_more_selectors, "10.9.0.9")
    assert "no tunnel" not in path.cause
    assert path.cause.startswith("gateway-b answers: ")


def test_what_is_sent_to_its_own_sender_or_by_no_version_of_it_cannot_be_asked(pair: Pair) -> None:
    with brought_up(pair.load(), pair.root) as (bed, _):
        with pytest.raises(BadInput, match="another node than --from"):
            packet_trace.asked(bed, "host-a", "host-a")
        with pytest.raises(BadInput, match="an IP version that host-a has"):
            packet_trace.asked(bed, "host-a", "2001:db8::1")
        with pytest.raises(BadInput, match="--size"):
            packet_trace.asked(bed, "host-a", "host-b", size=1)
        wanted = packet_trace.asked(bed, "host-a", "host-b", size=900)
        path = packet_trace.trace(bed, wanted)
    assert path.answered
    # IP's and ICMP's header, and what fills the packet.
    assert wanted.size == 900


def test_a_failure_whose_packet_has_a_plain_cause_needs_no_other(pair: Pair) -> None:
    with brought_up(pair.load(), pair.root) as (bed, network):
        bed.patience = 2.0
        network.charons["gateway-b"].connections = {}
        hosts = bed.scenario.node("host-a"), bed.scenario.node("host-b")
        with pytest.raises(Unmet) as raised, packet_trace.explained(bed, *hosts):
            reachability.reaches(bed, *hosts, Ping())
        path = raised.value.evidence[0]
        assert isinstance(path, PacketPath)
        assert path.traced is False
        assert path.cause.startswith("gateway-a has no tunnel, its VPN logged: ")
        # Of what no address can be sent to, it is told as it was.
        failed = Unmet("it holds", "it does not")
        with pytest.raises(Unmet) as raised, packet_trace.explained(bed, hosts[0], ip_address("2001:db8::1")):
            raise failed
    assert raised.value is failed
