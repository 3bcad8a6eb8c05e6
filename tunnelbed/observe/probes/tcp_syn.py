"""The first packet of a TCP connection."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from scapy.layers.inet import TCP
from scapy.packet import Packet

from tunnelbed.observe.probes.probe import Question, at, checked, header, quoted
from tunnelbed.topology.model import Address

SYN, SYN_ACK = 0x02, 0x12
SEQUENCE, ACKNOWLEDGEMENT = 4, 8  # octets into the header (RFC 9293, 3.1)


@dataclass(frozen=True)
class TcpSyn(Question):
    """The first packet of a TCP connection; the answer is an open port's (RFC 9293, 3.5).

    NAT leaves sequence numbers alone, so the probe's own is its mark.
    """

    said = "TCP port {port}"
    port: int
    number: int = field(default_factory=lambda: secrets.randbits(32))
    from_port: int = field(default_factory=lambda: 40000 + secrets.randbelow(20000))

    @classmethod
    def of(cls, port: int) -> Self:
        return cls(checked(port))

    @classmethod
    def names(cls, packet: Packet) -> Sequence[str]:
        if TCP not in packet:
            return ()
        return tuple(f"TCP port {port}" for port in (packet[TCP].dport, packet[TCP].sport))

    @property
    def name(self) -> str:
        return f"TCP port {self.port}"

    def packet(self, source: Address, target: Address) -> Packet:
        return header(source, target) / TCP(sport=self.from_port, dport=self.port, flags="S", seq=self.number)

    def asks(self, packet: Packet) -> bool:
        return TCP in packet and int(packet[TCP].flags) == SYN and packet[TCP].seq == self.number

    def answers(self, packet: Packet) -> bool:
        return self._reacts(packet) and int(packet[TCP].flags) == SYN_ACK

    def shows(self, packet: Packet) -> bool:
        # Where TCP is not read as such, as behind ESP's header, the port and the number stand one behind the other.
        mark = self.port.to_bytes(2, "big") + self.number.to_bytes(4, "big")
        return self.asks(packet) or self._reacts(packet) or (TCP not in packet and mark in bytes(packet))

    def nft_asks(self, version: int) -> str:
        del version
        return f"meta l4proto tcp {at(SEQUENCE, self.number.to_bytes(4, 'big'))}"

    def nft_answers(self, version: int) -> str:
        del version
        return f"meta l4proto tcp {at(ACKNOWLEDGEMENT, self._acknowledged.to_bytes(4, 'big'))}"

    def nft_quotes(self, version: int) -> str:
        return quoted(version, SEQUENCE, self.number.to_bytes(4, "big"))

    def _reacts(self, packet: Packet) -> bool:
        """Whether this acknowledges the probe, by a yes or by a reset."""
        return TCP in packet and packet[TCP].ack == self._acknowledged

    @property
    def _acknowledged(self) -> int:
        return (self.number + 1) % (1 << 32)
