"""Packets sent to find something out, each to be known again wherever it turns up.

A probe marks its packets (a random token in the payload, a random sequence number), so that it is recognised at every
interface it passes, whatever NAT made of its addresses, and so that no other traffic is taken for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Protocol

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, IPerror6, IPv6
from scapy.layers.ipsec import ESP
from scapy.packet import Packet, Raw

from tunnelbed.topology.model import Address

SYN, SYN_ACK = 0x02, 0x12
ECHO_REQUEST, ECHO_REPLY = 8, 0  # RFC 792
LINK_MTU = 1500  # Ethernet's


def filled(packet: Packet, size: int) -> Packet:
    """An IP packet made as large as so many bytes, that no router may part."""
    if IP in packet:
        packet[IP].flags = "DF"
    return packet / Raw(b"\0" * (size - len(packet)))


class Marked(Protocol):
    """Something that can be recognised in a packet."""

    def shows(self, packet: Packet) -> bool:
        """Whether anything of it can be read in this packet."""


class Probe(Marked, Protocol):
    """One question to the network."""

    @property
    def name(self) -> str:
        """As a report calls it: `ping`, `TCP port 8080`."""

    def packet(self, source: Address, target: Address) -> Packet:
        """The IP packet that asks."""

    def asks(self, packet: Packet) -> bool:
        """Whether this is the question, perhaps with other addresses."""

    def answers(self, packet: Packet) -> bool:
        """Whether this is a yes to it."""


@dataclass(frozen=True)
class Ping:
    """An ICMP or ICMPv6 echo request (RFC 792, RFC 4443)."""

    name: str = "ping"
    token: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def packet(self, source: Address, target: Address) -> Packet:
        number = int.from_bytes(self.token[:2], "big")
        if target.version == 4:
            return IP(src=str(source), dst=str(target)) / ICMP(id=number, seq=1) / Raw(self.token)
        return IPv6(src=str(source), dst=str(target)) / ICMPv6EchoRequest(id=number, seq=1, data=self.token)

    def answer(self, source: Address, target: Address) -> Packet:
        """The answer to it, from whom it asked."""
        number = int.from_bytes(self.token[:2], "big")
        if target.version == 4:
            return IP(src=str(source), dst=str(target)) / ICMP(type=ECHO_REPLY, id=number, seq=1) / Raw(self.token)
        return IPv6(src=str(source), dst=str(target)) / ICMPv6EchoReply(id=number, seq=1, data=self.token)

    def asks(self, packet: Packet) -> bool:
        return _says(packet, ECHO_REQUEST, ICMPv6EchoRequest) and self.shows(packet)

    def answers(self, packet: Packet) -> bool:
        return _says(packet, ECHO_REPLY, ICMPv6EchoReply) and self.shows(packet)

    def shows(self, packet: Packet) -> bool:
        return self.token in bytes(packet)


def _says(packet: Packet, number: int, layer: type[Packet]) -> bool:
    """Whether a packet is an echo message itself, of ICMP's type or ICMPv6's layer, and no error that quotes one."""
    if ICMP in packet:
        return bool(packet[ICMP].type == number)
    return layer in packet and IPerror6 not in packet


@dataclass(frozen=True)
class Knock:
    """The first packet of a TCP connection; the answer is an open port's (RFC 9293, 3.5).

    NAT leaves sequence numbers alone, so the probe's own is its mark.
    """

    port: int
    number: int = field(default_factory=lambda: secrets.randbits(32))
    from_port: int = field(default_factory=lambda: 40000 + secrets.randbelow(20000))

    @property
    def name(self) -> str:
        return f"TCP port {self.port}"

    def packet(self, source: Address, target: Address) -> Packet:
        header = IP if target.version == 4 else IPv6
        tcp = TCP(sport=self.from_port, dport=self.port, flags="S", seq=self.number)
        return header(src=str(source), dst=str(target)) / tcp

    def asks(self, packet: Packet) -> bool:
        return TCP in packet and int(packet[TCP].flags) == SYN and packet[TCP].seq == self.number

    def answers(self, packet: Packet) -> bool:
        return self._reacts(packet) and int(packet[TCP].flags) == SYN_ACK

    def shows(self, packet: Packet) -> bool:
        return self.asks(packet) or self._reacts(packet)

    def _reacts(self, packet: Packet) -> bool:
        """Whether this acknowledges the probe, by a yes or by a reset."""
        return TCP in packet and packet[TCP].ack == (self.number + 1) % (1 << 32)


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram. A host with nothing on the port answers by an ICMP error; arriving is what counts."""

    port: int
    token: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    from_port: int = 40000

    @property
    def name(self) -> str:
        return f"UDP port {self.port}"

    def packet(self, source: Address, target: Address) -> Packet:
        header = IP if target.version == 4 else IPv6
        return header(src=str(source), dst=str(target)) / UDP(sport=self.from_port, dport=self.port) / Raw(self.token)

    def asks(self, packet: Packet) -> bool:
        return UDP in packet and self.token in bytes(packet[UDP].payload)

    def answers(self, packet: Packet) -> bool:
        return self.asks(packet) and packet[UDP].sport == self.port

    def shows(self, packet: Packet) -> bool:
        return self.token in bytes(packet)


@dataclass(frozen=True)
class Sealed:
    """ESP of no tunnel (RFC 4303): content that nobody has a key for. Nobody answers it; arriving is what counts."""

    name: str = "ESP"
    token: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def packet(self, source: Address, target: Address) -> Packet:
        header = IP if target.version == 4 else IPv6
        # SPIs from 1 to 255 are reserved (RFC 4303, 2.1).
        number = 256 + secrets.randbelow(2**32 - 256)
        return header(src=str(source), dst=str(target)) / ESP(spi=number, seq=1, data=self.token)

    def asks(self, packet: Packet) -> bool:
        return ESP in packet and self.shows(packet)

    def answers(self, packet: Packet) -> bool:
        del packet
        return False

    def shows(self, packet: Packet) -> bool:
        return self.token in bytes(packet)


@dataclass(frozen=True)
class Complaint:
    """An ICMP error: a packet was too big. It says a size that any link here has, so that nobody need heed it."""

    about: Packet
    name: str = "an error"

    def packet(self, source: Address, target: Address) -> Packet:
        if target.version == 4:
            return IP(src=str(source), dst=str(target)) / ICMP(type=3, code=4, nexthopmtu=LINK_MTU) / self.about
        return IPv6(src=str(source), dst=str(target)) / ICMPv6PacketTooBig(mtu=LINK_MTU) / self.about

    def asks(self, packet: Packet) -> bool:
        return self.shows(packet)

    def answers(self, packet: Packet) -> bool:
        del packet
        return False

    def shows(self, packet: Packet) -> bool:
        return bytes(self.about) in bytes(packet)
