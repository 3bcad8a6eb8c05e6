"""One probe, sent once: what all nodes saw of it, what each firewall decided, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunnelbed.checks import selectors
from tunnelbed.checks.address_selection import owners
from tunnelbed.observe import nftrace
from tunnelbed.observe.carried import Kind
from tunnelbed.observe.clocks import in_order
from tunnelbed.observe.evidence import PacketPath, PathStep
from tunnelbed.observe.packet_words import describe, what
from tunnelbed.observe.packets import (
    answered_for,
    asked_for,
    ends,
    is_neighbour_discovery,
)
from tunnelbed.observe.probes import Question
from tunnelbed.observe.recording import Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node


@dataclass
class Attempt:
    """What was seen of one probe, and why its own sender refused it, if so."""

    bed: Testbed
    source: Node
    target: Address
    probe: Question
    sightings: Sequence[Sighting]
    decided: Mapping[str, Sequence[Sequence[str]]]
    refused: str

    def __post_init__(self) -> None:
        sightings = in_order(self.sightings)
        self.own = [seen for seen in sightings if self.probe.shows(seen.packet)]
        numbered = [(seen, self.bed.data_number(seen.packet)) for seen in sightings]
        carriers = self._carriers([(seen, number) for seen, number in numbered if number is not None])
        self.seen = [seen for seen, number in numbered if number in carriers or self.probe.shows(seen.packet)]
        self.neighbours = [seen for seen in sightings if is_neighbour_discovery(seen.packet)]
        self.negotiated = any(self._negotiates(seen) for seen in sightings)
        self.answer = next((seen for seen in self._back if self.probe.answers(seen.packet)), None)

    def _carriers(self, data: Sequence[tuple[Sighting, int]]) -> frozenset[int]:
        """The numbers of tunnel data that may have carried it, whatever else crosses tunnels meanwhile.

        Whoever encrypts it had it in clear before, and whoever decrypts it has it in clear afterwards. Where nobody
        has, it was lost, and all that such a sender encrypted may have been it.
        """
        senders: dict[int, str] = {}
        last: dict[int, Sighting] = {}
        for seen, number in data:
            if seen.outgoing:
                senders.setdefault(number, seen.node)
            last[number] = seen
        own = {self.source.name, *(node.name for node in owners(self.bed, self.target, self.source))} if last else set()
        had = own | {seen.node for seen in self.own if not seen.outgoing}
        has = own | {seen.node for seen in self.own}
        may = {number for number in last if senders.get(number, "") in (*had, "")}
        found = {number for number in may if not last[number].outgoing and last[number].node in has}
        lost = {senders.get(number) for number in may} - {senders.get(number) for number in found}
        return frozenset(found | {number for number in may if senders.get(number) in lost})

    def _negotiates(self, seen: Sighting) -> bool:
        """Whether gateways negotiate a tunnel."""
        carried = self.bed.classify(seen.packet)
        return carried is not None and carried.kind is Kind.HANDSHAKE and not carried.routine

    @property
    def heard_whole(self) -> bool:
        """Whether there is a trace from each firewall that the packet passed."""
        return all(len(passes) >= len(self._visits(node)) for node, passes in self.decided.items())

    def steps(self) -> Iterator[PathStep]:
        """What happened, in the order of time; a decision stands behind what came in, before what went out."""
        began = self.own[0].frame.at if self.own else 0.0
        rules: dict[int, list[PathStep]] = {}
        for node, passes in self.decided.items():
            visits = self._visits(node)
            for number, decided in enumerate(passes):
                # What was sent and refused at once is seen nowhere.
                place = self._place(visits[number]) if number < len(visits) else len(self.seen)
                told = (f"{decision.chain}: {decision.word}" for decision in nftrace.last_words(decided))
                rules.setdefault(place, []).extend(PathStep(node, "rule", text) for text in told)
        for index, seen in enumerate(self.seen):
            yield from rules.get(index, ())
            way = "out" if seen.outgoing else "in"
            yield PathStep(
                seen.node,
                way,
                describe(seen.packet, self.bed.classify),
                seen.network,
                seen.frame.at - began,
                sealed=self.bed.tunnel_data(seen.packet) is not None,
            )
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
        """The probe's arrivals at nodes with the target address."""
        whose = {node.name for node in owners(self.bed, self.target, self.source)}
        return [seen for seen in self.own if seen.node in whose and not seen.outgoing and self.probe.asks(seen.packet)]

    def _dropped(self, by: str = "") -> str:
        """Which firewall dropped it, or an answer to it, and by which rule; of all, or of one node."""
        for node, passes in self.decided.items() if not by else [(by, self.decided.get(by, ()))]:
            for last in (decision for decided in passes for decision in nftrace.last_words(decided) if decision.drops):
                return f"dropped by the firewall of {node}: {last.chain}: {last.word}"
        return ""

    def _refused(self) -> str:
        return f"{self.source.name} does not send it: {self.refused}" if self.refused else ""

    def _error(self) -> str:
        """An error from another node, or an answer of the target that is not a yes."""
        told = [seen for seen in self._back if not self.probe.asks(seen.packet)]
        if not told or (found := ends(told[-1].packet)) is None:
            return ""
        sender = next((node.name for node in owners(self.bed, found[0], self.source)), str(found[0]))
        return f"{sender} answers: {what(told[-1].packet, self.bed.classify)}"

    def _unreturned(self, node: str) -> str:
        """It arrived, and nothing came of that."""
        found = [ends(seen.packet) for seen in self._arrivals()]
        back = f"; on {node}, see `ip route get {found[0][0]}`" if found and found[0] else ""
        return f"it arrived, and {node} does not answer{back}"

    def _lost(self) -> str:
        """Where it was seen last, if no error says why, and what that node lacks, if it can be seen."""
        asks = [seen for seen in self.own if self.probe.asks(seen.packet)]
        node = asks[-1].node if asks else self.source.name
        verb = "leaving" if asks and asks[-1].outgoing else "entering"
        where = f"last seen {verb} {node} by {asks[-1].network}" if asks else f"{node} sent it, and no capture has it"
        if why := self._unanswered_at(node) or self._without_tunnel(node, asks[-1] if asks else None):
            return f"{why}; {where}"
        return f"{where}; no firewall dropped it; on {node}, see `ip route get {self.target}`"

    def _unanswered_at(self, node: str) -> str:
        """Which neighbour does not answer a node's ARP or neighbour solicitation."""
        unanswered = self._unanswered(node)
        if unanswered is None:
            return ""
        return f"{node} asks on {unanswered.network} who has {asked_for(unanswered.packet)}: no answer"

    def _without_tunnel(self, node: str, last: Sighting | None) -> str:
        """That a gateway has no tunnel for the packet, or none at all, and the last error that its VPN logged."""
        handle = self.bed.node(node)
        if not handle.vpn:
            return ""
        children = [child for tunnel in handle.tunnels() if tunnel.carries for child in tunnel.children]
        missing = "" if children else "no tunnel"
        if children and last is not None and (found := selectors.traffic(last.packet)):
            there = [(child.local, child.remote) for child in children if child.carries]
            wanted = [pair for connection in handle.daemon.connections() for pair in connection.selectors]
            if selectors.between(wanted, found) and not selectors.between(there, found):
                missing = f"no tunnel for {found.source} > {found.target}"
            elif last.network in handle.vpn.devices and not selectors.take([*there, *wanted], found):
                taken = f"it has tunnels for {selectors.words(there)}"
                return f"{node} has no tunnel for {found}; {taken}, and {last.network} drops what none of them takes"
        if not missing:
            return ""
        said = handle.daemon.complaint()
        return f"{node} has {missing}{f', its VPN logged: {said}' if said else ''}"

    @property
    def plain_cause(self) -> str:
        """What explains the loss without a firewall's trace: a neighbour that does not answer, or a missing tunnel."""
        asks = [seen for seen in self.own if self.probe.asks(seen.packet)]
        if not asks:
            return self._unanswered_at(self.source.name)
        if self.answer or self._arrivals() or self._error():
            return ""
        if why := self._unanswered_at(asks[-1].node):
            return why
        return self._without_tunnel(asks[-1].node, asks[-1]) if asks[-1].outgoing else ""

    def path(self, more: str = "") -> PacketPath:
        """All of it as a value; `more` is added to what came of it, if that is no answer."""
        outcome, answered = self.outcome()
        told = outcome if answered else f"{outcome}{more}"
        return PacketPath(tuple(self.steps()), told, answered, "" if answered else told)

    def _unanswered(self, node: str) -> Sighting | None:
        """The node's ARP request or neighbour solicitation that has no answer."""
        its = [seen for seen in self.neighbours if seen.node == node]
        answers = {answered_for(seen.packet) for seen in its if not seen.outgoing}
        questions = [seen for seen in its if seen.outgoing and asked_for(seen.packet)]
        return next((seen for seen in questions if asked_for(seen.packet) not in answers), None)

    @property
    def _back(self) -> Sequence[Sighting]:
        """What of it came to its source."""
        return [seen for seen in self.own if seen.node == self.source.name and not seen.outgoing]

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
        """On which networks it could be read, and on which there was tunnel data."""
        networks = self.bed.scenario.networks
        out = [seen for seen in self.seen if seen.outgoing and seen.network in networks]
        clear = dict.fromkeys(seen.network for seen in out if not self.bed.tunnel_data(seen.packet))
        sealed = dict.fromkeys(seen.network for seen in out if self.bed.tunnel_data(seen.packet))
        told = [f"in clear on {', '.join(clear)}"] if clear else []
        data = " or ".join(kind.data for kind in self.bed.vpns) or "tunnel"
        return "; ".join([*told, *([f"{data} on {', '.join(sealed)}"] if sealed else [f"no {data} anywhere"])])
