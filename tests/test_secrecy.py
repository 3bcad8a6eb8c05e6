"""What crossed a network, judged on frames made by hand: no traffic at all fails what says that some crossed."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.conftest import MAC, Checkout
from tunnelbed.checks import confidentiality
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.agents import Agents, Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe.packets import is_neighbour_discovery
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.probes import Ping
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

ASKS_FOR_NEIGHBOUR = Ether(dst=MAC) / ARP(psrc="192.0.2.1", pdst="192.0.2.2")
PING = Ether(dst=MAC) / IP(src="192.0.2.1", dst="192.0.2.2") / ICMP()


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


def recorded(bed: Bed, *packets: Packet) -> Recording:
    frames = [
        Frame("gateway", "outside", outgoing=True, hardware=ETHERNET, at=at, data=bytes(packet))
        for at, packet in enumerate(packets)
    ]
    return Recording(Agents(bed.engine, bed.project), {}, [Sighting(frame) for frame in frames])


def test_where_nothing_crossed_what_had_to_cross_failed(bed: Bed) -> None:
    network = bed.scenario.networks["outside"]
    with pytest.raises(Unmet) as unmet:
        confidentiality.crosses(bed, recorded(bed, ASKS_FOR_NEIGHBOUR), network, "ESP")
    assert (unmet.value.expected, unmet.value.seen) == ("ESP crosses outside", "nothing")
    with pytest.raises(Unmet) as unmet:
        confidentiality.only_crosses(bed, recorded(bed, ASKS_FOR_NEIGHBOUR), [network], ["ESP", "IKE"])
    assert (unmet.value.expected, unmet.value.seen) == ("only ESP and IKE cross outside", "nothing")


def test_what_crossed_instead_is_told(bed: Bed) -> None:
    network = bed.scenario.networks["outside"]
    with pytest.raises(Unmet) as unmet:
        confidentiality.crosses(bed, recorded(bed, PING, PING), network, "ESP")
    assert unmet.value.seen == "2 ICMP"


def test_where_nothing_crossed_no_text_was_kept_secret(bed: Bed) -> None:
    said = Ping()
    inside = Frame("client", "inside", outgoing=True, hardware=ETHERNET, at=0.0, data=bytes(PING / Raw(said.token)))
    seen = recorded(bed)
    seen.hear(inside)
    with pytest.raises(TunnelbedError, match="nothing was seen to cross outside"):
        confidentiality.text_is_unreadable(bed, seen, [said], [bed.scenario.networks["outside"]])


def test_where_nobody_asked_no_text_was_kept_secret(bed: Bed) -> None:
    with pytest.raises(BadInput, match="found none, expected a request among what was sent last"):
        confidentiality.text_is_unreadable(bed, recorded(bed, PING), [], [bed.scenario.networks["outside"]])


@pytest.mark.parametrize("said", ["TCP", "Esp", "UDP port", "TCP port 80 or more"])
def test_a_kind_that_no_packet_is_ever_called_is_refused(bed: Bed, said: str) -> None:
    network = bed.scenario.networks["outside"]
    for judge in (confidentiality.crosses, confidentiality.does_not_cross):
        with pytest.raises(BadInput, match=f"found {said}, expected ESP, ICMP, ICMPv6, IKE, TCP port N or UDP port N"):
            judge(bed, recorded(bed, PING), network, said)


@pytest.mark.parametrize(
    ("packet", "unwanted"),
    [
        (Ether(dst=MAC) / IP() / TCP(sport=40000, dport=8080), "TCP port 8080"),
        (Ether(dst=MAC) / IP() / TCP(sport=8080, dport=40000), "TCP port 8080"),
        (Ether(dst=MAC) / IPv6() / ICMPv6EchoRequest(), "ICMPv6"),
        (Ether(dst=MAC) / IPv6() / ICMPv6EchoRequest(), "ICMP"),
    ],
)
def test_what_must_not_cross_is_known_by_either_port_and_in_either_ip(bed: Bed, packet: Packet, unwanted: str) -> None:
    with pytest.raises(Unmet, match=f"expected: no {unwanted} crosses outside"):
        confidentiality.does_not_cross(bed, recorded(bed, packet), bed.scenario.networks["outside"], unwanted)


def report(*groups: str, hops: int = 1) -> Packet:
    """As a kernel tells its link which groups it listens to."""
    records = [ICMPv6MLDMultAddrRec(rtype=4, dst=group) for group in groups]
    return mld(ICMPv6MLReport2(records=records), hops)


def mld(said: Packet, hops: int = 1) -> Packet:
    alert = IPv6ExtHdrHopByHop(options=[RouterAlert()])
    return Ether(dst=MAC) / IPv6(src="fe80::1", dst="ff02::16", hlim=hops) / alert / said


@pytest.mark.parametrize(
    "packet",
    [
        report("ff02::1:ff00:2"),
        report("ff02::2", "ff05::2", "ff02::1:ffab:cdef"),
        mld(ICMPv6MLReport(mladdr="ff02::1:ff00:2")),
        mld(ICMPv6MLDone(mladdr="ff02::2")),
    ],
)
def test_that_a_node_listens_for_its_neighbours_is_neighbour_discovery(packet: Packet) -> None:
    assert is_neighbour_discovery(Ether(bytes(packet)))


@pytest.mark.parametrize(
    "packet",
    [
        report("ff02::1:ff00:2", "ff02::fb"),
        report("ff02::1:ff00:2", hops=64),
        report(),
        mld(ICMPv6MLReport(mladdr="ff02::fb")),
        mld(ICMPv6EchoRequest()),
    ],
)
def test_what_else_a_node_sends_its_link_is_none(packet: Packet) -> None:
    assert not is_neighbour_discovery(Ether(bytes(packet)))


def joined(checkout: Checkout, site: str = "") -> Bed:
    """A second gateway, of site b with the server behind it, meets the first one on the network outside."""
    services = checkout.stack["services"]
    services["server"]["labels"] = {"tunnelbed.role": "server", "tunnelbed.site": "b"}
    labels = {"tunnelbed.role": "gateway", **({"tunnelbed.site": site} if site else {})}
    services["other"] = {
        "image": "example/node",
        "labels": labels,
        "networks": {"outside": {"ipv4_address": "192.0.2.9"}},
    }
    checkout.write()
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


def test_a_forged_packet_is_given_to_the_gateway_that_guards_its_target(checkout: Checkout) -> None:
    bed = joined(checkout, "b")
    outside = bed.scenario.networks["outside"]
    guards = {
        name: confidentiality.gateway_on(bed, outside, bed.scenario.node(name)).name for name in ("server", "client")
    }
    assert guards == {"server": "other", "client": "gateway"}


def test_of_two_gateways_none_is_taken_for_the_target_s_by_chance(checkout: Checkout) -> None:
    bed = joined(checkout)
    with pytest.raises(BadInput, match=r"networks\.outside: found gateway, other, expected one gateway, or one of"):
        confidentiality.gateway_on(bed, bed.scenario.networks["outside"], bed.scenario.node("server"))
