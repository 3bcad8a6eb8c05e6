"""ICMP errors that must come back, or must not: unreachable addresses, and packets too large for the tunnel."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig
from scapy.packet import Packet

from tunnelbed.checks.address_selection import addressed
from tunnelbed.checks.reachability import ON_ITS_WAY, gateways_of, how_far, send_to
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import CommandFailed, TunnelbedError
from tunnelbed.observe.packet_words import FRAG_NEEDED, UNREACHABLE
from tunnelbed.observe.probes import LINK_MTU, Marked, Ping, filled
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node


def told_unreachable(bed: Testbed, source: Node, address: Address) -> None:
    """A ping to an address without a route is answered by an ICMP error, which comes back. Raises `Unmet`."""
    probe = Ping()
    expected = f"{source.name} receives an ICMP error that {address} is unreachable"

    def tells(seen: Sighting) -> bool:
        return seen.node == source.name and not seen.outgoing and _unreachable(seen.packet) and probe.shows(seen.packet)

    with bed.record() as recording:
        refused = send_to(bed, source, address, probe)
        told = recording.until(tells, ON_ITS_WAY)
    if told is None:
        seen = (
            f"{source.name} itself does not send it: {refused}"
            if refused
            else f"no ICMP error; {how_far(recording, probe.asks)}"
        )
        raise unmet(bed, expected, seen, recording, gateways_of(bed, source), probe.shows)


def told_too_large(bed: Testbed, source: Node, target: Node, asked: Ping | None = None) -> None:
    """A packet that fits the link but not the tunnel is answered by an ICMP error with the MTU (RFC 1191, RFC 8201).

    That is a ping, or an answer to the target's ping (`asked`) from whom the firewall lets only answer: for IPv6 with
    ESP in the kernel, Linux asks the firewall before it looks whether a packet fits, and else afterwards. Raises
    `Unmet`.
    """
    probe = asked or Ping()
    what, make, is_it = ("packets", probe.packet, probe.asks)
    if asked:
        what, make, is_it = ("answers", probe.answer, probe.answers)
    for packet in addressed(bed, source, target, make):
        recording, told = _sent_too_large(bed, source, packet, probe, ON_ITS_WAY)
        if not told:
            expected = f"{source.name} receives the MTU for {what} to {target.name}"
            seen = f"no ICMP error; {how_far(recording, is_it)}"
            raise unmet(bed, expected, seen, recording, gateways_of(bed, source), probe.shows)


def stray_not_told(bed: Testbed, source: Node, target: Node) -> None:
    """An unsolicited answer that fills the link leaves the node, and no ICMP error arrives. Raises `Unmet`."""
    probe = Ping()
    expected = f"{source.name} receives no ICMP error about unsolicited answers to {target.name}"
    for packet in addressed(bed, source, target, probe.answer):
        recording, told = _sent_too_large(bed, source, packet, probe, 0.0)
        if told:
            raise unmet(bed, expected, told[0], recording, gateways_of(bed, source), probe.shows)
        if not recording.way_of(probe.answers):
            raise TunnelbedError(f"{expected}: cannot be judged, since no packet leaves {source.name}")


def _unreachable(packet: Packet) -> bool:
    """Whether it is a destination unreachable error, for any reason but the packet's size."""
    if ICMP in packet:
        return bool(packet[ICMP].type == UNREACHABLE and packet[ICMP].code != FRAG_NEEDED)
    return ICMPv6DestUnreach in packet


def _too_large(packet: Packet) -> bool:
    """Whether it is an error about the packet's size: fragmentation needed, or packet too big."""
    if ICMP in packet:
        return bool(packet[ICMP].type == UNREACHABLE and packet[ICMP].code == FRAG_NEEDED)
    return ICMPv6PacketTooBig in packet


def _sent_too_large(
    bed: Testbed, source: Node, packet: Packet, probe: Marked, seconds: float
) -> tuple[Recording, Sequence[str]]:
    """Send a probe's packet made as large as the link's; what all saw, and what the source was told about its size.

    A word that must come is waited for, up to so many seconds.
    """
    packet = filled(packet, LINK_MTU)

    def tells(seen: Sighting) -> bool:
        return seen.node == source.name and not seen.outgoing and _too_large(seen.packet) and probe.shows(seen.packet)

    with bed.record() as recording:
        try:
            bed.node(source).send_packet(bytes(packet))
        except CommandFailed as refused:
            # The end of a tunnel is told by its own kernel.
            if not bed.node(source).vpn or f"[Errno {errno.EMSGSIZE}]" not in refused.output:
                raise
            return recording, [refused.output]
        recording.until(tells, seconds)
        recording.settle()
    return recording, [str(seen) for seen in recording.sightings if tells(seen)]
