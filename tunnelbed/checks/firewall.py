"""What a firewall decides about a packet, as the kernel traces it (`nftrace`)."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tunnelbed.checks.address_selection import address_towards, addresses_towards, source_address
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.observe import nftrace
from tunnelbed.observe.evidence import FirewallTrace
from tunnelbed.observe.packets import IKE_PORT
from tunnelbed.observe.probes import Datagram, Fragment, PacketTooBig, Probe, registry
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.model import Address, Network, Node

# What people let through before they look at a source: ping, SSH, HTTPS, DNS, NTP.
FORGED_KINDS = ("ICMP", "TCP port 22", "TCP port 443", "UDP port 53", "UDP port 123")
DISCARD_PORT = 9
# Seconds until a packet is sent again that no trace tells of: the first ones may come before the tracing, which a busy
# machine takes seconds to begin. In all, the testbed's patience.
ATTEMPT = 0.1


def probe_of(words: str) -> Probe:
    """The packet that a kind asks for: `ICMP`, `TCP port 8080`, `UDP port 53`, `ESP`. Raises `BadInput`."""
    kind, port = registry.meant(words, registry.kinds())
    return kind.posing(port)


def _nft(bed: Testbed, node: Node, *words: str) -> str:
    return bed.node(node).run(["nft", *words], check=True).stdout


@dataclass(frozen=True)
class Flow:
    """Packets from one node to another, with the addresses they have."""

    source: Node
    target: Node
    sender: Address
    receiver: Address
    said: str
    # Where a neighbour puts the packets, if not the source itself sends them.
    link: str = ""


def misplaced(bed: Testbed, node: Node, face: Node, network: Network) -> Flow:
    """IPv6 packets to a node that arrive on one of its networks with the source address of a node elsewhere."""
    ours = next((own.ip for own in node.addresses_on(network.name) if own.version == 6), None)
    if ours is None:
        listed = ", ".join(at.network for at in node.attachments)
        raise BadInput(node.name, network.name, "no interface on it", f"one of: {listed}", "name another network")
    return Flow(face, node, source_address(bed, face, ours), ours, f"from {face.name} on {network.name}", network.name)


def flows(bed: Testbed, source: Node, target: Node, *, forged: bool = False, beside: bool = False) -> Sequence[Flow]:
    """From a node to a node, by each IP version of both; `forged` as from a neighbour of the source.

    A neighbour has an address of the same network, which no node has; `beside`, it is sent to one of the target.
    """
    names = [f"a neighbour of {node.name}" if one else node.name for node, one in ((source, forged), (target, beside))]
    found = []
    for address in addresses_towards(bed, source, target):
        receiver = _neighbour(bed, target, address.version) if beside else address
        sender = _neighbour(bed, source, address.version) if forged else source_address(bed, source, receiver)
        found.append(Flow(source, target, sender, receiver, f"from {names[0]} to {names[1]}"))
    return found


def _neighbour(bed: Testbed, node: Node, version: int) -> Address:
    """A free address of a node's first network, of that IP version."""
    own_ones = (own for at in node.attachments for own in at.addresses if own.version == version)
    interface = next(own_ones, None)
    if interface is None:
        stack, found = yaml_sections.shorten(bed.scenario.stack), f"no address of IPv{version}"
        raise BadInput(stack, node.name, found, "one", "name another node")
    first, own, last = (int(address) for address in (interface.network[0], interface.ip, interface.network[-1]))
    numbers = itertools.chain(range(own + 1, last), range(own - 1, first, -1))
    candidates = (type(interface.ip)(number) for number in numbers)
    free = next((address for address in candidates if bed.scenario.owner(address) is None), None)
    if free is None:
        stack, expected = yaml_sections.shorten(bed.scenario.stack), "an address that no node has"
        raise BadInput(stack, str(interface.network), "all taken", expected, "make the subnet larger")
    return free


def decides(bed: Testbed, gateway: Node, every: Sequence[Flow], kinds: Sequence[str], verdict: str) -> None:
    """The firewall of a gateway drops or accepts (`verdict`) packets of these kinds. Raises `Unmet`.

    What the gateway sends itself is decided as it leaves; what another gateway sends goes past that one's own firewall.
    """
    for packets in every:
        about = f" by IPv{packets.receiver.version}" if len(every) > 1 else ""
        for kind, trace in zip(kinds, traced(bed, gateway, packets, kinds), strict=True):
            found = nftrace.decision(trace)
            if found != verdict:
                expected = f"the firewall of {gateway.name} {verdict}s {kind} {packets.said}{about}"
                raise Unmet(expected, f"{found or 'no decision'}", [FirewallTrace(gateway.name, tuple(trace))])


def refuses_source(bed: Testbed, node: Node, face: Node, network: Network) -> None:
    """An IPv6 packet with `face`'s address that comes in by a network where it cannot come from is dropped for that.

    For IPv4 the kernel does so by itself (`node_hardening.refuses_source`), for IPv6 a rule must (nft(8), `fib`), which
    others may come before: packets of several kinds are tried, and a fragment. Raises `Unmet`.
    """
    packets = misplaced(bed, node, face, network)
    probes: dict[str, Probe] = {kind: probe_of(kind) for kind in FORGED_KINDS} | {"a fragment": Fragment()}
    for kind, trace in zip(probes, _traces(bed, node, packets, list(probes.values())), strict=True):
        if nftrace.decision(trace) != "drop" or "fib saddr" not in trace[-1]:
            expected = f"{node.name} accepts no packet from {face.name} on {network.name}"
            seen = f"{kind} was not dropped for its source address"
            raise Unmet(expected, seen, [FirewallTrace(node.name, tuple(trace))])


def decides_error(bed: Testbed, gateway: Node, source: Node, peer: Node | None, verdict: str) -> None:
    """The firewall of a gateway drops or accepts an ICMP error about its IKE with a peer, or about nothing it sent.

    Raises `Unmet`, or `BadInput` where the gateway has no IKE with that peer.
    """
    (packets, *_) = flows(bed, source, gateway)
    other = peer or source
    theirs = address_towards(bed, gateway, other)
    sent = _ike(bed, gateway, peer) if peer else Datagram(DISCARD_PORT, from_port=IKE_PORT)
    error = PacketTooBig(sent.packet(source_address(bed, gateway, theirs), theirs))
    (trace,) = _traces(bed, gateway, packets, [error])
    if (found := nftrace.decision(trace)) != verdict:
        about = f"IKE with {peer.name}" if peer else "nothing that was sent"
        expected = f"the firewall of {gateway.name} {verdict}s an error from {source.name} about {about}"
        raise Unmet(expected, found or "no decision", [FirewallTrace(gateway.name, tuple(trace))])


def _ike(bed: Testbed, gateway: Node, peer: Node) -> Datagram:
    """A message of the gateway's IKE with a peer, on port 500 or, if one of them wants that, 4500 (RFC 7296)."""
    tunnel = tunnels.between(bed, gateway, peer)[-1]
    return Datagram(tunnel.peer_port, from_port=tunnel.own_port)


def hands_nothing_on(bed: Testbed, gateway: Node, source: Node, address: Address, kinds: Sequence[str]) -> None:
    """A gateway leaves the target of such packets as it is, and drops them (no DNAT). Raises `Unmet`."""
    packets = Flow(source, gateway, source_address(bed, source, address), address, f"from {source.name} to {address}")
    for kind, trace in zip(kinds, traced(bed, gateway, packets, kinds), strict=True):
        changed = next((line for line in trace if re.search(r"\bdnat\b.*verdict accept", line)), "")
        if changed or nftrace.decision(trace) != "drop":
            expected = f"{gateway.name} does not redirect {kind} {packets.said}"
            raise Unmet(
                expected,
                changed or nftrace.decision(trace) or "no decision",
                [FirewallTrace(gateway.name, tuple(trace))],
            )


def traced(bed: Testbed, gateway: Node, packets: Flow, kinds: Sequence[str]) -> Sequence[Sequence[str]]:
    """For each kind the trace of one packet through a gateway's firewall, a line a decision, up to the last one.

    Raises `TunnelbedError` where a packet does not come to the gateway.
    """
    return _traces(bed, gateway, packets, [probe_of(kind) for kind in kinds])


def _traces(bed: Testbed, gateway: Node, packets: Flow, probes: Sequence[Probe]) -> Sequence[Sequence[str]]:
    """Likewise, for each probe."""
    last = nftrace.ends(_nft(bed, gateway, "-j", "list", "chains"))
    with nftrace.heard(bed.node(gateway).agent) as lines:
        return [_trace(bed, gateway, lines, last, packets, probe) for probe in probes]


def _trace(
    bed: Testbed, gateway: Node, lines: list[str], last: Collection[str], packets: Flow, probe: Probe
) -> Sequence[str]:
    """The trace of one packet; it is sent until there is one, since the first may come before the tracing."""
    packet = probe.packet(packets.sender, packets.receiver)
    nftrace.begin(bed.node(gateway).agent, [_match(packet, probe)])
    earlier = {name for name, _ in nftrace.told(lines)}
    found: Sequence[str] = ()

    def attempt() -> bool:
        nonlocal found
        _send(bed, gateway, packets, packet)
        with contextlib.suppress(DeadlinePassed):
            found = _settled(lines, last, earlier)
        return bool(found)

    try:
        waiting.until(attempt, bed.patience, "a trace")
    except DeadlinePassed as late:
        about = f"{probe.name} {packets.said}"
        if {name for name, _ in nftrace.told(lines)} - earlier:
            cause = f"arrives at {gateway.name}, and no chain of its firewall decides about it"
            advice = "see `nft list ruleset`, routes and rp_filter there"
        else:
            cause, advice = f"is not seen by the firewall of {gateway.name}", "see the sender's routes"
        raise TunnelbedError(f"{about} {cause}: {advice}") from late
    return found


def _match(packet: Packet, probe: Probe) -> str:
    """The nftables expression that matches a probe's packet: its addresses, and the match of the probe's kind."""
    header = type(packet)(bytes(packet))
    family, version = ("ip", 4) if isinstance(header, IP) else ("ip6", 6)
    return f"{family} saddr {header.src} {family} daddr {header.dst} {probe.nft_asks(version)}"


def _send(bed: Testbed, gateway: Node, packets: Flow, packet: Packet) -> None:
    """Send a packet from its source; another gateway's goes past that one's own firewall, to the next hop."""
    source, link, hop = packets.source, packets.link, gateway
    if link:
        source = next(node for node in bed.scenario.on(link) if node != gateway)
    elif source == gateway or not bed.node(source).vpn:
        with contextlib.suppress(CommandFailed):  # refused by the firewall that is traced
            bed.node(source).send_packet(bytes(packet))
        return
    else:
        link = next(at.network for at in source.attachments if bed.scenario.networks[at.network].role == "isp_link")
        others = [node for node in bed.scenario.on(link) if node != source]
        hop = gateway if gateway in others else others[0]
    frame = Ether(src=bed.node(source).mac(link), dst=bed.node(hop).mac(link)) / packet
    bed.node(source).send_frame(link, bytes(frame))


def _settled(lines: Sequence[str], last: Collection[str], earlier: Collection[str]) -> Sequence[str]:
    """The decisions on a packet once two looks in a row see the same; raises `DeadlinePassed`."""
    before: Sequence[str] = ()

    def look() -> Sequence[str]:
        nonlocal before
        seen, before = before, nftrace.decisions(lines, last, earlier)
        return before if before == seen else ()

    return waiting.until(look, ATTEMPT, "a trace")
