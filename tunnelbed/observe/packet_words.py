"""Packets described as in a capture's summary."""

from __future__ import annotations

from scapy.layers.inet import ICMP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Packet

from tunnelbed.observe.carried import Classify, nobodys
from tunnelbed.observe.kinds import kind
from tunnelbed.observe.packets import ends, ip_of

UNREACHABLE, FRAG_NEEDED = 3, 4  # RFC 792, a type and one of its codes


def describe(packet: Packet, classify: Classify = nobodys) -> str:
    """A packet's summary: source, destination, kind, size, hops left."""
    header, found = ip_of(packet), ends(packet)
    if header is None or found is None:
        return str(packet.summary())
    hops = f"ttl {header.ttl}" if header.version == 4 else f"hop limit {header.hlim}"
    return f"{found[0]} > {found[1]}  {what(packet, classify)}, {len(header)} bytes, {hops}"


def what(packet: Packet, classify: Classify = nobodys) -> str:
    """What a packet is, without its addresses: `ICMP echo-request`, `ESP SPI 035956fc`."""
    if carried := classify(packet):
        return str(carried)
    if ICMP in packet:
        return _icmp(packet[ICMP])
    if TCP in packet:
        return f"TCP {packet[TCP].sport} > {packet[TCP].dport} {packet[TCP].flags}"
    if kind(packet) == "ICMPv6":
        size = f", MTU {packet[ICMPv6PacketTooBig].mtu}" if ICMPv6PacketTooBig in packet else ""
        return f"{packet[IPv6].payload.name}{size}"
    return kind(packet)


def _icmp(message: Packet) -> str:
    said = str(message.sprintf("ICMP %ICMP.type%"))
    if message.type != UNREACHABLE:
        return said
    size = f", MTU {message.nexthopmtu}" if message.code == FRAG_NEEDED else ""
    return said + str(message.sprintf(" (%ICMP.code%)")) + size
