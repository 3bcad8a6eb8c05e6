"""One packet's way through a testbed: where it was seen, what it became, what each firewall decided about it.

All nodes record and all firewalls are traced while a probe is sent; nothing here judges, it tells.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from scapy.layers.inet import ICMP, TCP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import ARP
from scapy.packet import Packet

from tunnelbed import waiting
from tunnelbed.checks.address_selection import address_towards, aims, away, owners, source_address
from tunnelbed.checks.icmp_errors import FRAG_NEEDED, UNREACHABLE
from tunnelbed.checks.reachability import ATTEMPT
from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.observe import nftrace
from tunnelbed.observe.kinds import kind
from tunnelbed.observe.packets import (
    ends,
    ip_of,
    is_esp,
    is_ike,
    is_informational,
    is_neighbour_discovery,
    spi,
)
from tunnelbed.observe.probes import LINK_MTU, Ping, Question, filled, registry
from tunnelbed.observe.recording import Recording, Sighting, in_order
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import naming
from tunnelbed.topology.model import Address, Node

# The first packets may come before `nft monitor` hears anything.
UNHEARD = 3
WHO_HAS, IS_AT = 1, 2  # RFC 826
# What charon says in its log where no tunnel comes of it.
COMPLAINT = re.compile(r"\[IKE\].*(notify error|failed|mismatch|giving up|unacceptable|no \w+ found|not found)")


@dataclass(frozen=True)
class Asked:
    """A probe's way is asked for: from a node to an address; `size` in bytes, 0 for as small as it is."""

    source: Node
    target: Address
    make: Callable[[], Question] = Ping
    size: int = 0


@dataclass(frozen=True)
class Line:
    """One thing that happened to the packet at a node: it came `in` or went `out` by a network, or a `rule` decided.

    `at` is in seconds since the packet's first sighting; a rule has no time.
    """

    node: str
    way: str
    what: str
    network: str = ""
    at: float | None = None


@dataclass(frozen=True)
class Way:
    """The lines in the order of time, what came of the probe in a sentence, and whether that is an answer."""

    lines: tuple[Line, ...]
    outcome: str
    answered: bool

    @property
    def told(self) -> Sequence[str]:
        """As a person reads it: a line for each, in columns, with the milliseconds; and the outcome."""
        nodes = max((len(line.node) for line in self.lines), default=0)
        networks = max((len(line.network) for line in self.lines), default=0)
        rows = [f"{'ms':>8}  {'node':{nodes}}  way   {'network':{networks}}  packet"]
        for line in self.lines:
            at = "" if line.at is None else f"{line.at * 1000:.2f}"
            where = f"{line.network:{networks}}  " if line.network else ""
            rows.append(f"{at:>8}  {line.node:{nodes}}  {line.way:4}  {where}{line.what}")
        return [*rows, self.outcome]


def asked(bed: Testbed, said: str, to: str, by: str = "", size: int = 0) -> Asked:
    """What somebody asks for in a task's words: nodes as sentences call them, `to` perhaps an address.

    `by` is the kind of packet, as sentences call it, `TCP port 80`; a ping by default. Raises `BadInput`.
    """
    source = naming.node(bed.scenario, said)
    target = _address(bed, source, to)
    kind, port = registry.meant(by or Ping.said, registry.questions())
    make: Callable[[], Question] = partial(kind.of, port)
    least = len(make().packet(target, target))
    if size and not least <= size <= LINK_MTU:
        raise BadInput("--size", "", size, f"{least} to {LINK_MTU} bytes", "correct it")
    return Asked(source, target, make, size)


def _address(bed: Testbed, source: Node, to: str) -> Address:
    """The address that somebody means: itself, or a node's that the source would use."""
    try:
        address = ipaddress.ip_address(to)
    except ValueError:
        target = naming.node(bed.scenario, to)
        if target == source:
            raise BadInput("--to", "", to, "another node than --from", "name another node") from None
        return address_towards(bed, source, target)
    if all(own.version != address.version for own in away(bed, source)):
        expected = f"an address of an IP version that {source.name} speaks"
        raise BadInput("--to", "", to, expected, "name another address")
    return address


def trace(bed: Testbed, wanted: Asked) -> Way:
    """Send a probe and tell its way; once more where gateways negotiated meanwhile, until there is an answer.

    A firewall that cannot be traced (no nft on its node) has no lines.
    """
    with bed.proven_alone():
        return _traced(bed, wanted)


@contextlib.contextmanager
def explained(
    bed: Testbed, source: Node, to: Node | Address | None, by: str = Ping.said, version: int = 0
) -> Iterator[None]:
    """What does not hold in the body is told with the way of one more packet of that kind.

    Nobody else may be proving the testbed. A hasty one has no time for it, and what is for no address has no way.
    """
    try:
        yield
    except Unmet as failed:
        if bed.hasty or to is None:
            raise
        with contextlib.suppress(TunnelbedError):
            # By the IP version that failed, where there are two.
            failing = next((number for number in (4, 6) if f" by IPv{number}" in failed.seen), version)
            address = aims(bed, source, to, failing)[0].address
            kind, port = registry.meant(by, registry.questions())
            way = _traced(bed, Asked(source, address, partial(kind.of, port)))
            told = ["one more, traced:", *(f"  {line}" for line in way.told)]
            raise Unmet(failed.expected, failed.seen, [*told, *failed.evidence]) from failed
        raise


def _traced(bed: Testbed, wanted: Asked) -> Way:
    with contextlib.ExitStack() as stack:
        bed.agents.each(tuple(bed.scenario.nodes), lambda agent: agent.sync())
        down = stack.enter_context(_known_down(bed))
        heard: dict[str, list[str]] = {}
        for node in bed.scenario.nodes.values():
            with contextlib.suppress(CommandFailed):
                heard[node.name] = stack.enter_context(nftrace.heard(bed.node(node).agent))
        attempts: list[Attempt] = []

        def whole() -> bool:
            attempts.append(once(bed, wanted, heard))
            if len(attempts) < UNHEARD and not attempts[-1].heard_whole:
                return False
            return attempts[-1].answer is not None or not attempts[-1].negotiated

        with contextlib.suppress(DeadlinePassed):
            waiting.until(whole, bed.patience, "an answer")
        outcome, answered = attempts[-1].outcome()
        told = "".join(f"; {network} is down at {node}" for node, network in down if not answered)
        return Way(tuple(attempts[-1].lines()), f"{outcome}{told}", answered)


@contextlib.contextmanager
def _known_down(bed: Testbed) -> Iterator[Sequence[tuple[str, str]]]:
    """The nodes and networks between which a link is down, or gone: no recording expects them to be seen there."""

    def up(node: Node) -> set[str]:
        said = bed.node(node).run(["ip", "-json", "link", "show", "up"], check=True).stdout
        return {str(link["ifname"]) for link in json.loads(said or "[]") if link}

    nodes = tuple(bed.scenario.nodes.values())
    before = set(bed.absent)
    down = [
        (node.name, at.network)
        for node, names in zip(nodes, bed.pool.map(up, nodes), strict=True)
        for at in node.attachments
        if at.network not in names
    ]
    bed.absent |= set(down)
    try:
        yield down
    finally:
        bed.absent = before


@dataclass
class Attempt:
    """What was seen and heard of one probe, and why its own sender refused it, if so."""

    bed: Testbed
    wanted: Asked
    probe: Question
    recording: Recording
    decided: Mapping[str, Sequence[Sequence[str]]]
    refused: str

    def __post_init__(self) -> None:
        sightings = in_order(self.recording.sightings)
        self.seen = [seen for seen in sightings if self.probe.shows(seen.packet) or is_esp(seen.packet)]
        self.neighbours = [seen for seen in sightings if is_neighbour_discovery(seen.packet)]
        self.own = [seen for seen in self.seen if self.probe.shows(seen.packet)]
        self.negotiated = any(is_ike(seen.packet) and not is_informational(seen.packet) for seen in sightings)
        self.answer = next((seen for seen in self._back if self.probe.answers(seen.packet)), None)

    @property
    def heard_whole(self) -> bool:
        """Whether each firewall that the packet came to was heard about it."""
        return all(len(passes) >= len(self._visits(node)) for node, passes in self.decided.items())

    def lines(self) -> Iterator[Line]:
        """What happened, in the order of time; a decision stands behind what came in, before what went out."""
        began = self.own[0].frame.at if self.own else 0.0
        rules: dict[int, list[Line]] = {}
        for node, passes in self.decided.items():
            visits = self._visits(node)
            for number, decided in enumerate(passes):
                # What was sent and refused at once is seen nowhere.
                place = self._place(visits[number]) if number < len(visits) else len(self.seen)
                told = (f"{decision.chain}: {decision.word}" for decision in nftrace.last_words(decided))
                rules.setdefault(place, []).extend(Line(node, "rule", text) for text in told)
        for index, seen in enumerate(self.seen):
            yield from rules.get(index, ())
            way = "out" if seen.outgoing else "in"
            yield Line(seen.node, way, describe(seen.packet), seen.network, seen.frame.at - began)
            if seen == self.answer:
                yield from rules.get(index + 1, ())
                return
        yield from rules.get(len(self.seen), ())

    def outcome(self) -> tuple[str, bool]:
        """What came of it, in one sentence, and whether it was answered; a datagram need only arrive."""
        arrived = self._arrivals()
        end = self.answer or (arrived[0] if arrived and not self.probe.answered else None)
        # What comes in is seen before the node's own firewall has its say.
        if end and not self._dropped(end.node):
            took = (end.frame.at - self.own[0].frame.at) * 1000
            return f"{'answered' if self.answer else 'arrived'} after {took:.2f} ms; {self._crossed()}", True
        told = self._dropped() or self._refused() or self._error()
        if not told:
            told = self._unreturned(arrived[0].node) if arrived else self._lost()
        return told, False

    def _arrivals(self) -> Sequence[Sighting]:
        """The probe at whoever has the address."""
        whose = {node.name for node in owners(self.bed, self.wanted.target, self.wanted.source)}
        return [seen for seen in self.own if seen.node in whose and not seen.outgoing and self.probe.asks(seen.packet)]

    def _dropped(self, by: str = "") -> str:
        """Which firewall dropped it, or an answer to it, and by which rule; of all, or of one node."""
        for node, passes in self.decided.items() if not by else [(by, self.decided.get(by, ()))]:
            for last in (decision for decided in passes for decision in nftrace.last_words(decided) if decision.drops):
                return f"dropped by the firewall of {node}: {last.chain}: {last.word}"
        return ""

    def _refused(self) -> str:
        return f"{self.wanted.source.name} does not send it: {self.refused}" if self.refused else ""

    def _error(self) -> str:
        """What somebody else than the target answers, or the target otherwise than by a yes."""
        told = [seen for seen in self._back if not self.probe.asks(seen.packet)]
        if not told or (found := ends(told[-1].packet)) is None:
            return ""
        sender = next((node.name for node in owners(self.bed, found[0], self.wanted.source)), str(found[0]))
        return f"{sender} answers: {_what(told[-1].packet)}"

    def _unreturned(self, node: str) -> str:
        """It arrived, and nothing came of that."""
        found = [ends(seen.packet) for seen in self._arrivals()]
        back = f": see there `ip route get {found[0][0]}`" if found and found[0] else ""
        return f"it arrived, and {node} does not answer{back}"

    def _lost(self) -> str:
        """Where it was seen last, if nobody says that it ends there, and what its node lacks, if that can be seen."""
        asks = [seen for seen in self.own if self.probe.asks(seen.packet)]
        node = asks[-1].node if asks else self.wanted.source.name
        verb = "leaving" if asks and asks[-1].outgoing else "entering"
        where = f"last seen {verb} {node} by {asks[-1].network}" if asks else f"{node} sent it, and it was seen nowhere"
        if unanswered := self._unanswered(node):
            return f"{where}; {node} asks {unanswered.network} who has {asked_for(unanswered.packet)}: nobody answers"
        if self.bed.is_vpn(node) and not any(tunnel.carries for tunnel in self.bed.tunnels(node)):
            said = complaint(self.bed.engine.log(self.bed.project, node))
            return f"{where}, which has no tunnel{f'; charon says: {said}' if said else ''}"
        return f"{where}, and dropped by no firewall: see there `ip route get {self.wanted.target}`"

    def _unanswered(self, node: str) -> Sighting | None:
        """The node's question for a neighbour that nobody answers."""
        its = [seen for seen in self.neighbours if seen.node == node]
        answers = {answered_for(seen.packet) for seen in its if not seen.outgoing}
        questions = [seen for seen in its if seen.outgoing and asked_for(seen.packet)]
        return next((seen for seen in questions if asked_for(seen.packet) not in answers), None)

    @property
    def _back(self) -> Sequence[Sighting]:
        """What of it came to its source."""
        return [seen for seen in self.own if seen.node == self.wanted.source.name and not seen.outgoing]

    def _visits(self, node: str) -> Sequence[Sequence[Sighting]]:
        """A node's sightings, parted by comings and by question, answer and error: each part is a packet to it."""
        found: list[list[Sighting]] = []
        for seen in self.own:
            if seen.node != node:
                continue
            last = found[-1][-1] if found else None
            if last is None or self._part(last) != self._part(seen) or (last.outgoing and not seen.outgoing):
                found.append([])
            found[-1].append(seen)
        return found

    def _part(self, seen: Sighting) -> tuple[bool, bool]:
        return self.probe.asks(seen.packet), self.probe.answers(seen.packet)

    def _place(self, visit: Sequence[Sighting]) -> int:
        """Where a decision stands among all sightings."""
        came = [seen for seen in visit if not seen.outgoing]
        return self.seen.index(came[-1]) + 1 if came else self.seen.index(visit[0])

    def _crossed(self) -> str:
        """On which networks it could be read, and on which there was ESP."""
        networks = self.bed.scenario.networks
        out = [seen for seen in self.seen if seen.outgoing and seen.network in networks]
        clear = dict.fromkeys(seen.network for seen in out if not is_esp(seen.packet))
        sealed = dict.fromkeys(seen.network for seen in out if is_esp(seen.packet))
        told = [f"in clear on {', '.join(clear)}"] if clear else []
        return "; ".join([*told, *([f"ESP on {', '.join(sealed)}"] if sealed else ["no ESP anywhere"])])


def once(bed: Testbed, wanted: Asked, heard: Mapping[str, list[str]]) -> Attempt:
    """Send the probe once; what all nodes saw of it, and firewalls said, whose lines are `heard`."""
    probe = wanted.make()
    packet = probe.packet(source_address(bed, wanted.source, wanted.target), wanted.target)
    if wanted.size:
        packet = filled(packet, wanted.size)
    expressions = probe.nft_matches(wanted.target.version)
    bed.agents.each(tuple(heard), lambda agent: nftrace.begin(agent, expressions))
    looked = {node: len(lines) for node, lines in heard.items()}
    refused = ""

    def is_answer(seen: Sighting) -> bool:
        return seen.node == wanted.source.name and not seen.outgoing and probe.shows(seen.packet)

    with bed.record() as recording:
        try:
            bed.node(wanted.source).send_packet(bytes(packet))
        except CommandFailed as failed:
            refused = failed.output
        else:
            recording.until(is_answer, ATTEMPT)
        recording.settle()
    decided = {node: nftrace.passes(lines[looked[node] :]) for node, lines in heard.items()}
    return Attempt(bed, wanted, probe, recording, decided, refused)


def describe(packet: Packet) -> str:
    """A packet in the words of one who reads captures: who to whom, what, how large, how far."""
    header, found = ip_of(packet), ends(packet)
    if header is None or found is None:
        return str(packet.summary())
    hops = f"ttl {header.ttl}" if header.version == 4 else f"hop limit {header.hlim}"
    return f"{found[0]} > {found[1]}  {_what(packet)}, {len(header)} bytes, {hops}"


def complaint(log: str) -> str:
    """The last line in a gateway's log in which charon says that a tunnel could not be made."""
    found = [line for line in log.splitlines() if COMPLAINT.search(line)]
    return re.sub(r"^\S+ \S+ ", "", found[-1]) if found else ""


def asked_for(packet: Packet) -> str:
    """Whose MAC an ARP request or a neighbour solicitation asks for (RFC 826, RFC 4861)."""
    if ARP in packet and packet[ARP].op == WHO_HAS:
        return str(packet[ARP].pdst)
    return str(packet[ICMPv6ND_NS].tgt) if ICMPv6ND_NS in packet else ""


def answered_for(packet: Packet) -> str:
    """Whose MAC an answer to that tells."""
    if ARP in packet and packet[ARP].op == IS_AT:
        return str(packet[ARP].psrc)
    return str(packet[ICMPv6ND_NA].tgt) if ICMPv6ND_NA in packet else ""


def _what(packet: Packet) -> str:
    if is_esp(packet):
        number = spi(packet)
        return "ESP in UDP" if number is None else f"ESP SPI {number:08x}"
    if ICMP in packet:
        return _icmp(packet[ICMP])
    if TCP in packet:
        return f"TCP {packet[TCP].sport} > {packet[TCP].dport} {packet[TCP].flags}"
    if kind(packet) == "ICMPv6":
        size = f", MTU {packet[ICMPv6PacketTooBig].mtu}" if ICMPv6PacketTooBig in packet else ""
        return f"{packet[IPv6].payload.name}{size}"
    return kind(packet)


def _icmp(message: Packet) -> str:
    said = str(message.sprintf("ICMP %ICMP.type%"))
    if message.type != UNREACHABLE:
        return said
    size = f", MTU {message.nexthopmtu}" if message.code == FRAG_NEEDED else ""
    return said + str(message.sprintf(" (%ICMP.code%)")) + size
