"""The ICMP error about a packet that was too big."""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Packet

from tunnelbed.observe.probes.probe import LINK_MTU, Probe, icmp_of
from tunnelbed.topology.model import Address


@dataclass(frozen=True)
class PacketTooBig(Probe):
    """An ICMP error: a packet was too big. Its MTU is one that every link here has, so that no node changes anything.

    It is about another packet, and so of no kind that a sentence can name.
    """

    about: Packet
    answered = False

    @property
    def name(self) -> str:
        return "an error"

    def packet(self, source: Address, target: Address) -> Packet:
        if target.version == 4:
            return IP(src=str(source), dst=str(target)) / ICMP(type=3, code=4, nexthopmtu=LINK_MTU) / self.about
        return IPv6(src=str(source), dst=str(target)) / ICMPv6PacketTooBig(mtu=LINK_MTU) / self.about

    def asks(self, packet: Packet) -> bool:
        return self.shows(packet)

    def shows(self, packet: Packet) -> bool:
        return bytes(self.about) in bytes(packet)

    def nft_asks(self, version: int) -> str:
        return icmp_of(version)
