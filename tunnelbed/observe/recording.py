"""Recording packets on every node: the evidence for each verdict.

    with bed.record() as recording:
        ...                                    # something happens
    recording.settle()
    recording.on("isp_link_a")                 # the packets that crossed a link, each told once

All nodes watch all their interfaces, so a packet's way can be read off: where it entered, what it became, where it
ended. Frames come with the machine's one clock.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tunnelbed.engines.agents import Agent, Agents, Frame
from tunnelbed.errors import DeadlinePassed
from tunnelbed.host import waiting
from tunnelbed.observe.carried import Classify, Kind, nobodys
from tunnelbed.observe.pcapng import ETHERNET, Pcapng

# Seconds without a frame anywhere after which nothing is under way any more: a packet stays in a node for less than
# 10 ms, user-space ESP included (measured 2 to 7 ms on two busy cores).
QUIET = 0.03
SETTLE_SECONDS = 2.0
# In all, where frames wait before they leave, and something always moves.
SLOW_SECONDS = 10.0
# IEEE 802's ethertype for local experiments, from a locally administered address.
MARKER = 0x88B5
MARKER_MAC = "02:00:00:00:00:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"
# Nobody's: who sees such a marker is its sender, where it leaves.
NOBODY_MAC = "02:00:00:00:00:ff"


@dataclass(frozen=True)
class Sighting:
    """One packet at one interface of one node."""

    frame: Frame

    @property
    def node(self) -> str:
        """The node that saw it."""
        return self.frame.node

    @property
    def network(self) -> str:
        """Where: a network's name, which is its interface's, or that of a VPN's own interface."""
        return self.frame.interface

    @property
    def outgoing(self) -> bool:
        """Whether the node sent it."""
        return self.frame.outgoing

    @cached_property
    def packet(self) -> Packet:
        """The frame as Scapy reads it; from a TUN device, which has no link header, the IP packet alone."""
        data = self.frame.data
        if self.frame.hardware == ETHERNET:
            return Ether(data)
        if not data:
            return Raw(data)
        return IP(data) if data[0] >> 4 == 4 else IPv6(data)

    def moved(self, at: float) -> Sighting:
        """The same at another time; what was dissected already is not dissected again."""
        found = Sighting(replace(self.frame, at=at))
        if "packet" in self.__dict__:
            found.__dict__["packet"] = self.packet
        return found

    def __str__(self) -> str:
        """One line: when, who, where, what."""
        way = "out" if self.outgoing else "in"
        return f"{self.frame.at % 60:09.6f} {self.node:12} {way:3} {self.network:15} {self.packet.summary()}"


# A node that sends one, the network, and what makes it unlike any other.
Marker = tuple[str, str, bytes]


@dataclass
class Recording:
    """The frames of all nodes between a beginning and an end."""

    agents: Agents
    watched: Mapping[str, Sequence[str]]
    # In the order in which they were heard. One for each frame, so that each is dissected once.
    heard: list[Sighting] = field(default_factory=list)
    # What a packet is to the scenario's VPNs.
    classify: Classify = nobodys
    _news: threading.Event = field(default_factory=threading.Event)

    def hear(self, frame: Frame) -> None:
        """Take a frame from a node."""
        self.heard.append(Sighting(frame))
        self._news.set()

    def sync(self) -> None:
        """Return when everything seen so far is in the recording. Raises `NodeFailed` where a node lost frames."""
        self.agents.each(tuple(self.watched), lambda agent: agent.sync())

    def settle(self) -> None:
        """Return when no packet is in flight any more, and every node has shown that it sees each of its networks.

        A marker crosses every network, and all nodes with an interface there report it. When that is done, and all
        nodes have told what they saw, nothing has moved anywhere for `QUIET` seconds, stretched and moved, but gateways
        that ask each other for a sign of life: of thirty, one always does. Where frames wait longer than that before
        they leave a node (tc-netem(8), a narrow link), markers wait behind them: then a whole round of markers passes
        in which nothing moves.
        Afterwards the recording can prove that something did *not* happen. Raises
        `DeadlinePassed` where a marker is not seen, with the networks and nodes.
        """
        until = waiting.now() + waiting.stretched(SLOW_SECONDS)
        while self._stirs() and waiting.now() < until:
            pass

    def _stirs(self) -> bool:
        """Send markers, and wait until nothing moves; whether something may yet come out from where frames wait."""
        looked, begun = len(self.heard), waiting.now()
        slow = self._mark() > QUIET
        self._quieten(looked, begun)
        return slow and not all(_is_marker(seen) or self._routine(seen) for seen in self.heard[looked:])

    def _quieten(self, looked: int, since: float) -> None:
        """Return when nothing has moved for a while, or something never ceases to.

        What was heard first from `looked` on came after `since`, a moment of `waiting.now`.
        """

        def moves() -> bool:
            nonlocal looked, since
            heard = self.heard[looked:]
            looked += len(heard)
            if all(_is_marker(seen) or self._routine(seen) for seen in heard):
                return False
            since = waiting.now()
            return True

        def quiet() -> bool:
            while True:
                self._news.clear()
                if moves():
                    return False
                if not waiting.pause(self._news, max(0.0, since + waiting.moved(QUIET) - waiting.now())):
                    break
            # A busy node may not have told yet what it saw.
            self.sync()
            return not moves()

        try:
            waiting.until(quiet, SETTLE_SECONDS, "the testbed to be quiet")
        except DeadlinePassed:  # a busy testbed: what matters was waited for by name
            self.sync()

    def _routine(self, seen: Sighting) -> bool:
        """Whether a packet is what gateways send each other at any time."""
        carried = self.classify(seen.packet)
        return carried is not None and carried.routine

    def _mark(self) -> float:
        """Send a marker across every network at once; return when all other nodes there have seen it.

        Returns for how many seconds a marker waited in its sender's queue at most: from where the kernel took it to
        where it left. What our own requests take is no part of that.

        And out of every other interface one for nobody, which its sender sees once it leaves. A firewall may drop that
        one (nft's egress hook), which no more than costs time.
        """
        broadcasts, others = self._markers()
        unseen = {
            (node, token): network
            for sender, network, token in broadcasts
            for node, names in self.watched.items()
            if network in names and node != sender
        }
        waits = {(node, token): network for node, network, token in (*broadcasts, *others)}
        taken: dict[bytes, float] = {}

        def send(agent: Agent) -> None:
            mine = [(network, token, BROADCAST) for node, network, token in broadcasts if node == agent.node]
            mine += [(network, token, NOBODY_MAC) for node, network, token in others if node == agent.node]
            sent = agent.send_frames([(network, _marker(receiver, token)) for network, token, receiver in mine])
            for (_, token, receiver), at in zip(mine, sent, strict=True):
                if isinstance(at, float):
                    taken[token] = at
                elif receiver == BROADCAST:
                    raise at
                else:
                    # An interface that is down, or lets nothing out (ENOBUFS): nothing of this node waits there.
                    waits.pop((agent.node, token), None)

        looked = first = len(self.heard)
        self.agents.each(tuple(self.watched), send)

        def missing(among: dict[tuple[str, bytes], str]) -> Sequence[str]:
            nonlocal looked
            heard = self.heard[looked:]
            looked += len(heard)
            for seen in heard:
                for markers in (unseen, waits):
                    markers.pop((seen.node, seen.frame.data[14:30]), None)
            return [f"{network} by {other}" for (other, _), network in among.items()]

        # Raises with those that are missing.
        what = "no marker to be missing"
        waiting.until(lambda: missing(unseen), SETTLE_SECONDS, what, every=0.002, good=lambda found: not found)
        with contextlib.suppress(DeadlinePassed):
            waiting.until(lambda: missing(waits), SETTLE_SECONDS, what, every=0.002, good=lambda found: not found)
        if waits:
            return math.inf
        left = ((seen, taken.get(seen.frame.data[14:30])) for seen in self.heard[first:] if seen.outgoing)
        return max((seen.frame.at - at for seen, at in left if at is not None), default=0.0)

    def _markers(self) -> tuple[Sequence[Marker], Sequence[Marker]]:
        """Who sends which marker where: for each network one that all there see, and those of its other interfaces."""
        broadcasts, own = [], []
        for network in dict.fromkeys(name for names in self.watched.values() for name in names):
            # The last node there: the first is more often the one in the middle, which would send most of them.
            *others, sender = [node for node, names in self.watched.items() if network in names]
            broadcasts.append((sender, network, secrets.token_bytes(16)))
            own += [(node, network, secrets.token_bytes(16)) for node in others]
        return broadcasts, own

    def until(self, wanted: Callable[[Sighting], bool], seconds: float) -> Sighting | None:
        """The first sighting that is wanted, waiting up to `seconds` for it; None if it never came."""
        looked = 0
        found: Sighting | None = None

        def check() -> bool:
            nonlocal looked, found
            heard = self.heard[looked:]
            looked += len(heard)
            found = next((seen for seen in heard if wanted(seen)), None)
            return found is not None

        with contextlib.suppress(DeadlinePassed):
            waiting.until(check, seconds, "a packet", every=0.002)
        return found

    @property
    def sightings(self) -> Sequence[Sighting]:
        """Everything but our own markers, in the order of time."""
        heard = [seen for seen in self.heard if not _is_marker(seen)]
        return sorted(heard, key=lambda seen: seen.frame.at)

    def on(self, network: str) -> Sequence[Sighting]:
        """What crossed a network, each packet once: what its nodes sent on it.

        What they received there is no measure: behind ESP in the kernel, a capture shows the decrypted packet as if it
        had come in by the same interface.
        """
        return [seen for seen in self.sightings if seen.network == network and seen.outgoing]

    def arrivals(self, node: str) -> Sequence[Sighting]:
        """What came to a node."""
        return [seen for seen in self.sightings if seen.node == node and not seen.outgoing]

    def departures(self, node: str) -> Sequence[Sighting]:
        """What a node sent."""
        return [seen for seen in self.sightings if seen.node == node and seen.outgoing]

    def way_of(self, is_it: Callable[[Packet], bool]) -> Sequence[Sighting]:
        """Where a packet was seen, from the first capture point to the last."""
        return [seen for seen in self.sightings if is_it(seen.packet)]

    def stalls(self, since: int, is_it: Callable[[Packet], bool]) -> frozenset[tuple[str, str, bool]] | None:
        """The capture points of a packet, after the first so many sightings; None while gateways negotiate.

        Two attempts that end at the same places, with no handshake under way, are followed by a third that does.
        """
        sightings = self.heard[since:]
        carried = [self.classify(seen.packet) for seen in sightings]
        if any(found and found.kind is not Kind.DATA for found in carried):
            return None
        return frozenset((seen.node, seen.network, seen.outgoing) for seen in sightings if is_it(seen.packet))

    def save(self, path: Path) -> Path:
        """Write it all as pcapng, an interface for each capture point: `gateway-a isp_link_a`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(Pcapng(path)) as file:
            for seen in self.sightings:
                file.write(seen.frame, f"{seen.node} {seen.network}")
        return path


def _is_marker(seen: Sighting) -> bool:
    return seen.frame.data[12:14] == MARKER.to_bytes(2, "big")


def _marker(receiver: str, token: bytes) -> bytes:
    return bytes(Ether(src=MARKER_MAC, dst=receiver, type=MARKER) / Raw(token))


@contextlib.contextmanager
def record(agents: Agents, watched: Mapping[str, Sequence[str]], classify: Classify = nobodys) -> Iterator[Recording]:
    """Record at these nodes, each with its networks; the recording can be read while it goes on and afterwards.

    Every node has answered before the body runs, so what happens in it is seen.
    """
    recording = Recording(agents, watched, classify=classify)
    agents.each(tuple(watched), lambda agent: agent.watch(recording.hear))
    try:
        yield recording
    finally:
        agents.each(tuple(watched), lambda agent: agent.unwatch())
