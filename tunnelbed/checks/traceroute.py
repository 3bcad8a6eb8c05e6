"""Traceroute: the gateways on a packet's path, by their time exceeded errors.

RFC 792, "Time Exceeded"; RFC 4443, 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6TimeExceeded
from scapy.packet import Packet

from tunnelbed.checks.address_selection import addressed
from tunnelbed.checks.reachability import NEGOTIATED, ON_ITS_WAY, gateways_of, how_far
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import TunnelbedError
from tunnelbed.observe.packets import claims_to_be_sealed, ends, ip_of
from tunnelbed.observe.probes import Ping
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node

TIME_EXCEEDED = 11  # RFC 792


def sees(bed: Testbed, source: Node, gateway: Node, target: Node, asked: Ping | None = None) -> None:
    """The gateway answers a ping to the target, or the answer to its ping (`asked`), whose TTL expires there.

    By each IP version that both have. Raises `Unmet`.
    """
    expected = f"{source.name} receives a time exceeded error from {gateway.name} about packets to {target.name}"
    probe = asked or Ping()
    for packet in addressed(bed, source, target, probe.answer if asked else probe.packet):
        hops, recording = _hops_to(bed, source, gateway, packet, probe)
        if not hops:
            seen = f"the probe never came to {gateway.name}; {how_far(recording, probe.shows)}"
            raise unmet(bed, expected, seen, recording, gateways_of(bed, source, gateway), probe.shows)
        told, recording = _told(bed, source, gateway, packet, probe, hops)
        if not told:
            raise unmet(bed, expected, "no ICMP error", recording, gateways_of(bed, source, gateway), probe.shows)


def does_not_see(bed: Testbed, source: Node, gateway: Node, target: Node) -> None:
    """An unsolicited answer's TTL expires at the gateway, which sends no ICMP error. Raises `Unmet`."""
    expected = (
        f"{source.name} receives no time exceeded error from {gateway.name} about unsolicited answers to {target.name}"
    )
    probe = Ping()
    for packet in addressed(bed, source, target, probe.answer):
        hops, recording = _hops_to(bed, source, gateway, packet, probe)
        told: Sequence[Sighting] = ()
        if hops:
            told, recording = _told(bed, source, gateway, packet, probe, hops)
        if told:
            raise unmet(bed, expected, str(told[0]), recording, gateways_of(bed, source, gateway), probe.shows)
        if not any(probe.shows(seen.packet) for seen in recording.arrivals(gateway.name)):
            raise TunnelbedError(f"{expected}: cannot be judged, since no packet arrives there; see `invoke trace`")


def _hops_to(bed: Testbed, source: Node, gateway: Node, packet: Packet, probe: Ping) -> tuple[int, Recording]:
    """How many hops a packet needs to be used up at a gateway, by the hops that it has left there; 0 if it never comes.

    A tunnel is no hop, nor is a node that only bridges.
    """

    def comes(seen: Sighting) -> bool:
        clear = probe.shows(seen.packet) and not claims_to_be_sealed(seen.packet)
        return seen.node == gateway.name and not seen.outgoing and clear

    with bed.record() as recording:
        for _ in range(NEGOTIATED):
            looked = len(recording.heard)
            bed.node(source).send_packet(bytes(packet))
            came = recording.until(comes, ON_ITS_WAY)
            recording.settle()
            # The first packet may be lost while its tunnel is set up.
            if came or recording.stalls(looked, probe.shows) is not None:
                break
    return (_left(packet) - _left(came.packet) + 1, recording) if came else (0, recording)


def _told(
    bed: Testbed, source: Node, gateway: Node, packet: Packet, probe: Ping, hops: int
) -> tuple[Sequence[Sighting], Recording]:
    """Send a packet with so many hops; what the gateway answered, and all that was seen."""
    limited = packet.copy()
    _limit(limited, hops)
    with bed.record() as recording:
        bed.node(source).send_packet(bytes(limited))
        recording.settle()

    def tells(seen: Sighting) -> bool:
        used_up = ICMPv6TimeExceeded in seen.packet or (ICMP in seen.packet and seen.packet[ICMP].type == TIME_EXCEEDED)
        found = ends(seen.packet)
        return used_up and probe.shows(seen.packet) and found is not None and found[0] in gateway.addresses

    return [seen for seen in recording.arrivals(source.name) if tells(seen)], recording


def _left(packet: Packet) -> int:
    """The hops that a packet has left."""
    header = ip_of(packet)
    if header is None:
        raise TunnelbedError(f"no IP packet: {packet.summary()}")
    return int(header.ttl if header.version == 4 else header.hlim)


def _limit(packet: Packet, hops: int) -> None:
    """Let a packet go so many hops and no further."""
    if IP in packet:
        packet.ttl = hops
    else:
        packet.hlim = hops
