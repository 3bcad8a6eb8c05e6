"""What a probe is: one packet that is recognised again wherever it turns up.

A probe marks its packets (a random token in the payload, a random sequence number), so that it is recognised at every
interface it passes, whatever NAT made of its addresses, and so that no other traffic is taken for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol, Self

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from tunnelbed.errors import BadInput
from tunnelbed.observe.packets import ICMPV6_PROTOCOL
from tunnelbed.topology.model import LAST_PORT, Address

LINK_MTU = 1500  # Ethernet's
TOKEN_BYTES = 16  # nftables compares at most 128 bits at once
ICMP_PROTOCOL = 1  # RFC 792


class Marked(Protocol):
    """Something that can be recognised in a packet."""

    def shows(self, packet: Packet) -> bool:
        """Whether anything of it can be read in this packet."""


class Probe(Marked, ABC):
    """One question to the network."""

    # Whether whoever is asked gives an answer to wait for; of other probes the arrival is all that can be seen.
    answered: ClassVar[bool] = True

    @property
    @abstractmethod
    def name(self) -> str:
        """As a report calls it: `ping`, `TCP port 8080`."""

    @abstractmethod
    def packet(self, source: Address, target: Address) -> Packet:
        """The IP packet that asks."""

    @abstractmethod
    def asks(self, packet: Packet) -> bool:
        """Whether this is the question, perhaps with other addresses."""

    def answers(self, packet: Packet) -> bool:
        """Whether this is a yes to it."""
        del packet
        return False

    @abstractmethod
    def nft_asks(self, version: int) -> str:
        """The nftables expression (nft(8)) that matches the question in this IP version."""


class SpokenProbe(Probe):
    """A probe of a kind that sentences can name, and what they call packets of that kind.

    `said` is the name, where `{port}` stands for a number: `TCP port {port}`. `also` are other names that a packet of
    the kind may have in a sentence.
    """

    said: ClassVar[str]
    also: ClassVar[Sequence[str]] = ()

    @classmethod
    @abstractmethod
    def of(cls, port: int) -> Self:
        """A new probe of the kind to this port, which a kind without ports ignores. Raises `BadInput`."""

    @classmethod
    def posing(cls, port: int) -> Self:
        """Likewise, from the source port that a careless firewall rule is most likely to accept."""
        return cls.of(port)

    @classmethod
    @abstractmethod
    def names(cls, packet: Packet) -> Sequence[str]:
        """What sentences call a packet of this kind: by the receiver's port, then otherwise; else nothing."""


class Question(SpokenProbe):
    """A probe that every firewall on its way recognises, and so that `invoke trace` can follow."""

    @abstractmethod
    def nft_answers(self, version: int) -> str:
        """The nftables expression that matches an answer to it."""

    @abstractmethod
    def nft_quotes(self, version: int) -> str:
        """The nftables expression that matches an ICMP error that quotes it."""

    def nft_matches(self, version: int) -> Sequence[str]:
        """The nftables expressions that match all packets of the probe, whatever NAT did to its addresses."""
        found = self.nft_asks(version), self.nft_answers(version), self.nft_quotes(version)
        return list(dict.fromkeys(found))


def filled(packet: Packet, size: int) -> Packet:
    """An IP packet made as large as so many bytes, that no router may part."""
    if IP in packet:
        packet[IP].flags = "DF"
    return packet / Raw(b"\0" * (size - len(packet)))


def header(source: Address, target: Address) -> Packet:
    """The IP header of a packet."""
    return (IP if target.version == 4 else IPv6)(src=str(source), dst=str(target))


def checked(port: int) -> int:
    """A port of TCP, UDP and their like. Raises `BadInput` where no such protocol has it."""
    if not 1 <= port <= LAST_PORT:
        raise BadInput("port", "", port, f"1 to {LAST_PORT}", "correct the port")
    return port


def icmp_of(version: int) -> str:
    """The nftables expression that matches ICMP, or ICMPv6."""
    return f"meta l4proto {ICMP_PROTOCOL if version == 4 else ICMPV6_PROTOCOL}"


def at(octet: int, value: bytes) -> str:
    """The nftables expression that matches these bytes, so many octets into the transport header.

    A raw payload expression (nft(8)): an offset and a length, both in bits.
    """
    return f"@th,{octet * 8},{len(value) * 8} 0x{value.hex()}"


def quoted(version: int, octet: int, value: bytes) -> str:
    """Likewise, of an ICMP error that quotes such a packet: eight octets, then the packet from its IP header on.

    RFC 792, RFC 4443.
    """
    return f"{icmp_of(version)} {at(8 + (20 if version == 4 else 40) + octet, value)}"
