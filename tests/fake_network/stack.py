"""A node of the fake network: its addresses, routes and firewall, and what it does with a packet."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.fake_network import conntrack, nftables
from tests.fake_network.conntrack import Conntrack
from tests.fake_network.parts import Link, NotSent, Route, Sealer
from tests.fake_network.passing import TUN, Passing, ends_of, is_ike, mac_bytes, size_of, within
from tunnelbed.topology.model import Address, Interface, Node, Subnet

if TYPE_CHECKING:
    from tests.fake_network.network import FakeNetwork

LINK_MTU, TUNNEL_MTU = 1500, 1400  # the second is kernel-libipsec's
BROADCAST = "ff:ff:ff:ff:ff:ff"
IPV4, IPV6_TYPE = b"\x08\x00", b"\x86\xdd"  # linux/if_ether.h
NAT_T = 4500
# Of an ICMP error, who sends it quotes so much.
QUOTED = 548


class FakeNode:
    """One node."""

    def __init__(self, network: FakeNetwork, spec: Node, number: int) -> None:
        self.network, self.spec, self.name = network, spec, spec.name
        self.links = {
            at.network: Link(at.network, f"02:00:00:00:{number:02x}:{index:02x}")
            for index, at in enumerate(spec.attachments)
        }
        self.sealer = Sealer()
        self.services: dict[int, Callable[[FakeNode, Packet], None]] = {}
        self.inboxes: dict[tuple[str, int], list[Packet]] = {}
        self.files: dict[str, str] = {}
        self.counters = {"IPReversePathFilter": 0}
        self.processes: set[str] = set()
        self.more_capabilities: frozenset[str] = frozenset()
        self.sysctls = {key: str(value) for key, value in spec.sysctls.items()}
        self.reset()

    def reset(self) -> None:
        """What a start of the node makes: addresses, routes, rules; nothing is remembered."""
        self.rules, self.tracked = nftables.Ruleset(), Conntrack()
        self.routes: list[Route] = []
        self.steers: list[tuple[Subnet, Subnet, str]] = []
        for at in self.spec.attachments:
            link = self.links.setdefault(at.network, Link(at.network, "02:00:00:00:ff:00"))
            link.addresses, link.up, link.private = list(at.addresses), True, False

    def forwards(self, version: int) -> bool:
        """Whether the node forwards packets of an IP version."""
        keys = {4: ("net.ipv4.ip_forward",), 6: ("net.ipv6.conf.all.forwarding",)}[version]
        return any(str(self.sysctls.get(key, "0")) == "1" for key in keys)

    @property
    def strict(self) -> bool:
        """Whether it believes only a source that the route back agrees with."""
        return str(self.sysctls.get("net.ipv4.conf.all.rp_filter", "0")) == "1"

    def addresses(self) -> Iterator[tuple[str, Interface]]:
        """Each of its addresses with its interface; those of `lo` included."""
        for link in self.links.values():
            for interface in link.addresses:
                yield link.name, interface

    def has(self, address: Address) -> bool:
        """Whether an address is its own."""
        return any(interface.ip == address for _, interface in self.addresses())

    def route(self, target: Address, source: Address | None = None) -> Route | None:
        """Where a packet goes; None where nowhere."""
        table = "main"
        for froms, tos, name in self.steers:
            if source is not None and within(source, froms) and within(target, tos):
                table = name
        # Rules that a person makes come before charon's own table (220).
        tunnelled = self.sealer.policies() if self.sealer.plane == "user" and table == "main" else ()
        for policy in tunnelled:
            if any(target in one for one in policy.remote) and not self.network.direct(self, target):
                own = next((at.ip for _, at in self.addresses() for one in policy.local if at.ip in one), None)
                return Route(ipaddress.ip_network(target), TUN, source=own)
        connected = [
            Route(interface.network, name)
            for name, interface in self.addresses()
            if self.links[name].up and name != "lo" and table == "main"
        ]
        usable = [
            route
            for route in (*connected, *self.routes)
            if within(target, route.target) and (route in connected or route.table == table) and self._leads(route)
        ]
        return max(usable, key=lambda route: route.target.prefixlen, default=None)

    def _leads(self, route: Route) -> bool:
        return not route.device or (route.device in self.links and self.links[route.device].up)

    def source_for(self, target: Address) -> Address | None:
        """The address with which the node speaks to a target."""
        route = self.route(target)
        if route is None or not route.device:
            return None
        if route.source is not None:
            return route.source
        for policy in self.sealer.policies():
            if any(target in one for one in policy.remote):
                for _, own in self.addresses():
                    if any(own.version == one.version and own.ip in one for one in policy.local):
                        return own.ip
        near = route.via or target
        on = [own for own in self.links[route.device].addresses if own.version == target.version]
        on.sort(key=lambda own: near not in own.network)
        others = [own for name, own in self.addresses() if own.version == target.version and name != "lo"]
        return next((own.ip for own in (*on, *others)), None)

    # What comes in.

    def heard(self, name: str, data: bytes) -> None:
        """A frame comes in by an interface; its watchers have seen it."""
        for chain in self.rules.egress(name, "ingress"):
            entering = Passing(self, Ether(data).payload, name, "", frame=data)
            self.rules.decide(chain, entering, lambda _: None)
        if data[:6].hex(":") == self.links[name].mac and data[12:14] in (IPV4, IPV6_TYPE):
            self.receive(IP(data[14:]) if data[12:14] == IPV4 else IPv6(data[14:]), name)

    def receive(self, packet: Packet, came: str, *, sealed: bool = False) -> None:
        """An IP packet comes in, by the wire or out of a tunnel (`sealed`)."""
        passing = Passing(self, packet, came, "", came_sealed=sealed and self.sealer.plane == "kernel")
        source, target = ends_of(packet)
        if source.version == 4 and self.strict and not passing.route_back():
            self.counters["IPReversePathFilter"] += 1
            return
        passing.state, passing.entry, passing.back = self.tracked.state(packet)
        if not self._passes(passing, "prerouting"):
            return
        source, target = ends_of(packet)
        if self.has(target):
            if self._passes(passing, "input"):
                self._keep(passing)
                self.deliver(packet, came)
        elif self.forwards(target.version):
            self._forward(passing, source, target)

    def _forward(self, passing: Passing, source: Address, target: Address) -> None:
        packet, hops = passing.packet, "ttl" if target.version == 4 else "hlim"
        if getattr(packet, hops) <= 1:
            self.complain(packet, "time", passing)
            return
        route = self.route(target, source)
        if route is None or not route.device:
            self.complain(packet, "unreachable", passing)
            return
        passing.goes = route.device
        passing.goes_sealed = self.sealer.plane == "kernel" and self._policy(source, target)
        if size_of(packet) > self._mtu(passing) and (target.version == 6 or "DF" in packet.flags):
            self.complain(packet, "size", passing)
            return
        setattr(packet, hops, getattr(packet, hops) - 1)
        conntrack.fresh(packet)
        if self._passes(passing, "forward"):
            self._leave(passing, route)

    def deliver(self, packet: Packet, came: str) -> None:
        """A packet is for the node itself."""
        if ESP in packet or (UDP in packet and NAT_T in (packet[UDP].sport, packet[UDP].dport) and not is_ike(packet)):
            inner = self.sealer.open(packet)
            if inner:
                opened = IP(inner) if inner[0] >> 4 == 4 else IPv6(inner)
                entering = TUN if self.sealer.plane == "user" else came
                self.network.seen(self, entering, bytes(opened), outgoing=False, like=packet)
                self.receive(opened, entering, sealed=True)
        elif ICMP in packet and packet[ICMP].type == 8:
            self.reply(packet, ICMP(type=0, id=packet[ICMP].id, seq=packet[ICMP].seq) / packet[ICMP].payload)
        elif ICMPv6EchoRequest in packet:
            asked = packet[ICMPv6EchoRequest]
            self.reply(packet, ICMPv6EchoReply(id=asked.id, seq=asked.seq, data=asked.data))
        elif TCP in packet:
            self._tcp(packet)
        elif UDP in packet:
            if packet[UDP].dport in (self.sealer.port, NAT_T) and self.sealer.plane:
                self.sealer.hear(packet)
            elif ("udp", packet[UDP].dport) not in self.inboxes:
                self.complain(packet, "port")
        else:
            for (protocol, _), inbox in self.inboxes.items():
                if protocol == "icmp":
                    inbox.append(packet)

    def _tcp(self, packet: Packet) -> None:
        asked = packet[TCP]
        if ("tcp", asked.dport) in self.inboxes:
            self.inboxes["tcp", asked.dport].append(packet)
        elif asked.dport in self.services:
            self.services[asked.dport](self, packet)
        elif "R" not in asked.flags:
            reset = TCP(sport=asked.dport, dport=asked.sport, flags="RA", seq=0, ack=(asked.seq + 1) % (1 << 32))
            self.reply(packet, reset)

    # What goes out.

    def send(self, packet: Packet) -> None:
        """Send a packet of the node's own. Raises `NotSent` where the kernel refuses it."""
        source, target = ends_of(packet)
        if self.has(target):
            self.network.later(lambda: self.deliver(packet, "lo"))
            return
        route = self.route(target, source)
        if route is None:
            raise NotSent(errno.ENETUNREACH)
        if not route.device:  # a blackhole (fib_props of net/ipv4/fib_semantics.c)
            raise NotSent(errno.EINVAL)
        passing = Passing(self, packet, "", route.device)
        passing.goes_sealed = self.sealer.plane == "kernel" and self._policy(source, target)
        passing.state, passing.entry, passing.back = self.tracked.state(packet)
        if size_of(packet) > self._mtu(passing):
            raise NotSent(errno.EMSGSIZE)
        if not self._passes(passing, "output"):
            raise NotSent(errno.EPERM)
        self._leave(passing, route)

    def reply(self, packet: Packet, payload: Packet) -> None:
        """Answer a packet, with its addresses turned round."""
        header = type(packet)(src=packet.dst, dst=packet.src)
        self.try_to_send(header / payload)

    def try_to_send(self, packet: Packet) -> None:
        """Send a packet, or not: nobody waits for it."""
        try:
            self.send(packet)
        except NotSent:
            return

    def complain(self, packet: Packet, why: str, passing: Passing | None = None) -> None:
        """Send the packet's sender an ICMP error about it: `time`, `unreachable`, `size` or `port`."""
        if conntrack.is_error(packet):
            return
        source, target = ends_of(packet)
        about = packet.copy()
        if passing is not None and passing.entry is not None:
            # Who is not through yet is known all the same, as what it came as.
            self._undo(about, passing)
            source, _ = ends_of(about)
        own = target if why == "port" else self.source_for(source)
        if own is None:
            return
        mtu = self._mtu(passing) if passing else LINK_MTU
        error: Packet
        if source.version == 4:
            kinds = {"time": (11, 0), "unreachable": (3, 0), "size": (3, 4), "port": (3, 3)}
            number, code = kinds[why]
            error = ICMP(type=number, code=code, nexthopmtu=mtu if why == "size" else 0)
            whole: Packet = IP(src=str(own), dst=str(source)) / error / Raw(bytes(about)[:QUOTED])
        else:
            error = {
                "time": ICMPv6TimeExceeded(),
                "unreachable": ICMPv6DestUnreach(code=0),
                "size": ICMPv6PacketTooBig(mtu=mtu),
                "port": ICMPv6DestUnreach(code=4),
            }[why]
            whole = IPv6(src=str(own), dst=str(source)) / error / Raw(bytes(about)[:1200])
        # Read again, so that what is quoted is known as a packet; and what it is about, as the conversation it begins.
        tracked = passing.entry if passing is not None and passing.state == "new" else None
        if tracked is not None:
            self.tracked.keep(tracked)
        self.try_to_send(type(whole)(bytes(whole)))

    def _undo(self, packet: Packet, passing: Passing) -> None:
        """Give a packet the addresses back that it came with."""
        entry = passing.entry
        if entry is not None:
            flow = entry.reply if passing.back else entry.original
            conntrack.translate(packet, flow, source=True, target=True)
            bytes(packet)

    def _leave(self, passing: Passing, route: Route) -> None:
        """A packet leaves by its route, sealed if a policy says so."""
        if not self._passes(passing, "postrouting"):
            return
        self._keep(passing)
        packet = passing.packet
        source, target = ends_of(packet)
        if route.device == TUN or (self.sealer.plane == "kernel" and self._policy(source, target)):
            if route.device == TUN:
                self.network.seen(self, TUN, bytes(packet), outgoing=True)
            outer = self.sealer.seal(packet)
            if outer is not None:
                self.try_to_send(outer)
            return
        self._transmit(packet, route, target)

    def _transmit(self, packet: Packet, route: Route, target: Address) -> None:
        hop = route.via or target
        mac = self.network.mac_of(hop, route.device, self)
        link = self.links[route.device]
        if mac is None:
            asked = ARP(op=1, hwsrc=link.mac, psrc=str(self.source_for(hop) or "0.0.0.0"), pdst=str(hop))
            if hop.version == 4:
                self.network.transmit(self, route.device, bytes(Ether(src=link.mac, dst=BROADCAST) / asked))
            return
        header = mac_bytes(mac) + mac_bytes(link.mac) + (IPV4 if target.version == 4 else IPV6_TYPE)
        data = bytes(packet)
        pieces = [data] if len(data) <= LINK_MTU else [bytes(one) for one in packet.fragment(LINK_MTU - 20)]
        for piece in pieces:
            self.network.transmit(self, route.device, header + piece)

    def _policy(self, source: Address, target: Address) -> bool:
        return any(policy.covers(source, target) for policy in self.sealer.policies())

    def _mtu(self, passing: Passing) -> int:
        return TUNNEL_MTU if passing.goes == TUN or passing.goes_sealed else LINK_MTU

    def _keep(self, passing: Passing) -> None:
        if passing.entry is not None and passing.state != "related":
            self.tracked.keep(passing.entry)

    # The firewall.

    def _passes(self, passing: Passing, hook: str) -> bool:
        """Whether a packet gets through a hook; translated as its rules, or its conversation, say."""
        family = "ip" if isinstance(passing.packet, IP) else "ip6"
        translated = False
        for chain in self.rules.on(hook, family):
            if chain.type == "nat":
                if passing.state != "new" or passing.known or passing.entry is None:
                    continue
                made = self.rules.decide(chain, passing, passing.told)
                if made.translation is not None and not translated:
                    translated = True
                    self._remember(passing, *made.translation)
            else:
                if chain.priority > -100 and hook in ("prerouting", "output"):
                    self._translate(passing, hook)
                made = self.rules.decide(chain, passing, passing.told)
            if made.verdict in ("drop", "reject"):
                if made.verdict == "reject":
                    self.complain(passing.packet, "port", passing)
                return False
        self._translate(passing, hook)
        return True

    def _remember(self, passing: Passing, how: str, argument: str) -> None:
        entry = passing.entry
        if entry is None:
            return
        source, _ = ends_of(passing.packet)
        if how == "dnat":
            address, _, port = argument.rpartition(":") if argument.count(":") == 1 else (argument, "", "")
            conntrack.dnat(entry, address, int(port) if port else None)
        elif how == "redirect":
            own = next(at.ip for at in self.links[passing.came].addresses if at.version == source.version)
            conntrack.dnat(entry, str(own), None)
        elif how == "snat":
            conntrack.snat(entry, argument)
        else:
            own = next((at.ip for at in self.links[passing.goes].addresses if at.version == source.version), source)
            conntrack.snat(entry, str(own))

    def _translate(self, passing: Passing, hook: str) -> None:
        """Give a packet the addresses of its conversation: targets as it comes, sources as it goes."""
        entry, packet = passing.entry, passing.packet
        if entry is None:
            return
        flow = entry.original.back if passing.back else entry.onward
        target, source = hook in ("prerouting", "output"), hook == "postrouting"
        if passing.state == "related":
            if target and passing.back is False:
                return
            if target and packet.dst != entry.original.source and packet.dst == entry.reply.target:
                packet.dst = entry.original.source
                conntrack.fresh(packet)
            return
        before = packet.dst if target else packet.src
        if (target and before != flow.target) or (source and before != flow.source):
            conntrack.translate(packet, flow, source=source, target=target)
        elif target and packet.haslayer(TCP) and packet[TCP].dport != flow.to_port:
            conntrack.translate(packet, flow, source=False, target=True)
        elif source and packet.haslayer(TCP) and packet[TCP].sport != flow.from_port:
            conntrack.translate(packet, flow, source=True, target=False)
