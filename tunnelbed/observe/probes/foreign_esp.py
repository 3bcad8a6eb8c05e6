"""ESP that belongs to no tunnel."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from scapy.layers.ipsec import ESP
from scapy.packet import Packet

from tunnelbed.observe.packets import ESP_PROTOCOL, ip_of, protocol
from tunnelbed.observe.probes.probe import TOKEN_BYTES, SpokenProbe, at, header
from tunnelbed.topology.model import Address

HEADER = 8  # octets: SPI and sequence number (RFC 4303, 2)
RESERVED = 256  # SPIs from 1 to 255 are reserved (RFC 4303, 2.1)


@dataclass(frozen=True)
class ForeignEsp(SpokenProbe):
    """ESP of no tunnel (RFC 4303): content that no node has a key for. No node answers it; arriving is what counts."""

    said = "ESP"
    answered = False
    token: bytes = field(default_factory=lambda: secrets.token_bytes(TOKEN_BYTES))

    @classmethod
    def of(cls, port: int) -> Self:
        del port
        return cls()

    @classmethod
    def names(cls, packet: Packet) -> Sequence[str]:
        outer = ip_of(packet)
        return ("ESP",) if outer is not None and protocol(outer) == ESP_PROTOCOL else ()

    @property
    def name(self) -> str:
        return "ESP"

    def packet(self, source: Address, target: Address) -> Packet:
        number = RESERVED + secrets.randbelow(2**32 - RESERVED)
        return header(source, target) / ESP(spi=number, seq=1, data=self.token)

    def asks(self, packet: Packet) -> bool:
        return ESP in packet and self.shows(packet)

    def shows(self, packet: Packet) -> bool:
        return self.token in bytes(packet)

    def nft_asks(self, version: int) -> str:
        del version
        return f"meta l4proto {ESP_PROTOCOL} {at(HEADER, self.token)}"
