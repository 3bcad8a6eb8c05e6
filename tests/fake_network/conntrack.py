"""Connection tracking and NAT, as a node's kernel has it: which packet belongs to which conversation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPerror6,
)
from scapy.packet import Packet

ERRORS6 = (ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded)
ERRORS4 = (3, 11)


@dataclass(frozen=True)
class Flow:
    """One direction of a conversation."""

    protocol: str
    source: str
    target: str
    from_port: int
    to_port: int

    @property
    def back(self) -> Flow:
        """The other direction, were nothing translated."""
        return Flow(self.protocol, self.target, self.source, self.to_port, self.from_port)


@dataclass
class Entry:
    """A conversation: as it came, and what its answers look like when they come."""

    original: Flow
    reply: Flow
    answered: bool = False

    @property
    def onward(self) -> Flow:
        """What the first direction becomes."""
        return self.reply.back


def is_error(packet: Packet) -> bool:
    """Whether it is an ICMP error, which quotes another packet."""
    if ICMP in packet and IPerror not in packet and packet[ICMP].type in ERRORS4:
        return True
    if ICMP in packet:
        return bool(packet[ICMP].type in ERRORS4)
    return any(layer in packet for layer in ERRORS6)


def flow_of(packet: Packet, *, quoted: bool = False) -> Flow | None:
    """The direction of a conversation that a packet, or the one that it quotes, belongs to."""
    if quoted:
        header = packet.getlayer(IPerror) or packet.getlayer(IPerror6)
        if header is None:
            return None
        layers = {TCPerror: "tcp", UDPerror: "udp"}
        found = next(((name, header[layer]) for layer, name in layers.items() if layer in header), None)
        if found:
            return Flow(found[0], header.src, header.dst, found[1].sport, found[1].dport)
        for layer in header.iterpayloads():
            number = getattr(layer, "id", None)
            if "ICMP" in type(layer).__name__ and number is not None:
                asks = getattr(layer, "type", None) in (8, 128)
                return Flow("echo", header.src, header.dst, number, 0) if asks else _answer(header, number)
        return Flow(str(getattr(header, "proto", 0) or getattr(header, "nh", 0)), header.src, header.dst, 0, 0)
    for carrier, name in ((TCP, "tcp"), (UDP, "udp")):
        if packet.haslayer(carrier):
            return Flow(name, packet.src, packet.dst, packet[carrier].sport, packet[carrier].dport)
    if ICMP in packet and packet[ICMP].type in (0, 8):
        number = packet[ICMP].id
        return Flow("echo", packet.src, packet.dst, number, 0) if packet[ICMP].type else _answer(packet, number)
    for message in (ICMPv6EchoRequest, ICMPv6EchoReply):
        if message in packet:
            number = packet[message].id
            asks = message is ICMPv6EchoRequest
            return Flow("echo", packet.src, packet.dst, number, 0) if asks else _answer(packet, number)
    number = packet.proto if isinstance(packet, IP) else packet.nh
    return Flow(str(number), packet.src, packet.dst, 0, 0)


def _answer(header: Packet, number: int) -> Flow:
    return Flow("echo", header.src, header.dst, 0, number)


class Conntrack:
    """The conversations that a node knows."""

    def __init__(self) -> None:
        self._known: dict[Flow, Entry] = {}

    def state(self, packet: Packet) -> tuple[str, Entry | None, bool]:
        """A packet's state, its conversation if there is one, and whether it goes the second direction."""
        if is_error(packet):
            quoted = flow_of(packet, quoted=True)
            for one in (quoted, quoted.back) if quoted else ():
                if one in self._known:
                    entry = self._known[one]
                    # The error goes against what it quotes.
                    return "related", entry, quoted in (entry.original, entry.onward)
            return "invalid", None, False
        flow = flow_of(packet)
        if flow is None:
            return "invalid", None, False
        if flow in self._known:
            entry = self._known[flow]
            back = flow == entry.reply
            entry.answered |= back
            return ("established" if entry.answered else "new"), entry, back
        # An answer that nobody asked for begins nothing.
        if flow.protocol == "echo" and flow.from_port == 0 and flow.to_port:
            return "invalid", None, False
        return "new", Entry(flow, flow.back), False

    def knows(self, entry: Entry) -> bool:
        """Whether a conversation is remembered."""
        return self._known.get(entry.original) is entry

    def keep(self, entry: Entry) -> None:
        """Remember a conversation, once its first packet has got through."""
        self._known.setdefault(entry.original, entry)
        self._known.setdefault(entry.reply, entry)


def translate(packet: Packet, flow: Flow, *, source: bool, target: bool) -> None:
    """Give a packet the source or the target of a flow, with its port."""
    ports = next((packet[layer] for layer in (TCP, UDP) if packet.haslayer(layer)), None)
    if source:
        packet.src = flow.source
        if ports is not None:
            ports.sport = flow.from_port
    if target:
        packet.dst = flow.target
        if ports is not None:
            ports.dport = flow.to_port
    fresh(packet)


def fresh(packet: Packet) -> None:
    """Let Scapy compute lengths and checksums anew."""
    for layer in (packet, *packet.iterpayloads()):
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                del layer.fields[name]
        if isinstance(layer, ICMP):
            break


def dnat(entry: Entry, address: str, port: int | None) -> None:
    """The conversation goes to another target."""
    entry.reply = replace(entry.reply, source=address, from_port=port or entry.reply.from_port)


def snat(entry: Entry, address: str) -> None:
    """The conversation seems to come from another source."""
    entry.reply = replace(entry.reply, target=address)
