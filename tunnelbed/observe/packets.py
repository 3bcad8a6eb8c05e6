"""What can be read off a packet: its addresses, and whether it is ESP, IKE or neighbour discovery."""

from __future__ import annotations

import ipaddress

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
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP
from scapy.packet import Packet

from tunnelbed.topology.model import Address, Subnet

IKE_PORT, NAT_T_PORT = 500, 4500  # RFC 7296, 2.23
ESP_PROTOCOL = 50  # RFC 4303
ICMPV6_PROTOCOL = 58  # RFC 4443
EXCHANGE_TYPE, INFORMATIONAL = 18, 37  # the octet in IKE's header, and its value (RFC 7296, 3.1)
# What a node listens to for neighbour discovery alone, and tells its link so: the groups of its own addresses (RFC
# 4861, 7.2.1), and those of all nodes and all routers (RFC 4291, 2.7.1).
SOLICITED = ipaddress.ip_network("ff02::1:ff00:0/104")
ALL_OF_A_KIND = {ipaddress.ip_address(group) for group in ("ff02::1", "ff02::2", "ff05::2")}
NO_ESP_MARKER = b"\0\0\0\0"  # on port 4500, four zero bytes stand before IKE (RFC 3948, 2.2)
KEEPALIVE = b"\xff"  # all that stands there where charon only keeps a NAT from forgetting it (RFC 3948, 2.3)


def ip_of(packet: Packet) -> Packet | None:
    """The packet's outermost IP header."""
    return packet.getlayer(IP) or packet.getlayer(IPv6)


def is_esp(packet: Packet) -> bool:
    """ESP itself, or ESP in UDP as it passes a NAT (RFC 3948)."""
    header = ip_of(packet)
    if header is None:
        return False
    if protocol(header) == ESP_PROTOCOL:
        return True
    return _uses(packet, NAT_T_PORT) and not is_ike(packet)


def is_ike(packet: Packet) -> bool:
    """IKE on port 500, or on 4500 behind its marker, and what keeps a NAT's memory alive for both."""
    if _uses(packet, IKE_PORT):
        return True
    if not _uses(packet, NAT_T_PORT):
        return False
    return _after_udp(packet) == KEEPALIVE or _after_udp(packet).startswith(NO_ESP_MARKER)


def is_informational(packet: Packet) -> bool:
    """IKE that sets nothing up, such as the question whether the peer is alive, which comes at any time."""
    if not is_ike(packet):
        return False
    header = _after_udp(packet).removeprefix(NO_ESP_MARKER)
    return header == KEEPALIVE or (len(header) > EXCHANGE_TYPE and header[EXCHANGE_TYPE] == INFORMATIONAL)


def is_neighbour_discovery(packet: Packet) -> bool:
    """ARP, or its successor in IPv6 (RFC 4861), the router's part and a listener's part (MLD, RFC 3810) included."""
    if any(layer in packet for layer in (ARP, ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6ND_RS, ICMPv6ND_RA)):
        return True
    groups = [ipaddress.ip_address(group) for group in _listens_to(packet)]
    return bool(groups) and all(group in SOLICITED or group in ALL_OF_A_KIND for group in groups)


def spi(packet: Packet) -> int | None:
    """The security parameters index of ESP."""
    return int(packet[ESP].spi) if ESP in packet else None


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


def _listens_to(packet: Packet) -> list[str]:
    """The groups that a node tells its own link of, whether it begins to listen or ends."""
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


def _after_udp(packet: Packet) -> bytes:
    return bytes(packet[UDP].payload)
