"""The UDP datagram."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from scapy.layers.inet import UDP
from scapy.packet import Packet, Raw

from tunnelbed.observe.packets import IKE_PORT
from tunnelbed.observe.probes.probe import TOKEN_BYTES, Question, at, checked, header, quoted
from tunnelbed.topology.model import Address

HEADER = 8  # octets (RFC 768)


@dataclass(frozen=True)
class Datagram(Question):
    """A UDP datagram. A host with nothing on the port answers by an ICMP error; arriving is what counts."""

    said = "UDP port {port}"
    answered = False
    port: int
    token: bytes = field(default_factory=lambda: secrets.token_bytes(TOKEN_BYTES))
    from_port: int = 40000

    @classmethod
    def of(cls, port: int) -> Self:
        return cls(checked(port))

    @classmethod
    def posing(cls, port: int) -> Self:
        """From IKE's port: a rule that looks at that alone would accept it."""
        return cls(checked(port), from_port=IKE_PORT)

    @classmethod
    def names(cls, packet: Packet) -> Sequence[str]:
        if UDP not in packet:
            return ()
        return tuple(f"UDP port {port}" for port in (packet[UDP].dport, packet[UDP].sport))

    @property
    def name(self) -> str:
        return f"UDP port {self.port}"

    def packet(self, source: Address, target: Address) -> Packet:
        return header(source, target) / UDP(sport=self.from_port, dport=self.port) / Raw(self.token)

    def asks(self, packet: Packet) -> bool:
        return UDP in packet and self.token in bytes(packet[UDP].payload)

    def answers(self, packet: Packet) -> bool:
        return self.asks(packet) and packet[UDP].sport == self.port

    def shows(self, packet: Packet) -> bool:
        return self.token in bytes(packet)

    def nft_asks(self, version: int) -> str:
        del version
        return f"meta l4proto udp {at(HEADER, self.token)}"

    def nft_answers(self, version: int) -> str:
        return self.nft_asks(version)

    def nft_quotes(self, version: int) -> str:
        return quoted(version, HEADER, self.token)
