"""Traces of nftables: which decision they end with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from tests.conftest import Checkout
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair, dual
from tunnelbed.checks import firewall, source_checks
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, TunnelbedError
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


EARLY = "type filter hook prerouting priority -150; policy accept;"
BACK = f"table inet f {{ chain pre {{ {EARLY} fib saddr . iif oif missing drop; }} }}"
CLOSED = """table inet f {
    chain in { type filter hook input priority 0; policy accept; tcp dport 22 drop; }
    chain through { type filter hook forward priority 0; policy accept; }
}"""
OPEN = CLOSED.replace("tcp dport 22 drop;", "")


@contextmanager
def up(pair: Pair, **rules: str) -> Iterator[Bed]:
    """The pair, with rules of nft(8) on some of its nodes."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        bed.patience = 2.0
        for node, text in rules.items():
            network.nodes[node.replace("_", "-")].rules.read(text)
        yield bed


def test_a_source_that_cannot_come_from_there_is_refused_by_a_rule_or_is_not(pair: Pair) -> None:
    dual(pair)
    pair.services["gateway-a"]["sysctls"]["net.ipv4.conf.all.rp_filter"] = "1"
    names = ("gateway-a", "host-a")
    with up(pair, gateway_a=BACK) as bed:
        gateway, host = map(bed.scenario.node, names)
        source_checks.refuses_source(bed, gateway, host, bed.scenario.networks["isp_link"])
        with pytest.raises(BadInput, match="found none, expected a network on which gateway-a has a neighbour"):
            source_checks.refuses_source(bed, gateway, host, bed.scenario.networks["intranet_b"])
        with pytest.raises(BadInput, match="found no interface on it, expected one of: isp_link, intranet_a"):
            firewall.refuses_source(bed, gateway, host, bed.scenario.networks["intranet_b"])
    looked_at = "fib saddr . iif oif missing drop"
    fragments = BACK.replace(looked_at, f"exthdr frag exists accept; {looked_at}") + OPEN
    for rules in (OPEN, BACK.replace(looked_at, "drop"), fragments):
        with up(pair, gateway_a=rules) as bed:
            gateway, host = map(bed.scenario.node, names)
            # The kernel refuses it for IPv4; for IPv6 nobody does.
            with pytest.raises(Unmet) as failed:
                source_checks.refuses_source(bed, gateway, host, bed.scenario.networks["isp_link"])
        # Dropped for another reason, it proves nothing about its source.
        assert failed.value.expected == "gateway-a accepts no packet from host-a on isp_link"
        assert failed.value.seen.endswith(" was not dropped for its source address")
        assert failed.value.seen.startswith("a fragment") == (rules is fragments)


def test_a_source_of_another_ip_version_cannot_be_tried(pair: Pair) -> None:
    pair.services["host-b"]["networks"]["intranet_b"] = {"ipv6_address": "2001:db8:b::2"}
    pair.networks["intranet_b"]["ipam"]["config"].append({"subnet": "2001:db8:b::/64"})
    pair.batches["host-b"].clear()
    with up(pair) as bed:
        gateway, host = bed.scenario.node("gateway-a"), bed.scenario.node("host-b")
        with pytest.raises(BadInput, match="found no IP version that host-b has, expected one that both have"):
            source_checks.refuses_source(bed, gateway, host, bed.scenario.networks["isp_link"])


@pytest.mark.parametrize(("source", "verdict"), [("gateway-b", "drop"), ("host-a", "drop"), ("gateway-b", "accept")])
def test_a_gateway_s_firewall_decides_about_another_gateway_s_packets_and_a_host_s(
    pair: Pair, source: str, verdict: str
) -> None:
    with up(pair, gateway_a=CLOSED) as bed:
        gateway, sender = bed.scenario.node("gateway-a"), bed.scenario.node(source)
        kind, other = ("TCP port 22", "TCP port 23") if verdict == "drop" else ("TCP port 23", "TCP port 22")
        firewall.decides(bed, gateway, firewall.flows(bed, sender, gateway), [kind], verdict)
        with pytest.raises(Unmet) as failed:
            firewall.decides(bed, gateway, firewall.flows(bed, sender, gateway), [kind, other], verdict)
    assert failed.value.expected == f"the firewall of gateway-a {verdict}s {other} from {source} to gateway-a"
    assert failed.value.seen == {"drop": "accept", "accept": "drop"}[verdict]


def test_another_gateway_s_packet_that_only_passes_goes_by_the_next_hop(pair: Pair) -> None:
    pair.services["gateway-b"]["labels"].pop("tunnelbed.role")
    with up(pair, gateway_a=CLOSED) as bed:
        gateway, sender = bed.scenario.node("gateway-a"), bed.scenario.node("gateway-b")
        passing = firewall.flows(bed, sender, bed.scenario.node("host-a"))
        firewall.decides(bed, gateway, passing, ["TCP port 22"], "accept")


def test_what_never_comes_to_a_firewall_has_no_verdict(pair: Pair) -> None:
    with up(pair) as bed:
        gateway, hosts = bed.scenario.node("gateway-b"), [bed.scenario.node(name) for name in ("host-a", "gateway-a")]
        with pytest.raises(TunnelbedError, match="is not seen by the firewall of gateway-b: see the sender's routes"):
            firewall.decides(bed, gateway, firewall.flows(bed, *hosts), ["TCP port 22"], "drop")


def test_what_no_chain_decides_about_is_not_said_to_have_got_lost(pair: Pair) -> None:
    no_forward = "table inet f { chain in { type filter hook input priority 0; policy drop; } }"
    with up(pair, gateway_a=no_forward) as bed:
        hosts = bed.scenario.node("host-a"), bed.scenario.node("host-b")
        told = "arrives at gateway-a, and no chain of its firewall decides about it: see `nft list ruleset`"
        with pytest.raises(TunnelbedError, match=f"TCP port 22 from host-a to host-b {told}") as judged:
            firewall.decides(bed, bed.scenario.node("gateway-a"), firewall.flows(bed, *hosts), ["TCP port 22"], "drop")
    assert not isinstance(judged.value, Unmet)


def test_a_target_is_left_as_it_is_and_dropped_or_handed_on(pair: Pair) -> None:
    address = ip_address("192.0.2.1")
    hook = "type nat hook prerouting priority -100; policy accept;"
    away = f"table ip n {{ chain pre {{ {hook} tcp dport 22 dnat to 10.1.0.2; }} }}"
    for rules, seen in ((CLOSED, ""), (OPEN, "accept"), (OPEN + away, "dnat to 10.1.0.2")):
        with up(pair, gateway_a=rules) as bed:
            nodes = bed.scenario.node("gateway-a"), bed.scenario.node("host-b")
            if not seen:
                firewall.hands_nothing_on(bed, *nodes, address, ["TCP port 22"])
                continue
            with pytest.raises(Unmet) as failed:
                firewall.hands_nothing_on(bed, *nodes, address, ["TCP port 22"])
        assert failed.value.expected == "gateway-a does not redirect TCP port 22 from host-b to 192.0.2.1"
        assert seen in failed.value.seen
