"""Which path a probe took: through a tunnel between gateways, or in clear; judged by what was recorded.

Through the tunnel: between two tunnel ends, ESP with SPIs that both of their daemons list carried the probe and its
answer at that time; and nothing of the probe could be read on any network outside the ends' sites, nor inside what only
claims to be sealed. Outside the tunnel: the probe and its answer were seen in clear from node to node, all the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from ipaddress import ip_network

from tunnelbed.checks import address_selection
from tunnelbed.checks.unmet import Unmet, unmet
from tunnelbed.errors import TunnelbedError
from tunnelbed.observe.carried import Kind
from tunnelbed.observe.clocks import in_order
from tunnelbed.observe.packets import claims_to_be_sealed, ends, from_or_to, packets_within
from tunnelbed.observe.probes import Marked
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node, Subnet

INSIDE = "intranet"
# Seconds between packets of one question; between two tries pass several times as many.
BURST = 0.05


class Via(Enum):
    """The path that a sentence asks for, with the words of the sentence."""

    ANY = ""
    TUNNEL = " through the tunnel"
    CLEAR = " outside the tunnel"


@dataclass(frozen=True)
class Carrier:
    """One direction of a tunnel: the node that sends with an SPI, and the node that receives with it."""

    sender: str
    receiver: str


@dataclass
class Listed:
    """The SPIs that daemons list: those that each gateway sends with, and those that it receives with."""

    sends: dict[int, set[str]] = field(default_factory=dict)
    takes: dict[int, set[str]] = field(default_factory=dict)

    def add(self, node: str, spi_in: int, spi_out: int) -> None:
        """Take one child of a node's tunnels."""
        self.takes.setdefault(spi_in, set()).add(node)
        self.sends.setdefault(spi_out, set()).add(node)

    def update(self, other: Listed) -> None:
        """Take all that another listing has."""
        for mine, theirs in ((self.sends, other.sends), (self.takes, other.takes)):
            for number, nodes in theirs.items():
                mine.setdefault(number, set()).update(nodes)

    def carriers(self, number: int | None) -> Iterable[Carrier]:
        """The two ends of an SPI, as both list it; none if only one of them lists it."""
        if number is not None:
            for sender in self.sends.get(number, ()):
                for receiver in self.takes.get(number, ()):
                    if sender != receiver:
                        yield Carrier(sender, receiver)


def listed(bed: Testbed, *, strict: bool = True) -> Listed:
    """What the tunnel ends list now. `strict` raises where a daemon does not answer; else it lists nothing."""
    found = Listed()

    def ask(node: Node) -> None:
        try:
            tunnels = bed.node(node).tunnels()
        except TunnelbedError:
            if strict:
                raise
            return
        for child in (child for tunnel in tunnels for child in tunnel.children):
            found.add(node.name, child.number_in, child.number_out)

    list(bed.pool.map(ask, bed.gateways()))
    return found


@dataclass(frozen=True)
class Leg:
    """The probe's way, or its answer's: from whom to whom, and from when to when it was under way."""

    sender: Node
    receiver: Node
    begin: float
    end: float
    what: str

    def has(self, seen: Sighting) -> bool:
        """Whether something was seen meanwhile."""
        return self.begin <= seen.frame.at <= self.end


@dataclass(frozen=True)
class Passage:
    """One probe's passage, as it was recorded: who sent it to whom, how it is known, and what tunnel ends listed."""

    bed: Testbed
    expected: str
    recording: Recording
    mark: Marked
    source: Node
    target: Node
    # What tunnel ends listed before; what they list now is added.
    before: Listed
    # How a failure says which IP version this is about, where there are two: ` by IPv6`.
    about: str = ""

    def judge(self, via: Via) -> None:
        """The probe went by that path, and its answer came back by it. Raises `Unmet`."""
        if via is Via.TUNNEL:
            self._is_unreadable_outside()
            for leg in self._legs:
                self._is_sealed(leg)
        elif via is Via.CLEAR:
            for leg in self._legs:
                self._is_in_clear(leg)

    @property
    def ways(self) -> Sequence[Via]:
        """The paths that the probe may have taken, the most specific one first."""
        if not all(self._hops(leg) for leg in self._legs):
            return (Via.TUNNEL, Via.ANY)
        networks = self.bed.scenario.networks
        crossed = {seen.network for seen in self._own if seen.outgoing} & networks.keys()
        within = all(networks[name].role == INSIDE for name in crossed)
        return (Via.ANY,) if within or not self.bed.gateways() else (Via.CLEAR, Via.ANY)

    # Through the tunnel.

    def _is_unreadable_outside(self) -> None:
        outside = self._outside
        for seen in self._sightings:
            if seen.outgoing and seen.network in outside and self._is_readable(seen):
                inside = ", inside a packet that claims to be encrypted" if claims_to_be_sealed(seen.packet) else ""
                raise self._unmet(f"readable on {seen.network}{self.about}{inside}: {seen}")

    def _is_readable(self, seen: Sighting) -> bool:
        """Whether a packet shows the probe, or an address from inside of those between which it went."""
        packet = seen.packet
        if self.mark.shows(packet):
            return True
        if any(from_or_to(found, self._private) or self.mark.shows(found) for found in packets_within(packet)):
            return True
        # In another site's own network its addresses are at home.
        return self.bed.scenario.networks[seen.network].role != INSIDE and from_or_to(packet, self._private)

    def _is_sealed(self, leg: Leg) -> None:
        starts, stops = self._ends(leg)
        if _leads(self._carried(leg), starts, stops):
            return
        if not starts or not stops:
            raise self._unmet(f"no VPN gateway on the path of {leg.what}{self.about}")
        if starts == stops:
            raise self._unmet(f"{' or '.join(starts)} forwarded {leg.what} outside any tunnel{self.about}")
        between = f"from {' or '.join(sorted(starts))} to {' or '.join(sorted(stops - starts or stops))}"
        foreign = [seen for seen in self._sightings if leg.has(seen) and seen.outgoing and self._is_foreign(seen)]
        other = f"; an SPI that they do not list: {foreign[0]}" if foreign else ""
        raise self._unmet(f"no ESP of a tunnel {between} carried {leg.what}{self.about}{other}")

    def _ends(self, leg: Leg) -> tuple[set[str], set[str]]:
        """The gateways that may have encrypted it, and decrypted it: an end itself, or the one next to it."""
        vpn = {node.name for node in self.bed.gateways()}
        way = [seen for seen in self._own if leg.has(seen) and seen.node in vpn]
        first = [seen.node for seen in way if not seen.outgoing and seen.node != leg.sender.name][:1]
        last = [seen.node for seen in way if seen.outgoing and seen.node != leg.receiver.name][-1:]
        return (vpn & {leg.sender.name}) | set(first), (vpn & {leg.receiver.name}) | set(last)

    def _carried(self, leg: Leg) -> set[tuple[str, str]]:
        """The pairs of gateways between which ESP went meanwhile, with an SPI that both list."""
        left: set[tuple[int, Carrier]] = set()
        came: set[tuple[int, Carrier]] = set()
        for seen in self._sightings:
            if not leg.has(seen) or (number := self.bed.data_number(seen.packet)) is None:
                continue
            for carrier in self._numbers.carriers(number):
                if seen.outgoing and seen.node == carrier.sender:
                    left.add((number, carrier))
                elif not seen.outgoing and seen.node == carrier.receiver:
                    came.add((number, carrier))
        return {(carrier.sender, carrier.receiver) for _, carrier in left & came}

    # Outside the tunnel.

    def _is_in_clear(self, leg: Leg) -> None:
        if self._hops(leg):
            return
        sealed = " and ".join(f"{sender} to {receiver}" for sender, receiver in sorted(self._carried(leg)))
        gone = f"went in ESP from {sealed}" if sealed else "was not seen in clear all the way"
        raise self._unmet(f"{leg.what} {gone}{self.about}")

    def _hops(self, leg: Leg) -> bool:
        """Whether it was seen in clear from node to node, all the way: sent into each network, and received there."""
        senders: dict[str, set[str]] = {}
        receivers: dict[str, set[str]] = {}
        for seen in self._own:
            if leg.has(seen) and seen.network in self.bed.scenario.networks:
                (senders if seen.outgoing else receivers).setdefault(seen.network, set()).add(seen.node)
        hops = {
            (sender, receiver)
            for network, sent in senders.items()
            for sender in sent
            for receiver in receivers.get(network, ())
        }
        return _leads(hops, {leg.sender.name}, {leg.receiver.name})

    # What was seen.

    @cached_property
    def _numbers(self) -> Listed:
        now = listed(self.bed)
        now.update(self.before)
        return now

    def _is_foreign(self, seen: Sighting) -> bool:
        """Whether a packet has the form of tunnel data, and no number of a tunnel between two ends."""
        if not claims_to_be_sealed(seen.packet):
            return False
        carried = self.bed.classify(seen.packet)
        return carried is None or (carried.kind is Kind.DATA and not list(self._numbers.carriers(carried.number)))

    @cached_property
    def _sightings(self) -> Sequence[Sighting]:
        return in_order(self.recording.sightings)

    @cached_property
    def _own(self) -> Sequence[Sighting]:
        """Where the probe, or its answer, was seen as it is."""
        found = [seen for seen in self._sightings if self.mark.shows(seen.packet)]
        return [seen for seen in found if not claims_to_be_sealed(seen.packet)]

    @cached_property
    def _legs(self) -> Sequence[Leg]:
        """There and back; of several tries, the last one before the first arrival counts.

        A long question is several packets, of which the last may be under way when the first arrives: the answer is
        under way from where it leaves, or where that cannot be seen (ESP in the kernel) from the arrival on.
        """
        source, target = self.source.name, self.target.name
        every = [seen.frame.at for seen in self._sightings] or [0.0]
        came, sent = self._times(target, outgoing=False), self._times(target, outgoing=True)
        back, left = self._times(source, outgoing=False), self._times(source, outgoing=True)
        arrived = came[0] if came else every[-1]
        answered = next((at for at in sent if at >= arrived), arrived)
        begun = [at for at in left if at <= arrived] or every[:1]
        begin = begun[-1]
        for at in reversed(begun):
            begin = at if begin - at < BURST else begin
        return (
            Leg(self.source, self.target, begin, arrived, "the probe"),
            Leg(self.target, self.source, answered, back[-1] if back else every[-1], "the answer"),
        )

    def _times(self, node: str, *, outgoing: bool) -> Sequence[float]:
        """When a node was seen to send the probe or its answer as it is, or to receive it."""
        return [seen.frame.at for seen in self._own if seen.node == node and seen.outgoing == outgoing]

    @cached_property
    def _private(self) -> tuple[Subnet, ...]:
        """The addresses from inside between which the probe went, as it was seen, and as its ends have them."""
        private = address_selection.inside(self.bed)
        found = {address for seen in self._own for address in ends(seen.packet) or ()}
        found.update(self.source.addresses, self.target.addresses)
        return tuple(ip_network(address) for address in found if any(address in subnet for subnet in private))

    @cached_property
    def _outside(self) -> Collection[str]:
        """Every network that is no site's own of an end, labelled or not.

        An end that is itself a tunnel end hides what it sends from its own networks, too. The network between a host
        and its gateway needs no label where no other tunnel end is on it.
        """
        own: set[str] = set()
        firsts, lasts = self._ends(self._legs[0])
        for node, near, far in ((self.source, firsts, lasts), (self.target, lasts, firsts)):
            if self.bed.node(node).vpn:
                continue
            theirs = {at.network for at in node.attachments}
            others = far - near or {each.name for each in self.bed.gateways()} - near
            beyond = {at.network for name in others for at in self.bed.scenario.nodes[name].attachments}
            for network in self.bed.scenario.networks.values():
                labelled = network.role == INSIDE and (network.site == node.site or network.name in theirs)
                plain = not network.role and network.name in theirs - beyond and bool(near)
                if labelled or plain:
                    own.add(network.name)
        return self.bed.scenario.networks.keys() - own

    def _unmet(self, seen: str) -> Unmet:
        sites = {self.source.site, self.target.site}
        ends_of_both = [node.name for node in self.bed.gateways() if node.site in sites]
        return unmet(self.bed, self.expected, seen, self.recording, ends_of_both, self.mark.shows)


def _leads(hops: Collection[tuple[str, str]], starts: Collection[str], stops: Collection[str]) -> bool:
    """Whether hops lead from one of the starts to another node among the stops."""
    for start in starts:
        reached, new = {start}, {start}
        while new:
            new = {receiver for sender, receiver in hops if sender in new} - reached
            reached |= new
        if reached & (set(stops) - {start}):
            return True
    return False
