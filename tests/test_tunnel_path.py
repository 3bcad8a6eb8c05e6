"""By which path a probe went, judged on frames made by hand: whatever crosses beside it proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.packet import Packet, Raw

from tests.conftest import MAC, Checkout
from tests.fake_charon import tunnel
from tunnelbed.checks import reachability
from tunnelbed.checks.tunnel_path import Listed, Passage, Via
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.agents import Agents, Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import TunnelbedError
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.probes import Datagram, Marked, Ping, Probe, TcpSyn
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.daemons import Daemons
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Tunnel

NETWORKS = {
    "lan_a": ("intranet", "a", "10.1.0.0/24"),
    "lan_b": ("intranet", "b", "10.2.0.0/24"),
    "lan_c": ("intranet", "c", "10.3.0.0/24"),
    "uplink": ("isp_link", "", "192.0.2.0/24"),
    "leased": ("", "", "172.30.0.0/29"),
}
NODES = {
    "west": ("gateway", "a", {"lan_a": "10.1.0.1", "uplink": "192.0.2.1", "leased": "172.30.0.1"}),
    "east": ("gateway", "b", {"lan_b": "10.2.0.1", "uplink": "192.0.2.2", "leased": "172.30.0.2"}),
    "south": ("gateway", "c", {"lan_c": "10.3.0.1", "uplink": "192.0.2.3"}),
    "ann": ("host", "a", {"lan_a": "10.1.0.5"}),
    "amy": ("host", "a", {"lan_a": "10.1.0.6"}),
    "bob": ("host", "b", {"lan_b": "10.2.0.5"}),
}
ANN, BOB = ip_address("10.1.0.5"), ip_address("10.2.0.5")
WEST_EAST, EAST_WEST, WEST_SOUTH, SOUTH_EAST, EAST_SOUTH, SOUTH_WEST = range(0xC0000001, 0xC0000007)
LISTS = (
    ("west", EAST_WEST, WEST_EAST),
    ("east", WEST_EAST, EAST_WEST),
    ("west", SOUTH_WEST, WEST_SOUTH),
    ("south", WEST_SOUTH, SOUTH_WEST),
    ("south", EAST_SOUTH, SOUTH_EAST),
    ("east", SOUTH_EAST, EAST_SOUTH),
)


@pytest.fixture
def bed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """Three sites whose gateways have tunnels with each other, a leased line, and what their daemons list."""
    checkout.stack = {
        "services": {
            name: {
                "image": "example/node",
                "labels": {"tunnelbed.role": role, "tunnelbed.site": site},
                "networks": {network: {"ipv4_address": address} for network, address in at.items()},
            }
            for name, (role, site, at) in NODES.items()
        },
        "networks": {
            name: {
                "driver": "macvlan",
                "labels": {"tunnelbed.role": role, "tunnelbed.site": site} if role else {},
                "ipam": {"config": [{"subnet": subnet}]},
            }
            for name, (role, site, subnet) in NETWORKS.items()
        },
    }
    (checkout.root / "compose" / "tiny.yaml").write_text(yaml.safe_dump(checkout.stack), encoding="utf-8")
    for gateway in ("west", "east", "south"):
        checkout.configure(f"{gateway}/swanctl.conf", "connections { }\n")
    lists(monkeypatch, *LISTS)
    made = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    made.engine.start(made.plan(Options(), lambda _: None), lambda _: None)
    return made


def lists(monkeypatch: pytest.MonkeyPatch, *children: tuple[str, int, int]) -> None:
    """What daemons list: a node, the SPI that it takes, and the one that it sends."""

    def tunnels(daemons: Daemons, node: Node) -> tuple[Tunnel, ...]:
        found = tuple(tunnel(spi_in, spi_out) for name, spi_in, spi_out in children if name == node.name)
        daemons.remember(found)
        return found

    monkeypatch.setattr(Daemons, "tunnels", tunnels)


class Story:
    """What was seen, one thing after another."""

    def __init__(self, bed: Bed, mark: Marked | None = None) -> None:
        self.bed, self.mark = bed, mark or Ping()
        self.frames: list[Frame] = []
        # Seconds from one thing to the next.
        self.pace = 1.0

    def seen(self, node: str, way: str, network: str, packet: Packet) -> None:
        data = bytes(packet if ARP in packet else Ether(dst=MAC) / packet)
        self.frames.append(Frame(node, network, way == "out", ETHERNET, len(self.frames) * self.pace, data))

    def hop(self, sender: str, receiver: str, network: str, packet: Packet) -> None:
        self.seen(sender, "out", network, packet)
        self.seen(receiver, "in", network, packet)

    def judge(self, via: Via, source: str = "ann", target: str = "bob") -> None:
        recording = Recording(Agents(self.bed.engine, self.bed.project), {}, [Sighting(frame) for frame in self.frames])
        nodes = self.bed.scenario.nodes
        Passage(self.bed, "it", recording, self.mark, nodes[source], nodes[target], Listed()).judge(via)


def sealed(number: int, inner: bytes = b"\x99" * 60) -> Packet:
    return IP(src="192.0.2.1", dst="192.0.2.2") / ESP(spi=number, seq=1, data=inner)


def asks(mark: Marked) -> Packet:
    assert isinstance(mark, Probe)
    return mark.packet(ANN, BOB)


def answers(mark: Marked) -> Packet:
    if isinstance(mark, Ping):
        return mark.answer(BOB, ANN)
    header = IP(src=str(BOB), dst=str(ANN))
    if isinstance(mark, Datagram):
        return header / UDP(sport=mark.port, dport=mark.from_port) / Raw(mark.token)
    assert isinstance(mark, TcpSyn)
    return header / TCP(sport=mark.port, dport=mark.from_port, flags="SA", ack=(mark.number + 1) % (1 << 32))


Hop = Callable[[Story], None]


def through(there: Sequence[Packet], back: Sequence[Packet]) -> Hop:
    """What crosses the uplink between the gateways, on the probe's way and on its answer's."""

    def tell(story: Story) -> None:
        story.hop("ann", "west", "lan_a", asks(story.mark))
        for packet in there:
            story.hop("west", "east", "uplink", packet)
        # As the kernel shows what it has opened.
        story.seen("east", "in", "uplink", asks(story.mark))
        story.hop("east", "bob", "lan_b", asks(story.mark))
        story.hop("bob", "east", "lan_b", answers(story.mark))
        for packet in back:
            story.hop("east", "west", "uplink", packet)
        story.hop("west", "ann", "lan_a", answers(story.mark))

    return tell


RIGHT = through([sealed(WEST_EAST)], [sealed(EAST_WEST)])


def in_clear(network: str) -> Hop:
    def tell(story: Story) -> None:
        for one, other, where, packet in (
            ("ann", "west", "lan_a", asks(story.mark)),
            ("west", "east", network, asks(story.mark)),
            ("east", "bob", "lan_b", asks(story.mark)),
            ("bob", "east", "lan_b", answers(story.mark)),
            ("east", "west", network, answers(story.mark)),
            ("west", "ann", "lan_a", answers(story.mark)),
        ):
            story.hop(one, other, where, packet)

    return tell


def test_what_both_ends_list_and_nobody_can_read_went_through_the_tunnel(bed: Bed) -> None:
    story = Story(bed)
    RIGHT(story)
    story.judge(Via.TUNNEL)
    with pytest.raises(Unmet, match="the probe went in ESP from west to east"):
        story.judge(Via.CLEAR)


def test_what_is_seen_all_the_way_went_outside_the_tunnel(bed: Bed) -> None:
    story = Story(bed)
    in_clear("leased")(story)
    story.judge(Via.CLEAR)


def test_other_traffic_in_the_tunnel_makes_no_probe_in_clear_secret(bed: Bed) -> None:
    story = Story(bed)
    story.hop("west", "east", "uplink", sealed(WEST_EAST))
    in_clear("leased")(story)
    story.hop("east", "west", "uplink", sealed(EAST_WEST))
    with pytest.raises(Unmet, match="readable on leased"):
        story.judge(Via.TUNNEL)
    story.judge(Via.CLEAR)


@pytest.mark.parametrize(
    ("tell", "told"),
    [
        (through([], []), "no ESP of a tunnel from west to east carried the probe"),
        (through([sealed(7)], [sealed(8)]), "no ESP of a tunnel .* carried the probe; an SPI that they do not list"),
        (through([sealed(WEST_EAST)], []), "no ESP of a tunnel from east to west carried the answer"),
        # What comes from the other end carries nothing to it.
        (through([sealed(EAST_WEST)], [sealed(EAST_WEST)]), "no ESP of a tunnel from west to east carried the probe"),
        (through([sealed(WEST_SOUTH)], [sealed(SOUTH_WEST)]), "no ESP of a tunnel from west to east"),
    ],
)
def test_what_no_listed_esp_carried_did_not_go_through_the_tunnel(bed: Bed, tell: Hop, told: str) -> None:
    story = Story(bed)
    tell(story)
    with pytest.raises(Unmet, match=told):
        story.judge(Via.TUNNEL)


def test_an_spi_that_only_one_end_lists_is_no_tunnel(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    lists(monkeypatch, LISTS[0])
    story = Story(bed)
    RIGHT(story)
    with pytest.raises(Unmet, match="an SPI that they do not list"):
        story.judge(Via.TUNNEL)


def test_esp_before_the_probe_and_after_its_answer_carried_neither(bed: Bed) -> None:
    story = Story(bed)
    story.hop("west", "east", "uplink", sealed(WEST_EAST))
    through([], [])(story)
    story.hop("east", "west", "uplink", sealed(EAST_WEST))
    with pytest.raises(Unmet, match="carried the probe"):
        story.judge(Via.TUNNEL)


def test_a_probe_that_is_tried_again_is_judged_by_the_try_that_arrived(bed: Bed) -> None:
    story = Story(bed)
    story.hop("ann", "west", "lan_a", asks(story.mark))
    story.hop("west", "east", "uplink", sealed(WEST_EAST))
    through([], [sealed(EAST_WEST)])(story)
    with pytest.raises(Unmet, match="carried the probe"):
        story.judge(Via.TUNNEL)


def test_a_question_of_several_packets_is_under_way_until_its_answer_leaves(bed: Bed) -> None:
    story = Story(bed)
    story.pace = 0.001
    story.hop("ann", "west", "lan_a", asks(story.mark))
    story.hop("west", "east", "uplink", sealed(WEST_EAST))
    # The second packet leaves before the first arrives, and comes to the gateway afterwards.
    story.seen("ann", "out", "lan_a", asks(story.mark))
    story.hop("east", "bob", "lan_b", asks(story.mark))
    story.seen("west", "in", "lan_a", asks(story.mark))
    story.hop("west", "east", "uplink", sealed(WEST_EAST))
    story.hop("east", "bob", "lan_b", asks(story.mark))
    story.hop("bob", "east", "lan_b", answers(story.mark))
    story.hop("east", "west", "uplink", sealed(EAST_WEST))
    story.hop("west", "ann", "lan_a", answers(story.mark))
    story.judge(Via.TUNNEL)


def test_a_hub_between_two_tunnels_carries_it_on(bed: Bed) -> None:
    story = Story(bed)
    story.hop("ann", "west", "lan_a", asks(story.mark))
    story.hop("west", "south", "uplink", sealed(WEST_SOUTH))
    story.hop("south", "east", "uplink", sealed(SOUTH_EAST))
    story.hop("east", "bob", "lan_b", asks(story.mark))
    story.hop("bob", "east", "lan_b", answers(story.mark))
    story.hop("east", "south", "uplink", sealed(EAST_SOUTH))
    story.hop("south", "west", "uplink", sealed(SOUTH_WEST))
    story.hop("west", "ann", "lan_a", answers(story.mark))
    story.judge(Via.TUNNEL)


def null(number: int, mark: Marked, *, in_udp: bool = False) -> Packet:
    inner = bytes(asks(mark))
    outer = IP(src="192.0.2.1", dst="192.0.2.2")
    if in_udp:
        return outer / UDP(sport=4500, dport=4500) / Raw(number.to_bytes(4, "big") + b"\0\0\0\1" + inner)
    return outer / ESP(spi=number, seq=1, data=inner)


@pytest.mark.parametrize("mark", [Ping(), TcpSyn(8080)])
@pytest.mark.parametrize("in_udp", [False, True])
def test_what_is_readable_inside_esp_is_readable(bed: Bed, mark: Marked, *, in_udp: bool) -> None:
    story = Story(bed, mark)
    through([null(WEST_EAST, mark, in_udp=in_udp)], [sealed(EAST_WEST)])(story)
    with pytest.raises(Unmet, match="readable on uplink, inside a packet that claims to be encrypted"):
        story.judge(Via.TUNNEL)


def test_an_inner_header_with_an_address_from_inside_is_readable_without_the_mark(bed: Bed) -> None:
    story = Story(bed)
    inner = bytes(IP(src="10.1.0.5", dst="10.2.0.5") / ICMP() / Raw(b"\x99" * 30))
    through([sealed(WEST_EAST, inner)], [sealed(EAST_WEST)])(story)
    with pytest.raises(Unmet, match="readable on uplink, inside"):
        story.judge(Via.TUNNEL)
    # With another checksum, it is no header but what a cipher made.
    story = Story(bed)
    wrong = inner[:10] + bytes([inner[10] ^ 0xFF]) + inner[11:]
    through([sealed(WEST_EAST, wrong)], [sealed(EAST_WEST)])(story)
    story.judge(Via.TUNNEL)


OUTER = IP(src="192.0.2.1", dst="192.0.2.2")
VXLAN = b"\x08\0\0\0\0\0\x01\0"
# Tunnels that seal nothing: IP in IP (RFC 2003), GRE (RFC 2784), VXLAN (RFC 7348), IP in UDP, MPLS (RFC 3032).
PLAIN: Mapping[str, Callable[[Packet], Packet]] = {
    "ipip": lambda inner: OUTER / inner,
    "gre": lambda inner: OUTER / GRE(proto=0x0800) / inner,
    "vxlan": lambda inner: OUTER / UDP(sport=50000, dport=4789) / Raw(VXLAN + bytes(Ether(dst=MAC) / inner)),
    "fou": lambda inner: OUTER / UDP(sport=5555, dport=5555) / Raw(bytes(inner)),
    "mpls": lambda inner: Raw(b"\0\x06\x41\x40" + bytes(inner)),
}


@pytest.mark.parametrize("how", PLAIN)
@pytest.mark.parametrize("mark", [Ping(), TcpSyn(8080), Datagram(53)], ids=lambda mark: mark.name)
@pytest.mark.parametrize("says", [asks, answers], ids=["probe", "answer"])
def test_what_a_tunnel_without_a_cipher_carries_beside_esp_is_readable(
    bed: Bed, how: str, mark: Marked, says: Callable[[Marked], Packet]
) -> None:
    def crosses(wanted: Callable[[Marked], Packet]) -> list[Packet]:
        return [PLAIN[how](says(mark))] if wanted is says else []

    story = Story(bed, mark)
    through([*crosses(asks), sealed(WEST_EAST)], [*crosses(answers), sealed(EAST_WEST)])(story)
    with pytest.raises(Unmet, match="readable on uplink: "):
        story.judge(Via.TUNNEL)


@pytest.mark.parametrize("port", [500, 4500])
def test_clear_text_on_ike_s_ports_is_readable(bed: Bed, port: int) -> None:
    story = Story(bed)
    assert isinstance(story.mark, Ping)
    text = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=port, dport=port) / Raw(b"text " + story.mark.token)
    through([text, sealed(WEST_EAST)], [sealed(EAST_WEST)])(story)
    with pytest.raises(Unmet, match="readable on uplink"):
        story.judge(Via.TUNNEL)


def test_another_site_s_network_is_outside(bed: Bed) -> None:
    story = Story(bed)
    RIGHT(story)
    story.seen("south", "out", "lan_c", asks(story.mark))
    with pytest.raises(Unmet, match="readable on lan_c"):
        story.judge(Via.TUNNEL)


def test_a_question_for_an_address_from_inside_shows_it(bed: Bed) -> None:
    story = Story(bed)
    RIGHT(story)
    story.seen("west", "out", "leased", Ether(dst=MAC) / ARP(psrc="172.30.0.1", pdst="10.2.0.5"))
    with pytest.raises(Unmet, match="readable on leased"):
        story.judge(Via.TUNNEL)


def test_what_others_send_meanwhile_is_not_this_probe_s(bed: Bed) -> None:
    story = Story(bed)
    RIGHT(story)
    story.seen("west", "out", "leased", IP(src="10.1.0.6", dst="10.2.0.9") / ICMP())
    story.judge(Via.TUNNEL)


def test_neighbours_have_no_tunnel_between_them(bed: Bed) -> None:
    story = Story(bed)
    story.hop("ann", "amy", "lan_a", asks(story.mark))
    story.hop("amy", "ann", "lan_a", answers(story.mark))
    story.judge(Via.CLEAR, target="amy")
    with pytest.raises(Unmet, match="no VPN gateway on the path of the probe"):
        story.judge(Via.TUNNEL, target="amy")


def test_who_stands_behind_the_same_gateway_has_none_either(bed: Bed) -> None:
    story = Story(bed)
    story.hop("ann", "west", "lan_a", asks(story.mark))
    story.hop("west", "east", "uplink", sealed(WEST_EAST))
    story.hop("east", "west", "uplink", sealed(EAST_WEST))
    story.hop("west", "amy", "lan_a", asks(story.mark))
    story.hop("amy", "west", "lan_a", answers(story.mark))
    story.hop("west", "ann", "lan_a", answers(story.mark))
    with pytest.raises(Unmet, match="west forwarded the probe outside any tunnel"):
        story.judge(Via.TUNNEL, target="amy")


def test_a_tunnel_end_hides_what_it_sends_itself_from_its_own_networks_too(bed: Bed) -> None:
    story = Story(bed)
    story.hop("west", "east", "uplink", sealed(WEST_EAST))
    story.hop("east", "bob", "lan_b", asks(story.mark))
    story.hop("bob", "east", "lan_b", answers(story.mark))
    story.hop("east", "west", "uplink", sealed(EAST_WEST))
    story.seen("west", "in", "uplink", answers(story.mark))
    story.judge(Via.TUNNEL, source="west")
    story.seen("west", "out", "lan_a", asks(story.mark))
    with pytest.raises(Unmet, match="readable on lan_a"):
        story.judge(Via.TUNNEL, source="west")


def test_what_is_lost_from_sight_between_was_not_seen_all_the_way(bed: Bed) -> None:
    story = Story(bed)
    through([], [])(story)
    with pytest.raises(Unmet, match="the probe was not seen in clear all the way"):
        story.judge(Via.CLEAR)


def test_the_captures_of_a_failure_are_the_testbed_s(bed: Bed, tmp_path: Path) -> None:
    bed.captures = tmp_path
    story = Story(bed)
    with pytest.raises(Unmet):
        story.judge(Via.TUNNEL)
    assert list(tmp_path.glob("*.pcapng"))


@pytest.mark.parametrize(("unseen", "said"), [(True, "the kernel encrypts packets between west and east"), (False, "")])
def test_what_the_kernel_hides_between_two_ends_is_no_failure_of_the_network(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, *, unseen: bool, said: str
) -> None:
    (listed,) = (replace(child, unseen=unseen) for child in tunnel(EAST_WEST, WEST_EAST).children)
    monkeypatch.setattr(NodeHandle, "tunnels", lambda *_: (replace(tunnel(1, 2), children=(listed,)),))
    west, east = bed.scenario.nodes["west"], bed.scenario.nodes["east"]
    if said:
        with pytest.raises(TunnelbedError, match=said):
            reachability.refuse_unseen(bed, "it", west, east)
    else:
        reachability.refuse_unseen(bed, "it", west, east)
    # Between others it hides nothing.
    reachability.refuse_unseen(bed, "it", bed.scenario.nodes["ann"], east)
