"""Properties of a packet: its addresses, and whether it is ESP, IKE or neighbour discovery."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    IPv6,
)
from scapy.layers.l2 import ARP
from scapy.packet import Packet

from tunnelbed.topology.model import Address, Subnet

IKE_PORT, NAT_T_PORT = 500, 4500  # RFC 7296, 2.23
ESP_PROTOCOL = 50  # RFC 4303
ICMPV6_PROTOCOL = 58  # RFC 4443
IPV4_HEADER, IPV6_HEADER = 20, 40  # bytes (RFC 791, RFC 8200)
# Bytes among which a header in plain text begins: behind UDP's header, ESP's, and an initialisation vector; or behind
# UDP's, VXLAN's and Ethernet's (RFC 7348, 5).
WITHIN = 64
# What a node listens to for neighbour discovery alone, and tells its link so: the groups of its own addresses (RFC
# 4861, 7.2.1), and those of all nodes and all routers (RFC 4291, 2.7.1).
SOLICITED = ipaddress.ip_network("ff02::1:ff00:0/104")
ALL_OF_A_KIND = {ipaddress.ip_address(group) for group in ("ff02::1", "ff02::2", "ff05::2")}
WHO_HAS, IS_AT = 1, 2  # RFC 826


def ip_of(packet: Packet) -> Packet | None:
    """The packet's outermost IP header."""
    return packet.getlayer(IP) or packet.getlayer(IPv6)


def claims_to_be_sealed(packet: Packet) -> bool:
    """Whether a packet claims to be encrypted: ESP, and all packets to IKE's ports."""
    header = ip_of(packet)
    if header is None:
        return False
    return protocol(header) == ESP_PROTOCOL or _uses(packet, NAT_T_PORT) or _uses(packet, IKE_PORT)


def packets_within(packet: Packet) -> Iterator[Packet]:
    """The IP packets that can be read inside a frame, behind its outermost IP header or where it has none.

    In what claims to be sealed, as with the NULL cipher (RFC 2410), and in a tunnel that seals nothing: IP in IP, GRE,
    VXLAN. An IPv4 header must have its right checksum, and both versions a length that fits; for IPv6 alone that is no
    proof, so that whoever asks knows the addresses, too.
    """
    header = ip_of(packet)
    data = bytes(packet.payload if header is None else header.payload)
    for at in range(min(len(data), WITHIN)):
        version = data[at] >> 4
        if version == 4 and _is_ipv4_header(data[at:]):
            yield IP(data[at:])
        elif version == 6 and _is_ipv6_header(data[at:]):
            yield IPv6(data[at:])


def is_neighbour_discovery(packet: Packet) -> bool:
    """ARP, or its successor in IPv6 (RFC 4861), the router's part and a listener's part (MLD, RFC 3810) included."""
    if any(layer in packet for layer in (ARP, ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6ND_RS, ICMPv6ND_RA)):
        return True
    groups = [ipaddress.ip_address(group) for group in _listens_to(packet)]
    return bool(groups) and all(group in SOLICITED or group in ALL_OF_A_KIND for group in groups)


def ends(packet: Packet) -> tuple[Address, Address] | None:
    """Source and destination of the outermost IP header."""
    header = ip_of(packet)
    return None if header is None else (ipaddress.ip_address(header.src), ipaddress.ip_address(header.dst))


def from_or_to(packet: Packet, subnets: tuple[Subnet, ...]) -> bool:
    """Whether the packet's source or destination lies in one of these subnets, ARP's question and answer included."""
    found: tuple[Address, Address] | None
    if ARP in packet:
        found = (ipaddress.ip_address(packet[ARP].psrc), ipaddress.ip_address(packet[ARP].pdst))
    else:
        found = ends(packet)
    return found is not None and any(address in subnet for address in found for subnet in subnets)


def asked_for(packet: Packet) -> str:
    """The address whose MAC an ARP request or a neighbour solicitation asks for (RFC 826, RFC 4861)."""
    if ARP in packet and packet[ARP].op == WHO_HAS:
        return str(packet[ARP].pdst)
    return str(packet[ICMPv6ND_NS].tgt) if ICMPv6ND_NS in packet else ""


def answered_for(packet: Packet) -> str:
    """The address whose MAC is in an answer to that."""
    if ARP in packet and packet[ARP].op == IS_AT:
        return str(packet[ARP].psrc)
    return str(packet[ICMPv6ND_NA].tgt) if ICMPv6ND_NA in packet else ""


def _listens_to(packet: Packet) -> list[str]:
    """The multicast groups that a node reports on its link (MLD), when it joins or leaves."""
    header = packet.getlayer(IPv6)
    if header is None or header.hlim != 1:
        return []
    for layer in (ICMPv6MLReport, ICMPv6MLDone):
        if layer in packet:
            return [packet[layer].mladdr]
    records = packet[ICMPv6MLReport2].records if ICMPv6MLReport2 in packet else []
    # Scapy reads the second record as the payload of the first, and so on.
    every = (layer for record in records for layer in record.iterpayloads())
    return [layer.dst for layer in every if isinstance(layer, ICMPv6MLDMultAddrRec)]


def protocol(header: Packet) -> int:
    """The number of what an IP header carries; behind IPv6's extension headers, that of the first of them."""
    return int(header.proto if isinstance(header, IP) else header.nh)


def _uses(packet: Packet, port: int) -> bool:
    return UDP in packet and port in (packet[UDP].sport, packet[UDP].dport)


def _is_ipv4_header(data: bytes) -> bool:
    size = (data[0] & 0xF) * 4
    if not IPV4_HEADER <= size <= len(data) or not size <= int.from_bytes(data[2:4], "big") <= len(data):
        return False
    total: int = sum(struct.unpack(f"!{size // 2}H", data[:size]))
    return (total & 0xFFFF) + (total >> 16) == 0xFFFF  # RFC 791, 3.1; 30 words overflow by less than one word


def _is_ipv6_header(data: bytes) -> bool:
    """A jumbogram, whose length is 0 here (RFC 2675), fits no link; Scapy raises on what only looks like one."""
    length = int.from_bytes(data[4:6], "big")
    return len(data) >= IPV6_HEADER and 0 < length <= len(data) - IPV6_HEADER
