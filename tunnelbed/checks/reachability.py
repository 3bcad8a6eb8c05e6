"""Who reaches whom, and by which path.

A positive has up to three: the answer came back, the target saw the probe, and it went by the path that is asked for
(`tunnel_path`), by each IP version that both ends have. A negative rests on evidence, not on silence: the probe was
seen on its way and seen to go no further, while a control arrived where the probe did not.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import product

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tunnelbed.checks.address_selection import Aim, addressed, aims, every_aim, has_route, owners, source_address
from tunnelbed.checks.tunnel_path import Listed, Passage, Via, listed
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.observe.packets import answered_for, asked_for, ends
from tunnelbed.observe.probes import Ping, Probe
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node

# Between two attempts; an answer through two gateways takes some 5 ms.
ATTEMPT = 0.4
# A packet that is to be seen on its way is seen at once.
ON_ITS_WAY = 1.0
# A packet that sets a tunnel up on demand is lost in that: where gateways negotiated meanwhile, the probe is repeated,
# so many times in all, since a tunnel that cannot be set up is negotiated each time.
NEGOTIATED = 3
# A node that sends nothing has refused it by a rule or by its routes; anything else is no verdict about reach.
REFUSALS = (errno.EPERM, errno.EACCES, errno.ENETUNREACH, errno.EHOSTUNREACH)


class Stuck:
    """Whether attempts keep ending at the same place: then a testbed with `fail_fast` gives up early."""

    def __init__(self, bed: Testbed, recording: Recording, is_it: Callable[[Packet], bool]) -> None:
        self._fail_fast, self._recording, self._is_it = bed.fail_fast, recording, is_it
        self._seen = 0
        self._last: frozenset[tuple[str, str, bool]] | None = None

    def again(self) -> bool:
        """After an attempt: it got exactly as far as the one before, and gateways do not negotiate."""
        if not self._fail_fast:
            return False
        before, self._last = self._last, self._recording.stalls(self._seen, self._is_it)
        self._seen = len(self._recording.heard)
        return self._last is not None and self._last == before


@dataclass(frozen=True)
class Reached:
    """How a probe was answered: where it was sent, who answered it, and what was recorded meanwhile."""

    aim: Aim
    target: Node
    recording: Recording


def reaches(
    bed: Testbed,
    source: Node,
    target: Node | Address,
    probe: Probe,
    *,
    via: Via = Via.ANY,
    version: int = 0,
    patience: float | None = None,
) -> Sequence[Reached]:
    """The probe is answered, by each IP version that both have or by one, and goes by the path that is asked for.

    Raises `Unmet`. `patience` is in seconds, the testbed's by default. Returns how, for further questions.
    """
    found = aims(bed, source, target, version)
    return [_reaches(bed, source, aim, probe, via, patience, _about(found, version)(aim)) for aim in found]


def _reaches(  # what, how, and how long
    bed: Testbed, source: Node, aim: Aim, probe: Probe, via: Via, patience: float | None, about: str
) -> Reached:
    expected = f"{source.name} reaches {aim.name} by {probe.name}{via.value}{about}"
    before = listed(bed, strict=False) if via is Via.TUNNEL else Listed()
    with bed.record() as recording:
        patience = bed.patience if patience is None else patience
        answer, refused = _ask(bed, source, aim.address, probe, recording, patience)
        recording.sync()
    gateways = gateways_of(bed, source, *([aim.node] if aim.node else ()))
    whose = aim.node or _answerer(bed, recording, probe)
    if whose and not (answer and any(probe.asks(seen.packet) for seen in recording.arrivals(whose.name))):
        refuse_unseen(bed, expected, source, whose)
    if answer is None:
        why = f"{source.name} does not send it: {refused}" if refused else how_far(recording, probe.asks)
        raise unmet(bed, expected, f"no answer{about}; {why}", recording, gateways, probe=probe)
    if whose is None or not any(probe.asks(seen.packet) for seen in recording.arrivals(whose.name)):
        missing = whose.name if whose else "no node"
        seen = f"{aim.address} answered, and {missing} {'did not receive' if whose else 'is seen to answer'} the probe"
        raise unmet(bed, expected, f"{seen}; {how_far(recording, probe.asks)}", recording, gateways, probe.shows)
    Passage(bed, expected, recording, probe, source, whose, before, about).judge(via)
    return Reached(aim, whose, recording)


def _answerer(bed: Testbed, recording: Recording, probe: Probe) -> Node | None:
    """The node that has an address of no stack: the first that sends the answer, else the last that got the probe."""
    sends = [seen.node for seen in recording.sightings if seen.outgoing and probe.answers(seen.packet)]
    asked = [seen.node for seen in recording.sightings if not seen.outgoing and probe.asks(seen.packet)]
    name = (sends[:1] or asked[-1:] or [""])[0]
    return bed.scenario.nodes.get(name)


def cannot_reach(bed: Testbed, source: Node, target: Node | Address, probe: Probe, *, version: int = 0) -> None:
    """The probe is stopped on its way, to each address that the target has or was lent; a control arrives.

    Raises `Unmet`, or an error if nothing can be said. A gateway counts as reached only if it replies or forwards.
    """
    found = every_aim(bed, source, target, version)
    for aim in found:
        _is_stopped(bed, source, aim, probe, _about(found, version)(aim))


def _is_stopped(bed: Testbed, source: Node, aim: Aim, probe: Probe, about: str) -> None:
    expected = f"{source.name} cannot reach {aim.name} by {probe.name}{about}"
    target, address = aim.node, aim.address
    gateways = gateways_of(bed, source, *([target] if target else ()))
    with bed.record() as recording:
        for _ in range(NEGOTIATED):
            looked = len(recording.heard)
            refused = send_to(bed, source, address, probe)
            first = None if refused else recording.until(lambda seen: probe.asks(seen.packet), ON_ITS_WAY)
            if target:
                control_arrives(bed, recording, target)
            recording.settle()
            if refused or recording.stalls(looked, probe.asks) is not None:
                break
    if arrived := _reached(bed, recording, target, probe):
        raise unmet(bed, expected, f"it arrived{about}: {arrived[0]}", recording, gateways, probe.shows)
    if answers := [seen for seen in recording.arrivals(source.name) if probe.answers(seen.packet)]:
        raise unmet(bed, expected, f"it was answered{about}: {answers[0]}", recording, gateways, probe.shows)
    if refused and not _by_rule_or_route(bed, source, address, refused):
        raise TunnelbedError(
            f"{expected}: cannot be judged, since {source.name} could not send the probe to {address}: {refused}"
        )
    if first is None and not refused and not _nobody_has(recording, source, address):
        raise TunnelbedError(
            f"{expected}: cannot be judged, since the probe to {address} did not leave {source.name}; "
            f"see its firewall and routes (`invoke exec`)"
        )


def _by_rule_or_route(bed: Testbed, source: Node, address: Address, refused: str) -> bool:
    """Whether a node's kernel did not send a packet because of a rule or its routes, and not for another reason."""
    # A blackhole is told as a wrong argument (ip-route(8)), and so is much else.
    blackhole = f"[Errno {errno.EINVAL}]" in refused and not has_route(bed, source, address)
    return blackhole or any(f"[Errno {number}]" in refused for number in REFUSALS)


def refuse_unseen(bed: Testbed, expected: str, source: Node, target: Node) -> None:
    """Raise `TunnelbedError` where a tunnel between these two hides what they send each other: that proves nothing."""
    if source not in bed.gateways() or target not in bed.gateways():
        return
    tunnels = bed.node(source).tunnels(bed.node(target))
    if any(child.carries and child.unseen for tunnel in tunnels for child in tunnel.children):
        raise TunnelbedError(
            f"{expected}: cannot be judged, since the kernel encrypts packets between {source.name} and {target.name} "
            "in transport mode, where no capture sees them in clear; ask for a node behind one of them"
        )


def _nobody_has(recording: Recording, source: Node, address: Address) -> bool:
    """Whether the source sent ARP requests or neighbour solicitations for that address and got no answer."""
    asked = [seen for seen in recording.departures(source.name) if asked_for(seen.packet) == str(address)]
    answered = any(answered_for(seen.packet) == str(address) for seen in recording.arrivals(source.name))
    return bool(asked) and not answered


def _about(found: Sequence[Aim], version: int) -> Callable[[Aim], str]:
    """The IP version for the text of a failure, if there are two or the sentence names one."""
    several = version or len({aim.address.version for aim in found}) > 1
    return lambda aim: f" by IPv{aim.address.version}" if several else ""


def seen_as(bed: Testbed, source: Node, target: Node | Address, face: Node | Address, probe: Probe) -> None:
    """The probe is answered, and the target saw it come from an address of `face`, or from that. Raises `Unmet`."""
    called = face.name if isinstance(face, Node) else str(face)
    for reached in reaches(bed, source, target, probe):
        whose, recording = reached.target, reached.recording
        expected = f"{source.name} reaches {reached.aim.name} by {probe.name} and is seen there as {called}"
        arrived = [seen.packet for seen in recording.arrivals(whose.name) if probe.asks(seen.packet)]
        came_from = {found[0] for packet in arrived if (found := ends(packet))}
        if not came_from or not all(is_of(bed, face, address, whose) for address in came_from):
            seen = ", ".join(owned(bed, address, whose) for address in sorted(came_from, key=str)) or "no address"
            raise unmet(bed, expected, f"it came from {seen}", recording, about=probe.shows)


def is_of(bed: Testbed, face: Node | Address, address: Address, near: Node) -> bool:
    """Whether an address at a node is that one, or one of that node's."""
    return face in owners(bed, address, near) if isinstance(face, Node) else face == address


def send(bed: Testbed, source: Node, target: Node | Address, probe: Probe) -> None:
    """Send the probe where the source's routes lead, by each IP version of both, though a rule or a route refuses it.

    Raises `TunnelbedError` where it is not sent for another reason: what is not seen then proves nothing.
    """
    for aim in aims(bed, source, target):
        refused = send_to(bed, source, aim.address, probe)
        if refused and not _by_rule_or_route(bed, source, aim.address, refused):
            raise TunnelbedError(f"{source.name} could not send {probe.name} to {aim.address}: {refused}")


def answer_again(bed: Testbed, source: Node, target: Node, asked: Ping) -> None:
    """Send the answer to a ping of `target`'s once more: part of a conversation that is under way."""
    for packet in addressed(bed, source, target, asked.answer):
        bed.node(source).send_packet(bytes(packet))


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
    raise TunnelbedError(f"no control packet from a neighbour arrives at {target.name}: nothing is shown")


def _ask(
    bed: Testbed, source: Node, address: Address, probe: Probe, recording: Recording, patience: float
) -> tuple[Sighting | None, str]:
    """Send the probe until an answer comes or `patience` ends; the answer, and why the source refused the last try."""
    answer: Sighting | None = None
    refused = ""
    stuck = Stuck(bed, recording, probe.asks)

    def is_answer(seen: Sighting) -> bool:
        found = ends(seen.packet)
        # A late answer by another IP version is none to this.
        by_it = found is not None and found[0].version == address.version
        return seen.node == source.name and not seen.outgoing and by_it and probe.answers(seen.packet)

    def attempt() -> bool:
        nonlocal answer, refused
        refused = send_to(bed, source, address, probe)
        if not refused:
            answer = recording.until(is_answer, ATTEMPT)
        return answer is not None or stuck.again()

    with contextlib.suppress(DeadlinePassed):
        waiting.until(attempt, patience, "an answer")
    return answer, refused


def send_to(bed: Testbed, source: Node, address: Address, probe: Probe) -> str:
    """Send the probe where the node's routes lead; why the node itself refused, or nothing."""
    packet = probe.packet(source_address(bed, source, address), address)
    try:
        bed.node(source).send_packet(bytes(packet))
    except CommandFailed as refused:
        return refused.output
    return ""


def _reached(bed: Testbed, recording: Recording, target: Node | None, probe: Probe) -> Sequence[Sighting]:
    """The probe's arrivals at a target, or, where no node is known to be meant, at a node that has the address.

    What comes to a gateway is judged by its firewall: there, what it answered or forwarded counts.
    """
    if target is None:
        nodes = bed.scenario.nodes
        asked = [seen for seen in recording.sightings if not seen.outgoing and probe.asks(seen.packet)]
        plain = [seen for seen in asked if seen.node in nodes and not _guards_itself(bed, nodes[seen.node])]
        has = {name: _has_now(bed, nodes[name]) for name in {seen.node for seen in plain}}
        return [seen for seen in plain if (found := ends(seen.packet)) and found[1] in has[seen.node]]
    if _guards_itself(bed, target):
        return [
            seen
            for seen in recording.sightings
            if seen.node == target.name and seen.outgoing and probe.shows(seen.packet)
        ]
    return [seen for seen in recording.arrivals(target.name) if probe.asks(seen.packet)]


def _has_now(bed: Testbed, node: Node) -> frozenset[Address]:
    """The addresses of a node as its kernel has them now: what a stack does not give it may have been added."""
    infos = [info for link in bed.node(node).interfaces() for info in link.get("addr_info", ())]
    return frozenset(ip_address(info["local"]) for info in infos if "local" in info)


def _guards_itself(bed: Testbed, node: Node) -> bool:
    return node.role == "gateway" or bed.node(node).vpn is not None


def how_far(recording: Recording, is_it: Callable[[Packet], bool]) -> str:
    """Where the probe was seen last."""
    way = recording.way_of(is_it)
    if not way:
        return "the probe was seen nowhere"
    last = way[-1]
    return f"the probe was last seen {'leaving' if last.outgoing else 'entering'} {last.node} by {last.network}"


def gateways_of(bed: Testbed, *nodes: Node) -> Sequence[str]:
    """The nodes whose logs a failure shows: the gateways of these nodes' sites, and those that run a VPN themselves."""
    found = [gateway.name for node in nodes if node.site for gateway in bed.scenario.having("gateway", node.site)]
    return list(dict.fromkeys([*found, *(node.name for node in nodes if bed.node(node).vpn is not None)]))


def owned(bed: Testbed, address: Address, near: Node) -> str:
    """An address, and whose it is at a node."""
    found = owners(bed, address, near)
    return f"{address} ({found[0].name})" if found else str(address)
