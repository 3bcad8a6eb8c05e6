"""Which packets a failure shows: those that tell of what was asked, however much else goes on."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tunnelbed.checks.unmet import LAST_PACKETS, SEALED_AFTER, last_packets
from tunnelbed.engines.agents import Frame
from tunnelbed.observe.carried import nobodys
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.recording import Sighting

PROBE = IP(src="10.1.0.3", dst="10.3.0.3") / ICMP() / Raw(b"a probe of ours")
ALIVE = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4500, dport=4500) / Raw(b"\0" * 60)


def seen(node: str, packet: Packet, at: float) -> Sighting:
    frame = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)
    return Sighting(Frame(node, "inside", True, ETHERNET, at, frame))  # noqa: FBT003 # a field


def is_ours(packet: Packet) -> bool:
    return b"a probe of ours" in bytes(packet)


def nodes(sightings: list[Sighting]) -> list[str]:
    return [packet.node for packet in last_packets(sightings, is_ours, nobodys)]


def test_signs_of_life_after_a_packet_do_not_push_it_out() -> None:
    asked = [seen("client", PROBE, 1.0), seen("gateway", PROBE, 1.1)]
    alive = [seen(f"alive-{number}", ALIVE, 2.0 + number) for number in range(40)]
    assert nodes(asked + alive) == ["client", "gateway", *(f"alive-{number}" for number in range(SEALED_AFTER))]


def test_what_was_sealed_before_and_between_is_shown_with_it() -> None:
    alive = [seen(f"alive-{number}", ALIVE, 0.01 * number) for number in range(40)]
    between = [seen("client", PROBE, 1.0), seen("sealed", ALIVE, 1.05), seen("server", PROBE, 1.1)]
    shown = nodes(alive + between)
    assert len(shown) == LAST_PACKETS
    assert shown[-3:] == ["client", "sealed", "server"]


def test_where_none_was_asked_for_all_but_neighbour_discovery_is_shown() -> None:
    who_has = seen("client", ARP(pdst="10.1.0.2"), 1.0)
    assert nodes([who_has, *(seen(f"alive-{number}", ALIVE, 2.0) for number in range(2))]) == ["alive-0", "alive-1"]
