"""A packet on its way through a node's firewall, and what rules may ask of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.ipsec import ESP
from scapy.packet import Packet

from tests.fake_network import conntrack, nftables
from tests.fake_network.conntrack import Entry
from tunnelbed.topology.model import Address, Subnet

if TYPE_CHECKING:
    from tests.fake_network.stack import FakeNode

TUN = "ipsec0"


class Passing(nftables.Packet):
    """A packet on its way through a node's firewall."""

    def __init__(
        self, node: FakeNode, packet: Packet, came: str, goes: str, *, came_sealed: bool = False, frame: bytes = b""
    ) -> None:
        self.node, self.packet, self.came, self.goes = node, packet, came, goes
        self.came_sealed, self.goes_sealed = came_sealed, False
        self.state, self.back, self.traced = "new", False, False
        self.entry: Entry | None = None
        self.frame = frame
        self.number = f"{node.network.next_number():08x}"

    @property
    def known(self) -> bool:
        """Whether its conversation was known before it."""
        return self.entry is not None and self.node.tracked.knows(self.entry)

    def told(self, line: str) -> None:
        """A rule decided something about it."""
        if self.traced:
            self.node.network.traced(self.node, f"trace id {self.number} {line}")

    def field(self, name: str) -> object:
        packet = self.packet
        six = isinstance(packet, IPv6)
        family, _, what = name.partition(" ")
        if family in ("ip", "ip6"):
            if six != (family == "ip6") or not isinstance(packet, IP | IPv6):
                return None
            found: dict[str, Callable[[], object]] = {
                "saddr": lambda: ipaddress.ip_address(packet.src),
                "daddr": lambda: ipaddress.ip_address(packet.dst),
                "length": lambda: size_of(packet) - (40 if six else 0),
                "hoplimit": lambda: int(packet.hlim),
            }
            return found[what]()
        if family == "meta":
            return self._meta(what)
        if family == "frag":
            return int(packet[IPv6ExtHdrFragment].id) if packet.haslayer(IPv6ExtHdrFragment) else None
        if family in ("tcp", "udp", "th"):
            layer = next((one for one in (TCP, UDP) if packet.haslayer(one)), None)
            if layer is None or (family != "th" and layer.__name__.casefold() != family) or self._quotes():
                return None
            return int(packet[layer].flags) if what == "flags" else int(getattr(packet[layer], what))
        return self._icmp(family, what)

    def _quotes(self) -> bool:
        return conntrack.is_error(self.packet)

    def _meta(self, what: str) -> object:
        packet = self.packet
        six = isinstance(packet, IPv6)
        match what:
            case "l4proto":
                header = packet[IPv6ExtHdrFragment] if packet.haslayer(IPv6ExtHdrFragment) else packet
                return int(header.nh if six else packet.proto)
            case "length":
                return size_of(packet)
            case "nfproto":
                return "ipv6" if six else "ipv4"
            case "protocol":
                return "ip6" if six else "ip" if isinstance(packet, IP) else "other"
        raise ValueError(f"meta {what} is not known here")

    def _icmp(self, family: str, what: str) -> object:
        packet = self.packet
        if family == "icmp" and ICMP in packet:
            return int({"type": packet[ICMP].type, "code": packet[ICMP].code, "sequence": packet[ICMP].seq or 0}[what])
        if family == "icmpv6" and isinstance(packet, IPv6) and packet.nh == 58:
            return int(getattr(packet.payload, {"sequence": "seq"}.get(what, what)))
        return None

    def raw(self, offset: int, length: int) -> int | None:
        data = bytes(self.packet.payload)[offset // 8 : (offset + length) // 8]
        return int.from_bytes(data, "big") if len(data) == length // 8 else None

    def route_back(self) -> bool:
        source, target = ends_of(self.packet)
        if self.node.has(source):
            return False
        route = self.node.route(source, target)
        if route is not None and route.device == TUN:
            # ESP and IKE come by the wire, though what they carry comes by the tunnel.
            return self.came == TUN or UDP in self.packet or ESP in self.packet
        return route is not None and route.device in (self.came, "")

    def for_us(self) -> bool:
        return self.node.has(ends_of(self.packet)[1])

    def untrack(self) -> None:
        self.state, self.entry = "untracked", None

    def mangle(self, name: str, value: int) -> None:
        if name not in ("udp sport", "udp dport"):
            raise ValueError(f"mangling of {name} is not known here")
        setattr(self.packet[UDP], name.partition(" ")[2], value)
        conntrack.fresh(self.packet)

    def duplicate(self, device: str) -> None:
        if self.frame:
            self.node.network.transmit(self.node, device, self.frame)


def size_of(packet: Packet) -> int:
    """An IP packet's bytes; Scapy's own `len` builds it anew."""
    told = packet.len if isinstance(packet, IP) else packet.plen
    if told is None:
        return len(packet)
    return int(told) + (40 if isinstance(packet, IPv6) else 0)


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ends_of(packet: Packet) -> tuple[Address, Address]:
    return ipaddress.ip_address(packet.src), ipaddress.ip_address(packet.dst)


def within(address: Address, subnet: Subnet) -> bool:
    return address.version == subnet.version and address in subnet


def is_ike(packet: Packet) -> bool:
    data = bytes(packet[UDP].payload)
    return data[:4] == b"\0\0\0\0" or data == b"\xff" or 500 in (packet[UDP].sport, packet[UDP].dport)
