"""strongSwan's packets: ESP, ESP in UDP as it passes a NAT (RFC 3948), and IKE (RFC 7296).

A form alone makes no tunnel: ESP is what has an SPI that a daemon lists, and IKE what has IKE's header.
"""

from __future__ import annotations

import struct

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from tunnelbed.vpn.api import Carried, Kind, Listed

ESP_PROTOCOL, ESP_HEADER = 50, 8  # RFC 4303
IKE_PORT, NAT_T_PORT = 500, 4500  # RFC 7296, 2.23
NO_ESP_MARKER = b"\0\0\0\0"  # on port 4500, four zero bytes stand before IKE (RFC 3948, 2.2)
KEEPALIVE = b"\xff"  # all that stands there where only a NAT is kept from forgetting (RFC 3948, 2.3)
# Both SPIs, next payload, version, exchange type, flags, message ID, length (RFC 7296, 3.1; RFC 2408, 3.1).
HEADER = struct.Struct("!8s8sBBBBII")
# Exchange types by major version: IANA's "IKEv2 Exchange Types", and RFC 2408, 3.1 with RFC 2409 for IKEv1.
EXCHANGES = {2: frozenset({34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44}), 1: frozenset({1, 2, 3, 4, 5, 6, 32, 33})}
INFORMATIONAL = {2: 37, 1: 5}
DATA, HANDSHAKE = "ESP", "IKE"


def classify(packet: Packet, listed: Listed) -> Carried | None:
    """ESP with an SPI that is listed, a message of IKE, a NAT keepalive; None: nothing of this VPN's."""
    header = packet.getlayer(IP) or packet.getlayer(IPv6)
    if header is None:
        return None
    if _protocol(header) == ESP_PROTOCOL:
        # The rest of a fragmented packet has no SPI.
        whole = not isinstance(header, IP) or header.frag == 0
        return _data(bytes(header.payload), listed) if whole else None
    return _in_udp(packet[UDP], listed) if UDP in packet else None


def _in_udp(udp: Packet, listed: Listed) -> Carried | None:
    """What UDP carries: on port 500 IKE alone; on 4500 a marker tells it from ESP; either on a port of charon's own."""
    ports = {udp.sport, udp.dport}
    if ports.isdisjoint((IKE_PORT, NAT_T_PORT, *listed.ports)):
        return None
    body, cut = bytes(udp.payload), udp.len is not None and udp.len > len(udp)
    if body == KEEPALIVE:
        return Carried(Kind.KEEPALIVE, HANDSHAKE, routine=True)
    if IKE_PORT in ports:
        return _handshake(body, cut=cut)
    if body.startswith(NO_ESP_MARKER):
        return _handshake(body[len(NO_ESP_MARKER) :], cut=cut)
    return _data(body, listed) or (None if NAT_T_PORT in ports else _handshake(body, cut=cut))


def _data(esp: bytes, listed: Listed) -> Carried | None:
    # An SPI of 0 is never sent (RFC 4303, 2.1).
    number = int.from_bytes(esp[:4], "big")
    return (
        Carried(Kind.DATA, DATA, number, unit="SPI") if len(esp) > 8 and number and number in listed.numbers else None
    )


def _handshake(ike: bytes, *, cut: bool) -> Carried | None:
    """A message of IKE by its header, with its whole length unless the packet was `cut` into fragments."""
    if len(ike) < HEADER.size:
        return None
    initiator, _, _, version, exchange, _, _, length = HEADER.unpack_from(ike)
    major = version >> 4
    fits = length == len(ike) or (cut and length > len(ike))
    if not any(initiator) or exchange not in EXCHANGES.get(major, ()) or not fits:
        return None
    return Carried(Kind.HANDSHAKE, HANDSHAKE, routine=exchange == INFORMATIONAL[major])


def _protocol(header: Packet) -> int:
    return int(header.proto if isinstance(header, IP) else header.nh)
