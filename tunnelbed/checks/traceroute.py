"""The gateways that a packet passes, as its sender sees them: who says that its hops are used up.

RFC 792, "Time Exceeded"; RFC 4443, 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6TimeExceeded
from scapy.packet import Packet

from tunnelbed.checks.address_selection import addressed
from tunnelbed.checks.reachability import gateways_of
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import TunnelbedError
from tunnelbed.observe.packets import ends
from tunnelbed.observe.probes import Ping
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node

TIME_EXCEEDED = 11  # RFC 792


def sees(bed: Testbed, source: Node, gateway: Node, target: Node, asked: Ping | None = None) -> None:
    """A ping to the target, or the answer to its ping (`asked`), that gets as far as the gateway is answered by that.

    Raises `Unmet`.
    """
    told, recording, probe = _told(bed, source, gateway, target, asked, answering=asked is not None)
    if not told:
        expected = f"{source.name} receives a time exceeded error from {gateway.name} about packets to {target.name}"
        raise unmet(bed, expected, "no word", recording, gateways_of(bed, source, gateway), probe.shows)


def does_not_see(bed: Testbed, source: Node, gateway: Node, target: Node) -> None:
    """An answer that the target never asked for gets as far as the gateway, and that says nothing. Raises `Unmet`."""
    told, recording, probe = _told(bed, source, gateway, target, None, answering=True)
    expected = (
        f"{source.name} receives no time exceeded error from {gateway.name} about unsolicited answers to {target.name}"
    )
    if told:
        raise unmet(bed, expected, str(told[0]), recording, gateways_of(bed, source, gateway), probe.shows)
    if not any(probe.shows(seen.packet) for seen in recording.arrivals(gateway.name)):
        raise TunnelbedError(f"{expected}: cannot be judged, since none was seen to arrive there; open what stops it")


def _told(
    bed: Testbed, source: Node, gateway: Node, target: Node, asked: Ping | None, *, answering: bool
) -> tuple[Sequence[Sighting], Recording, Ping]:
    """Send a packet with as many hops as lead to the gateway; what the gateway answered, and all that was seen."""
    probe = asked or Ping()
    packet = addressed(bed, source, target, probe.answer if answering else probe.packet)
    _limit(packet, 1 if gateway.site == source.site else 2)
    with bed.record() as recording:
        bed.node(source).send_packet(bytes(packet))
        recording.settle()

    def tells(seen: Sighting) -> bool:
        used_up = ICMPv6TimeExceeded in seen.packet or (ICMP in seen.packet and seen.packet[ICMP].type == TIME_EXCEEDED)
        found = ends(seen.packet)
        return used_up and probe.shows(seen.packet) and found is not None and found[0] in gateway.addresses

    return [seen for seen in recording.arrivals(source.name) if tells(seen)], recording, probe


def _limit(packet: Packet, hops: int) -> None:
    """Let a packet go so many hops and no further."""
    if IP in packet:
        packet.ttl = hops
    else:
        packet.hlim = hops
