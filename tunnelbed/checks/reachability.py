"""Who reaches whom, and by which way: each verdict with its witnesses.

A positive has up to three: the answer came back; ESP crossed the links meanwhile; nothing of the probe crossed one in
clear. A negative rests on evidence, not on silence: the probe was seen on its way and seen to go no further, while a
control arrived where the probe did not.
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Sequence
from itertools import product

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tunnelbed import waiting
from tunnelbed.checks.address_selection import (
    address_towards,
    addressed,
    every_address_towards,
    inside,
    owners,
    source_address,
)
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.observe.packets import ends, from_or_to, is_esp
from tunnelbed.observe.probes import LINK_MTU, Marked, Ping, Probe, filled
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Network, Node

# Between two attempts; an answer through two gateways takes some 5 ms.
ATTEMPT = 0.4
# A packet that is to be seen on its way is seen at once.
ON_ITS_WAY = 1.0
# A node that sends nothing has refused it by a rule or by its routes; anything else is no verdict about reach.
REFUSALS = (errno.EPERM, errno.EACCES, errno.ENETUNREACH, errno.EHOSTUNREACH)
UNREACHABLE, FRAG_NEEDED = 3, 4  # RFC 792, a type and one of its codes


class Stuck:
    """Whether attempts go on ending at the same place: the way of a hasty testbed to give up before its time."""

    def __init__(self, bed: Testbed, recording: Recording, is_it: Callable[[Packet], bool]) -> None:
        self._hasty, self._recording, self._is_it = bed.hasty, recording, is_it
        self._seen = 0
        self._last: frozenset[tuple[str, str, bool]] | None = None

    def again(self) -> bool:
        """After an attempt: it got exactly as far as the one before, and gateways do not negotiate."""
        if not self._hasty:
            return False
        before, self._last = self._last, self._recording.stalls(self._seen, self._is_it)
        self._seen = len(self._recording.heard)
        return self._last is not None and self._last == before


def reaches(
    bed: Testbed, source: Node, target: Node, probe: Probe, *, tunnel: bool | None = None, patience: float | None = None
) -> Recording:
    """The probe is answered; with `tunnel`, through a tunnel and not in clear; with `tunnel` False, outside any.

    Raises `Unmet`. `patience` is in seconds, the testbed's unless told. Returns the recording, for further questions.
    """
    expected = _sentence(source, "reaches", target, probe, tunnel)
    address = address_towards(bed, source, target)
    with bed.record() as recording:
        answer, refused = _ask(bed, source, address, probe, recording, bed.patience if patience is None else patience)
        recording.sync()
    if answer is None:
        why = f"{source.name} does not send it: {refused}" if refused else _how_far(recording, probe.asks)
        seen = f"no answer; {why}"
        raise unmet(bed, expected, seen, recording, gateways_of(bed, source, target), probe.shows)
    if not any(probe.asks(seen.packet) for seen in recording.arrivals(target.name)):
        seen = f"{address} answered, and {target.name} never saw the probe; {_how_far(recording, probe.asks)}"
        raise unmet(bed, expected, seen, recording, gateways_of(bed, source, target), probe.shows)
    if tunnel is not None:
        went_by_tunnel(bed, expected, recording, probe, source, target, tunnel=tunnel)
    return recording


def cannot_reach(bed: Testbed, source: Node, target: Node, probe: Probe) -> None:
    """The probe is stopped on its way, by each IP version that both have and to each address lent; a control arrives.

    Raises `Unmet`, or an error if nothing can be said. An end of tunnels is its own guard: it is reached by what it
    answers or hands on, not by what comes to its door.
    """
    for address in every_address_towards(bed, source, target):
        _is_stopped(bed, source, target, address, probe)


def _is_stopped(bed: Testbed, source: Node, target: Node, address: Address, probe: Probe) -> None:
    expected = _sentence(source, "cannot reach", target, probe)
    gateways = gateways_of(bed, source, target)
    with bed.record() as recording:
        refused = _send_to(bed, source, address, probe)
        first = None if refused else recording.until(lambda seen: probe.asks(seen.packet), ON_ITS_WAY)
        control_arrives(bed, recording, target)
        recording.settle()
    if arrived := _reached(bed, recording, target, probe):
        raise unmet(bed, expected, f"it arrived: {arrived[0]}", recording, gateways, probe.shows)
    if answers := [seen for seen in recording.arrivals(source.name) if probe.answers(seen.packet)]:
        raise unmet(bed, expected, f"somebody answered: {answers[0]}", recording, gateways, probe.shows)
    if refused and not any(f"[Errno {number}]" in refused for number in REFUSALS):
        raise TunnelbedError(
            f"{expected}: cannot be judged, since {source.name} could not send the probe to {address}: {refused}"
        )
    if first is None and not refused:
        raise TunnelbedError(
            f"{expected}: cannot be judged, since the probe to {address} was not even seen to leave {source.name}; "
            f"see its firewall and routes (`invoke exec`)"
        )


def seen_as(bed: Testbed, source: Node, target: Node, face: Node, probe: Probe) -> None:
    """The probe is answered, and the target saw it come from an address of `face`. Raises `Unmet`."""
    recording = reaches(bed, source, target, probe)
    expected = f"{source.name} reaches {target.name} by {probe.name} and is seen there as {face.name}"
    arrived = [seen.packet for seen in recording.arrivals(target.name) if probe.asks(seen.packet)]
    came_from = {found[0] for packet in arrived if (found := ends(packet))}
    if not came_from or any(face not in owners(bed, address, target) for address in came_from):
        seen = ", ".join(owned(bed, address, target) for address in sorted(came_from, key=str)) or "no address"
        raise unmet(bed, expected, f"it came from {seen}", recording, about=probe.shows)


def told_unreachable(bed: Testbed, source: Node, address: Address) -> None:
    """A ping to an address without a route is answered by an ICMP error, which comes back. Raises `Unmet`."""
    probe = Ping()
    expected = f"{source.name} receives an ICMP error that {address} is unreachable"

    def tells(seen: Sighting) -> bool:
        return seen.node == source.name and not seen.outgoing and _unreachable(seen.packet) and probe.shows(seen.packet)

    with bed.record() as recording:
        refused = _send_to(bed, source, address, probe)
        told = recording.until(tells, ON_ITS_WAY)
    if told is None:
        seen = f"it refused by itself: {refused}" if refused else f"no word; {_how_far(recording, probe.asks)}"
        raise unmet(bed, expected, seen, recording, gateways_of(bed, source), probe.shows)


def told_too_large(bed: Testbed, source: Node, target: Node, asked: Ping | None = None) -> None:
    """What fills the link, and so not the tunnel, is answered by the size that fits (RFC 1191, RFC 8201).

    That is a ping, or an answer to the target's ping (`asked`) from whom the firewall lets only answer: for IPv6 with
    ESP in the kernel, Linux asks the firewall before it looks whether a packet fits, and else afterwards. Raises
    `Unmet`.
    """
    probe = asked or Ping()
    what, make, is_it = ("packets", probe.packet, probe.asks)
    if asked:
        what, make, is_it = ("answers", probe.answer, probe.answers)
    packet = addressed(bed, source, target, make)
    recording, told = _sent_too_large(bed, source, packet, probe, ON_ITS_WAY)
    if not told:
        expected = f"{source.name} receives the MTU for {what} to {target.name}"
        seen = f"no word; {_how_far(recording, is_it)}"
        raise unmet(bed, expected, seen, recording, gateways_of(bed, source), probe.shows)


def stray_not_told(bed: Testbed, source: Node, target: Node) -> None:
    """An answer to no ping that fills the link is seen to leave, and nobody says a word about it. Raises `Unmet`."""
    probe = Ping()
    packet = addressed(bed, source, target, probe.answer)
    recording, told = _sent_too_large(bed, source, packet, probe, 0.0)
    expected = f"{source.name} receives no ICMP error about unsolicited answers to {target.name}"
    if told:
        raise unmet(bed, expected, told[0], recording, gateways_of(bed, source), probe.shows)
    if not recording.way_of(probe.answers):
        raise TunnelbedError(f"{expected}: cannot be judged, since none was even seen to leave {source.name}")


def _unreachable(packet: Packet) -> bool:
    """Whether an ICMP error says so, for whatever reason but a size."""
    if ICMP in packet:
        return bool(packet[ICMP].type == UNREACHABLE and packet[ICMP].code != FRAG_NEEDED)
    return ICMPv6DestUnreach in packet


def _too_large(packet: Packet) -> bool:
    """Whether an ICMP error says so."""
    if ICMP in packet:
        return bool(packet[ICMP].type == UNREACHABLE and packet[ICMP].code == FRAG_NEEDED)
    return ICMPv6PacketTooBig in packet


def _sent_too_large(
    bed: Testbed, source: Node, packet: Packet, probe: Marked, seconds: float
) -> tuple[Recording, Sequence[str]]:
    """Send a probe's packet made as large as the link's; what all saw, and what the source was told about its size.

    A word that must come is waited for, up to so many seconds.
    """
    packet = filled(packet, LINK_MTU)

    def tells(seen: Sighting) -> bool:
        return seen.node == source.name and not seen.outgoing and _too_large(seen.packet) and probe.shows(seen.packet)

    with bed.record() as recording:
        try:
            bed.node(source).send_packet(bytes(packet))
        except CommandFailed as refused:
            # The end of a tunnel is told by its own kernel.
            if not bed.is_vpn(source.name) or f"[Errno {errno.EMSGSIZE}]" not in refused.output:
                raise
            return recording, [refused.output]
        recording.until(tells, seconds)
        recording.settle()
    return recording, [str(seen) for seen in recording.sightings if tells(seen)]


def send(bed: Testbed, source: Node, target: Node, probe: Probe) -> str:
    """Send the probe where the source's routes lead; why the source itself refused, or nothing."""
    return _send_to(bed, source, address_towards(bed, source, target), probe)


def speaks_only(bed: Testbed, version: int) -> None:
    """Each network's interface on each node has addresses of this IP version, and of no other. Raises `Unmet`."""
    for node in bed.scenario.nodes.values():
        told = json.loads(bed.node(node).run(["ip", "-json", "address", "show"]).stdout)
        families = {link["ifname"]: {info["family"] for info in link["addr_info"]} for link in told}
        wanted = {4: "inet", 6: "inet6"}[version]
        for at in node.attachments:
            if (found := families.get(at.network)) != {wanted}:
                seen = f"{' and '.join(sorted(found or ())) or 'none'} on {at.network} of {node.name}"
                raise unmet(bed, f"every node has addresses of IPv{version} only", seen)


def answer_again(bed: Testbed, source: Node, target: Node, asked: Ping) -> None:
    """Send the answer to a ping of `target`'s once more: part of a conversation that is under way."""
    bed.node(source).send_packet(bytes(addressed(bed, source, target, asked.answer)))


def control_arrives(bed: Testbed, recording: Recording, target: Node) -> None:
    """A packet from a neighbour arrives at the target: it is there, and its arrivals are seen.

    Sent past the neighbour's own firewall. Raises an error, no `Unmet`: without this, nothing can be said.
    """
    for attachment in target.attachments:
        network = attachment.network
        for neighbour in bed.scenario.on(network):
            pairs = product(neighbour.addresses_on(network), attachment.addresses)
            both = next(((ours.ip, theirs.ip) for ours, theirs in pairs if ours.version == theirs.version), None)
            if neighbour.name == target.name or both is None:
                continue
            control = Ping()
            frame = Ether(src=bed.node(neighbour).mac(network), dst=bed.node(target).mac(network))
            bed.node(neighbour).send_frame(network, bytes(frame / control.packet(*both)))

            def arrives(seen: Sighting, control: Ping = control) -> bool:
                return seen.node == target.name and not seen.outgoing and control.asks(seen.packet)

            if recording.until(arrives, ON_ITS_WAY):
                return
    raise TunnelbedError(f"no neighbour's packet is seen to arrive at {target.name}: nothing can be said about it")


def went_by_tunnel(
    bed: Testbed,
    expected: str,
    recording: Recording,
    probe: Marked,
    source: Node,
    target: Node,
    *,
    tunnel: bool,
) -> None:
    """With `tunnel`: ESP crossed the links of both sites, both ways, and nothing of the probe was readable on any.

    Without: no ESP crossed any of those links. Raises `Unmet`.
    """
    gateways = gateways_of(bed, source, target)
    links = [net for net in bed.scenario.networks.values() if net.role == "isp_link"]
    passed = [net for net in links if net.site in (source.site, target.site) or not net.site]
    if not passed:
        expected = "networks labelled `tunnelbed.role: isp_link`"
        raise BadInput(str(bed.scenario.stack), "networks", "no link", expected, "label them")
    for net in links:
        if tunnel and (shown := in_clear(bed, recording, net, probe)):
            raise unmet(bed, expected, f"readable on {net.name}: {shown[0]}", recording, gateways, probe.shows)
    for net in passed:
        senders = {seen.node for seen in recording.on(net.name) if is_esp(seen.packet)}
        if tunnel and len(senders) < 2:
            ways = f"only from {senders.pop()}" if senders else "none"
            raise unmet(bed, expected, f"ESP on {net.name}: {ways}", recording, gateways, probe.shows)
        if not tunnel and senders:
            raise unmet(
                bed, expected, f"ESP on {net.name} from {', '.join(sorted(senders))}", recording, gateways, probe.shows
            )


def in_clear(bed: Testbed, recording: Recording, network: Network, probe: Marked) -> Sequence[Sighting]:
    """What crossed a network and shows the probe, or an address from inside a site."""
    private = inside(bed)
    return [
        seen
        for seen in recording.on(network.name)
        if not is_esp(seen.packet) and (probe.shows(seen.packet) or from_or_to(seen.packet, private))
    ]


def _ask(
    bed: Testbed, source: Node, address: Address, probe: Probe, recording: Recording, patience: float
) -> tuple[Sighting | None, str]:
    """Send the probe until an answer comes or patience ends; the answer, and why the source refused the last try."""
    answer: Sighting | None = None
    refused = ""
    stuck = Stuck(bed, recording, probe.asks)

    def is_answer(seen: Sighting) -> bool:
        return seen.node == source.name and not seen.outgoing and probe.answers(seen.packet)

    def attempt() -> bool:
        nonlocal answer, refused
        refused = _send_to(bed, source, address, probe)
        if not refused:
            answer = recording.until(is_answer, ATTEMPT)
        return answer is not None or stuck.again()

    with contextlib.suppress(DeadlinePassed):
        waiting.until(attempt, patience, "an answer")
    return answer, refused


def _send_to(bed: Testbed, source: Node, address: Address, probe: Probe) -> str:
    """Send the probe where the node's routes lead; why the node itself refused, or nothing."""
    packet = probe.packet(source_address(bed, source, address), address)
    try:
        bed.node(source).send_packet(bytes(packet))
    except CommandFailed as refused:
        return refused.output
    return ""


def _reached(bed: Testbed, recording: Recording, target: Node, probe: Probe) -> Sequence[Sighting]:
    """The probe's arrivals at a target; an end of tunnels guards its own door: there, what it answered or handed on."""
    if target.role == "gateway" or bed.is_vpn(target.name):
        return [
            seen
            for seen in recording.sightings
            if seen.node == target.name and seen.outgoing and probe.shows(seen.packet)
        ]
    return [seen for seen in recording.arrivals(target.name) if probe.asks(seen.packet)]


def _how_far(recording: Recording, is_it: Callable[[Packet], bool]) -> str:
    """Where the probe was seen last."""
    way = recording.way_of(is_it)
    if not way:
        return "the probe was seen nowhere"
    last = way[-1]
    return f"the probe was last seen {'leaving' if last.outgoing else 'entering'} {last.node} by {last.network}"


def gateways_of(bed: Testbed, *nodes: Node) -> Sequence[str]:
    """Whose logs a failure shows: the gateways of these nodes' sites, and nodes that are themselves ends of tunnels."""
    found = [gateway.name for node in nodes if node.site for gateway in bed.scenario.having("gateway", node.site)]
    return list(dict.fromkeys([*found, *(node.name for node in nodes if bed.is_vpn(node.name))]))


def owned(bed: Testbed, address: Address, near: Node) -> str:
    """An address, and whose it is at a node."""
    found = owners(bed, address, near)
    return f"{address} ({found[0].name})" if found else str(address)


def _sentence(source: Node, verb: str, target: Node, probe: Probe, tunnel: bool | None = None) -> str:  # noqa: FBT001
    return f"{source.name} {verb} {target.name} by {probe.name}{by_way(tunnel)}"


def by_way(tunnel: bool | None) -> str:  # noqa: FBT001
    """How a sentence says by which way."""
    return {None: "", True: " through the tunnel", False: " outside the tunnel"}[tunnel]
