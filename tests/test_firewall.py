"""Traces of nftables: which decision they end with."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from tests.conftest import Checkout
from tunnelbed.checks import firewall
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput
from tunnelbed.observe import nftrace
from tunnelbed.observe.probes import PacketTooBig, Ping, TcpSyn
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

PACKET = 'trace id c0f4 inet filter forward packet: iif "in" oif "out" ip saddr 192.0.2.1 ip daddr 192.0.2.9'
DROPPED = """\
trace id c0f4 inet tunnelbed_trace arrives rule meta nftrace set 1 (verdict continue)
trace id c0f4 ip nat prerouting policy accept
trace id c0f4 inet filter forward policy drop
"""
ACCEPTED = """\
trace id 99aa ip nat prerouting policy accept
trace id 99aa inet filter forward rule tcp dport 8080 jump more (verdict jump more)
trace id 99aa inet filter more rule oifname "out" accept (verdict accept)
trace id 99aa ip nat postrouting policy accept
"""
LAST = ("inet filter forward", "ip nat postrouting")


def chains(*hooks: str) -> str:
    """What `nft -j list chains` says of base chains that are not called like their hooks, and of another chain."""
    based = [{"chain": {"family": "inet", "table": "mine", "name": f"my_{hook}", "hook": hook}} for hook in hooks]
    own = {"chain": {"family": "inet", "table": nftrace.TABLE, "name": "leaves", "hook": "output"}}
    return json.dumps({"nftables": [*based, own, {"chain": {"family": "inet", "table": "mine", "name": "more"}}]})


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        (("prerouting", "forward", "output"), {"inet mine my_forward", "inet mine my_output"}),
        (("output", "postrouting", "input"), {"inet mine my_postrouting", "inet mine my_input"}),
    ],
)
def test_the_last_word_is_told_by_a_chain_s_hook_whatever_its_name(hooks: tuple[str, ...], expected: set[str]) -> None:
    assert nftrace.ends(chains(*hooks)) == expected


@pytest.mark.parametrize(("subnet", "own", "expected"), [(16, "10.1.0.3", "10.1.0.4"), (30, "10.1.0.2", "10.1.0.1")])
def test_a_neighbour_has_an_address_of_the_subnet_that_is_nobody_s(
    checkout: Checkout, subnet: int, own: str, expected: str
) -> None:
    bed = small(checkout, subnet, own)
    assert (
        str(firewall.flows(bed, bed.scenario.node("client"), bed.scenario.node("server"), forged=True)[0].sender)
        == expected
    )


def test_where_every_address_is_taken_there_is_no_neighbour(checkout: Checkout) -> None:
    bed = small(checkout, 31, "10.1.0.1")
    with pytest.raises(BadInput, match=r"10\.1\.0\.0/31: found all taken, expected an address that no node has"):
        firewall.flows(bed, bed.scenario.node("client"), bed.scenario.node("server"), forged=True)


def small(checkout: Checkout, subnet: int, own: str) -> Bed:
    """A client with this address, alone in a subnet of this size."""
    networks, services = checkout.stack["networks"], checkout.stack["services"]
    networks["inside"]["ipam"] = {"config": [{"subnet": f"10.1.0.0/{subnet}"}]}
    del services["gateway"]["networks"]["inside"]
    services["client"]["networks"]["inside"]["ipv4_address"] = own
    checkout.write()
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


def test_a_packet_that_a_chain_s_policy_drops_is_dropped() -> None:
    trace = nftrace.decisions([PACKET, *DROPPED.splitlines()], LAST)
    assert trace == ["ip nat prerouting policy accept", "inet filter forward policy drop"]
    assert nftrace.decision(trace) == "drop"


def test_a_packet_is_accepted_by_whoever_decides_last() -> None:
    trace = nftrace.decisions(ACCEPTED.splitlines(), LAST)
    assert nftrace.decision(trace) == "accept"
    assert trace[-1] == "ip nat postrouting policy accept"


def test_nothing_is_decided_before_a_packet_is_on_its_way() -> None:
    assert nftrace.decisions(ACCEPTED.splitlines()[:1], LAST) == ()
    assert nftrace.decisions(ACCEPTED.splitlines()[:2], LAST) == ()
    assert nftrace.decision([]) == ""


def test_the_traces_of_two_packets_are_kept_apart() -> None:
    mixed = [line for pair in zip(DROPPED.splitlines(), ACCEPTED.splitlines(), strict=False) for line in pair]
    assert nftrace.decision(nftrace.decisions(mixed, LAST)) == "drop"


def test_a_packet_traced_before_is_not_taken_for_the_next() -> None:
    assert nftrace.decisions(DROPPED.splitlines(), LAST, {"c0f4"}) == ()
    later = nftrace.decisions([*DROPPED.splitlines(), *ACCEPTED.splitlines()], LAST, {"c0f4"})
    assert nftrace.decision(later) == "accept"


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        ("ICMP", "1 @th,64,128"),
        ("ESP", "50 @th,64,128"),
        ("TCP port 80", "tcp @th,32,32"),
        ("UDP port 9", "udp @th,64,128"),
    ],
)
def test_a_packet_is_traced_by_its_addresses_protocol_and_mark(kind: str, protocol: str) -> None:
    probe = firewall.probe_of(kind)
    packet = probe.packet(ip_address("192.0.2.1"), ip_address("192.0.2.9"))
    mark = f"{probe.number:08x}" if isinstance(probe, TcpSyn) else probe.token.hex()  # type: ignore[attr-defined]
    addresses = "ip saddr 192.0.2.1 ip daddr 192.0.2.9"
    assert firewall._match(packet, probe) == f"{addresses} meta l4proto {protocol} 0x{mark}"


def test_ipv6_is_traced_as_such() -> None:
    probe = firewall.probe_of("ICMP")
    packet = probe.packet(ip_address("2001:db8::1"), ip_address("2001:db8::9"))
    expected = "ip6 saddr 2001:db8::1 ip6 daddr 2001:db8::9 meta l4proto 58 "
    assert firewall._match(packet, probe).startswith(expected)


def test_an_error_is_traced_as_any_icmp_between_these_addresses() -> None:
    ends = ip_address("192.0.2.1"), ip_address("192.0.2.9")
    probe = PacketTooBig(Ping().packet(*ends))
    match = firewall._match(probe.packet(*ends), probe)
    assert match == "ip saddr 192.0.2.1 ip daddr 192.0.2.9 meta l4proto 1"


def test_a_datagram_comes_from_ike_s_port() -> None:
    packet = firewall.probe_of("UDP port 53").packet(ip_address("192.0.2.1"), ip_address("192.0.2.9"))
    assert (packet.sport, packet.dport) == (500, 53)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("ICMP", "ping"), ("TCP port 80", "TCP port 80"), ("UDP port 9", "UDP port 9"), ("ESP", "ESP")],
)
def test_a_kind_of_packet_is_made_for_its_name(kind: str, name: str) -> None:
    assert firewall.probe_of(kind).name == name


@pytest.mark.parametrize("kind", ["TCP", "ICMP port 8", "IKE", "ESP port 1", ""])
def test_a_kind_that_cannot_be_sent_is_answered_with_those_that_can(kind: str) -> None:
    with pytest.raises(BadInput, match="ESP, ICMP, TCP port N or UDP port N"):
        firewall.probe_of(kind)
