"""The evidence of a failed expectation, as values. Renderers show them: `evidence_text`, `evidence_json`.

Times are in seconds: `at` since the epoch where a packet was seen, since the probe's first sighting on a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunnelbed.observe.recording import Sighting


@dataclass(frozen=True)
class SeenPacket:
    """A packet at an interface: seen by `node` on `network`, coming `in` or going `out`; `sealed`: a tunnel's data."""

    at: float
    node: str
    network: str
    direction: str
    summary: str
    sealed: bool

    @classmethod
    def of(cls, seen: Sighting, *, sealed: bool) -> SeenPacket:
        """What was seen, in a line."""
        way = "out" if seen.outgoing else "in"
        return cls(seen.frame.at, seen.node, seen.network, way, str(seen.packet.summary()), sealed)


@dataclass(frozen=True)
class Packets:
    """The last packets that have to do with it, in the order of time."""

    seen: tuple[SeenPacket, ...]


@dataclass(frozen=True)
class PathStep:
    """One thing that happened to a packet at a node: it came `in` or went `out` by a network, or a `rule` decided.

    A rule has no time and no network. `sealed`: what was seen is a tunnel's data, which nobody can read there.
    """

    node: str
    event: str
    what: str
    network: str = ""
    at: float | None = None
    sealed: bool = False


@dataclass(frozen=True)
class PacketPath:
    """A packet's path, node by node: what came of it (`outcome`), and `cause`, why it was not answered, if known.

    It has the decisions of firewalls if they were `traced`, for which one more packet is sent.
    """

    steps: tuple[PathStep, ...]
    outcome: str
    answered: bool
    cause: str = ""
    traced: bool = True


@dataclass(frozen=True)
class LogTail:
    """The last lines of a node's log."""

    node: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One part of a node's state: its `name` (`addresses`, `routes`, ...), and the lines that a tool printed there."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class NodeState:
    """The state of a node at one moment; `state` is `running` or the engine's word for anything else.

    `missing` says why there are no sections, or not all, and is empty where nothing is missing. No key is in it.
    """

    node: str
    state: str
    sections: tuple[Section, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class CaptureFile:
    """What all nodes saw meanwhile, as pcapng."""

    path: Path


@dataclass(frozen=True)
class FirewallTrace:
    """What a node's firewall decided about one packet, as the kernel traces it: a rule or a policy a line."""

    node: str
    decisions: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """Lines that have no shape of their own."""

    lines: tuple[str, ...]


Evidence = Packets | PacketPath | LogTail | CaptureFile | FirewallTrace | NodeState | Text
