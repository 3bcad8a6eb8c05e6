"""A packet that says it is a fragment."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment
from scapy.packet import Packet

from tunnelbed.observe.probes.probe import TOKEN_BYTES, Probe
from tunnelbed.topology.model import Address


@dataclass(frozen=True)
class Fragment(Probe):
    """An IPv6 packet with a fragment header that is whole nevertheless (RFC 6946, an atomic fragment).

    Nobody waits for the rest of it, not even a node that keeps track of connections. IPv4 has no such packet.
    """

    token: bytes = field(default_factory=lambda: secrets.token_bytes(TOKEN_BYTES))
    answered = False

    @property
    def name(self) -> str:
        return "a fragment"

    def packet(self, source: Address, target: Address) -> Packet:
        header = IPv6(src=str(source), dst=str(target)) / IPv6ExtHdrFragment(id=int.from_bytes(self.token[:4], "big"))
        return header / ICMPv6EchoRequest(data=self.token)

    def asks(self, packet: Packet) -> bool:
        return IPv6ExtHdrFragment in packet and self.shows(packet)

    def shows(self, packet: Packet) -> bool:
        return self.token in bytes(packet)

    def nft_asks(self, version: int) -> str:
        del version
        return f"frag id {int.from_bytes(self.token[:4], 'big')}"
