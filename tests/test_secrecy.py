"""What crossed a network, judged on frames made by hand: no traffic at all fails what says that some crossed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
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
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.packet import Packet, Raw

from tests.conftest import MAC, Checkout
from tests.fake_charon import tunnel
from tests.fake_network import FakeNetwork
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair, service
from tests.fake_network.stack import FakeNode
from tunnelbed.checks import confidentiality
from tunnelbed.checks.application import Request
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.agents import Agents, Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe.packets import is_neighbour_discovery
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.probes import Ping
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.daemons import Daemons
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Tunnel

ASKS_FOR_NEIGHBOUR = Ether(dst=MAC) / ARP(psrc="192.0.2.1", pdst="192.0.2.2")
PING = Ether(dst=MAC) / IP(src="192.0.2.1", dst="192.0.2.2") / ICMP()


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    checkout.configure("gateway/swanctl.conf", "")
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


def tunnels_of(monkeypatch: pytest.MonkeyPatch, *found: Tunnel) -> None:
    """What every gateway's daemon lists."""

    def tunnels(daemons: Daemons, _: Node) -> tuple[Tunnel, ...]:
        daemons.remember(found)
        return found

    monkeypatch.setattr(Daemons, "tunnels", tunnels)


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
    with pytest.raises(TunnelbedError, match="no packet crossed outside"):
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


def in_udp(data: bytes) -> Packet:
    return Ether(dst=MAC) / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4500, dport=4500) / Raw(data)


SPI = 0xC0000001
IKE = b"\x01" * 16 + bytes([46, 0x20, 37, 8]) + b"\0" * 4 + (40).to_bytes(4, "big") + b"\0" * 12


@pytest.mark.parametrize(
    ("packet", "is_one"),
    [
        (in_udp(SPI.to_bytes(4, "big") + b"\0\0\0\1" + b"\x99" * 40), True),
        (in_udp(b"\0\0\0\0" + IKE), True),
        (in_udp(b"\xff"), True),
        # Nobody's ESP, no header of IKE, and too little for either.
        (in_udp(b"clear text that calls itself ESP"), False),
        (in_udp(b"\0\0\0\0clear text that calls itself IKE, and is long enough"), False),
        (in_udp(b"text"), False),
        (Ether(dst=MAC) / IP() / UDP(sport=500, dport=500) / Raw(b"clear text that calls itself IKE"), False),
    ],
)
def test_what_is_sent_to_ike_s_ports_is_what_it_is(
    bed: Bed, packet: Packet, monkeypatch: pytest.MonkeyPatch, *, is_one: bool
) -> None:
    tunnels_of(monkeypatch, tunnel(SPI, SPI + 1))
    esp = Ether(dst=MAC) / IP(src="192.0.2.1", dst="192.0.2.2") / ESP(spi=SPI, seq=1, data=b"\x99" * 40)
    network = bed.scenario.networks["outside"]
    if is_one:
        confidentiality.only_crosses(bed, recorded(bed, esp, packet), [network], ["ESP", "IKE"])
        return
    with pytest.raises(Unmet, match=r"seen: +UDP port"):
        confidentiality.only_crosses(bed, recorded(bed, esp, packet), [network], ["ESP", "IKE"])


def test_signs_of_life_alone_are_no_traffic_that_crossed(bed: Bed) -> None:
    network = bed.scenario.networks["outside"]
    with pytest.raises(Unmet) as unmet:
        confidentiality.only_crosses(bed, recorded(bed, in_udp(b"\0\0\0\0" + IKE)), [network], ["ESP", "IKE"])
    assert unmet.value.seen == "nothing"


def test_addresses_from_inside_are_looked_for_inside_esp_too(bed: Bed) -> None:
    inner = bytes(IP(src="10.1.0.3", dst="192.0.2.2") / ICMP())
    esp = Ether(dst=MAC) / IP(src="192.0.2.1", dst="192.0.2.2") / ESP(spi=SPI, seq=1, data=inner)
    with pytest.raises(Unmet, match="no address from inside a site is seen on outside"):
        confidentiality.no_inside_address_is_seen(bed, recorded(bed, esp), [bed.scenario.nodes["client"]])


BETWEEN = IP(src="192.0.2.1", dst="192.0.2.2")
INNER = IP(src="10.1.0.3", dst="198.51.100.7") / ICMP()


@pytest.mark.parametrize("plain", [BETWEEN / INNER, BETWEEN / GRE(proto=0x0800) / INNER], ids=["IP in IP", "GRE"])
def test_addresses_from_inside_are_looked_for_in_tunnels_that_seal_nothing(bed: Bed, plain: Packet) -> None:
    seen = recorded(bed, Ether(dst=MAC) / plain)
    with pytest.raises(Unmet, match="no address from inside a site is seen on outside"):
        confidentiality.no_inside_address_is_seen(bed, seen, [bed.scenario.nodes["client"]])


def test_what_moves_by_itself_proves_nothing_about_private_addresses(bed: Bed) -> None:
    def at(node: str, packet: Packet) -> Sighting:
        return Sighting(Frame(node, "inside", outgoing=True, hardware=ETHERNET, at=0.0, data=bytes(packet)))

    client, server = bed.scenario.nodes["client"], bed.scenario.nodes["server"]
    seen = recorded(bed, PING)
    seen.heard.append(at("client", Ether(dst=MAC) / ARP(psrc="10.1.0.3", pdst="10.1.0.2")))
    for acting in (client, server):
        with pytest.raises(TunnelbedError, match="nothing is shown"):
            confidentiality.no_inside_address_is_seen(bed, seen, [acting])
    seen.heard.append(at("client", Ether(dst=MAC) / IP(src="10.1.0.3", dst="192.0.2.2") / ICMP()))
    confidentiality.no_inside_address_is_seen(bed, seen, [client])
    with pytest.raises(TunnelbedError, match="nothing is shown"):
        confidentiality.no_inside_address_is_seen(bed, seen, [server])


def test_what_another_node_sends_is_none_of_this_one_s(bed: Bed) -> None:
    outside = bed.scenario.networks["outside"]
    seen = recorded(bed, PING)
    confidentiality.nothing_crosses(bed, seen, outside, bed.scenario.node("server"))
    for source in (None, bed.scenario.node("gateway")):
        with pytest.raises(Unmet) as unmet:
            confidentiality.nothing_crosses(bed, seen, outside, source)
        assert "ICMP" in unmet.value.seen


def test_a_text_that_was_read_nowhere_proves_nothing(bed: Bed) -> None:
    outside = bed.scenario.networks["outside"]
    with pytest.raises(TunnelbedError, match="found nowhere, not even where it was sent") as judged:
        confidentiality.text_is_unreadable(bed, recorded(bed, PING), [Request()], [outside])
    assert not isinstance(judged.value, Unmet)


def test_where_no_network_is_a_site_s_own_no_address_is_from_inside(checkout: Checkout) -> None:
    del checkout.stack["networks"]["inside"]["labels"]
    checkout.write()
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    with pytest.raises(BadInput, match="found none of a site, expected networks labelled"):
        confidentiality.no_inside_address_is_seen(bed, recorded(bed, PING), [])


def test_a_gateway_that_stands_alone_on_a_network_guards_what_is_behind_it(checkout: Checkout) -> None:
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    outside, server = bed.scenario.networks["outside"], bed.scenario.node("server")
    assert confidentiality.gateway_on(bed, outside, server).name == "gateway"
    with pytest.raises(BadInput, match="found one node, expected two or more"):
        confidentiality._attacker_on(bed, replace(outside, name="elsewhere"), server)


def forged(pair: Pair, change: Callable[[FakeNetwork], None], face: str = "host-b") -> None:
    """A ping as from a node, put on the ISP's link for host A, does not arrive there once something is changed."""
    with brought_up(pair.load(), pair.root) as (bed, network):
        change(network)
        nodes = bed.scenario.node(face), bed.scenario.node("host-a")
        confidentiality.forged_does_not_arrive(bed, *nodes, bed.scenario.networks["isp_link"], Ping())


def test_a_forged_packet_arrives_where_its_gateway_lets_it_in(pair: Pair) -> None:
    only = "table inet f { chain f { type filter hook forward priority 0; policy accept; iifname isp_link drop; } }"
    forged(pair, lambda network: network.nodes["gateway-a"].rules.read(only))
    with pytest.raises(Unmet) as unmet:
        forged(pair, lambda _: None)
    assert unmet.value.expected == "a plain packet forged as from host-b and put on isp_link does not reach host-a"
    assert unmet.value.seen.startswith("it arrived: ")


def test_a_forged_packet_that_does_not_enter_the_gateway_is_no_verdict(pair: Pair) -> None:
    def other_mac(network: FakeNetwork) -> None:
        # What is put there for the gateway is for a MAC that it has no more.
        transmit = network.transmit

        def lost(node: FakeNode, name: str, data: bytes) -> None:
            if IP in Ether(data) and Ether(data)[IP].src == "10.2.0.2" and name == "isp_link":
                return
            transmit(node, name, data)

        network.transmit = lost  # type: ignore[method-assign]

    with pytest.raises(TunnelbedError, match="cannot be judged, since it was not seen to enter gateway-a") as judged:
        forged(pair, other_mac)
    assert not isinstance(judged.value, Unmet)


def test_a_face_of_another_ip_version_is_one_line(pair: Pair) -> None:
    pair.networks["six"] = {"ipam": {"config": [{"subnet": "2001:db8::/64"}]}}
    pair.services["six"] = service("", "", {"six": {"ipv6_address": "2001:db8::6"}})
    with pytest.raises(BadInput, match="expected a node with an address of an IP version of host-a"):
        forged(pair, lambda _: None, face="six")
