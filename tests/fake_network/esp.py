"""ESP of the fake network: security associations, and a cipher that hides and proves enough for tests.

A stream of SHA-256 over key, SPI and sequence number hides a packet; a tag proves it. With the NULL cipher nothing is
hidden, and the tag still proves it (RFC 2410).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.packet import Packet

TAG = 16
NAT_T = 4500


@dataclass
class Sa:
    """One direction of a tunnel; both ends hold the same object. Traffic selectors are those of the sender."""

    spi: int
    source: str
    target: str
    null: bool = False
    in_udp: bool = False
    key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    sent: int = 0
    bytes: int = 0
    seen: set[int] = field(default_factory=set)


class Refused(Exception):
    """A packet that an SA does not take; the text is charon's, the counter the kernel's."""

    def __init__(self, text: str, counter: str) -> None:
        super().__init__(text)
        self.counter = counter


def seal(sa: Sa, inner: bytes) -> Packet:
    """The packet that carries another one."""
    sa.sent += 1
    sa.bytes += len(inner)
    hidden = inner if sa.null else _mixed(sa, sa.sent, inner)
    esp = ESP(spi=sa.spi, seq=sa.sent, data=hidden + _tag(sa, sa.sent, hidden))
    header = (IPv6 if ":" in sa.source else IP)(src=sa.source, dst=sa.target)
    return header / UDP(sport=NAT_T, dport=NAT_T) / esp if sa.in_udp else header / esp


def opened(sa: Sa, esp: Packet) -> bytes:
    """What a packet carries. Raises `Refused`."""
    number, data = int(esp.seq), bytes(esp.data)
    if number in sa.seen:
        raise Refused("ESP sequence number verification failed", "XfrmInStateSeqError")
    hidden, tag = data[:-TAG], data[-TAG:]
    if tag != _tag(sa, number, hidden):
        raise Refused("ESP decryption or ICV verification failed", "XfrmInStateProtoError")
    sa.seen.add(number)
    return hidden if sa.null else _mixed(sa, number, hidden)


def _mixed(sa: Sa, number: int, data: bytes) -> bytes:
    stream = b""
    block = 0
    while len(stream) < len(data):
        stream += hashlib.sha256(sa.key + b"%d %d %d" % (sa.spi, number, block)).digest()
        block += 1
    return bytes(one ^ other for one, other in zip(data, stream, strict=False))


def _tag(sa: Sa, number: int, hidden: bytes) -> bytes:
    return hashlib.sha256(sa.key + b"tag %d %d" % (sa.spi, number) + hidden).digest()[:TAG]
