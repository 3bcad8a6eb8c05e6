"""The ping."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPerror6, IPv6
from scapy.packet import Packet, Raw

from tunnelbed.observe.packets import ICMPV6_PROTOCOL, ip_of, protocol
from tunnelbed.observe.probes.probe import TOKEN_BYTES, Question, at, icmp_of, quoted
from tunnelbed.topology.model import Address

ECHO_REQUEST, ECHO_REPLY = 8, 0  # RFC 792
HEADER = 8  # octets of an echo message before its data, in both versions


@dataclass(frozen=True)
class Ping(Question):
    """An ICMP or ICMPv6 echo request (RFC 792, RFC 4443)."""

    said = "ICMP"
    also = ("ICMPv6",)
    token: bytes = field(default_factory=lambda: secrets.token_bytes(TOKEN_BYTES))

    @classmethod
    def of(cls, port: int) -> Self:
        del port
        return cls()

    @classmethod
    def names(cls, packet: Packet) -> Sequence[str]:
        if ICMP in packet:
            return ("ICMP",)
        header = ip_of(packet)
        return ("ICMPv6", "ICMP") if header is not None and protocol(header) == ICMPV6_PROTOCOL else ()

    @property
    def name(self) -> str:
        return "ping"

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
        return _is(packet, ECHO_REQUEST, ICMPv6EchoRequest) and self.shows(packet)

    def answers(self, packet: Packet) -> bool:
        return _is(packet, ECHO_REPLY, ICMPv6EchoReply) and self.shows(packet)

    def shows(self, packet: Packet) -> bool:
        return self.token in bytes(packet)

    def nft_asks(self, version: int) -> str:
        return f"{icmp_of(version)} {at(HEADER, self.token)}"

    def nft_answers(self, version: int) -> str:
        return self.nft_asks(version)

    def nft_quotes(self, version: int) -> str:
        return quoted(version, HEADER, self.token)


def _is(packet: Packet, number: int, layer: type[Packet]) -> bool:
    """Whether a packet is an echo message itself, of ICMP's type or ICMPv6's layer, and no error that quotes one."""
    if ICMP in packet:
        return bool(packet[ICMP].type == number)
    return layer in packet and IPerror6 not in packet
