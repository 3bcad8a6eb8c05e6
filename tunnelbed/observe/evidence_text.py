"""Evidence as a person reads it, in lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunnelbed.observe.evidence import (
    CaptureFile,
    Evidence,
    FirewallTrace,
    LogTail,
    NodeState,
    PacketPath,
    Packets,
    Section,
    SeenPacket,
    Text,
)


def lines(evidence: Iterable[Evidence]) -> Sequence[str]:
    """All of it, one after the other, each with its heading."""
    return [line for one in evidence for line in _lines(one)]


def path(found: PacketPath) -> Sequence[str]:
    """A line for each step, in columns, with the milliseconds; and the outcome."""
    nodes = max((len(step.node) for step in found.steps), default=0)
    networks = max((len(step.network) for step in found.steps), default=0)
    rows = [f"{'ms':>8}  {'node':{nodes}}  way   {'network':{networks}}  packet"]
    for step in found.steps:
        at = "" if step.at is None else f"{step.at * 1000:.2f}"
        where = f"{step.network:{networks}}  " if step.network else ""
        rows.append(f"{at:>8}  {step.node:{nodes}}  {step.event:4}  {where}{step.what}")
    return [*rows, found.outcome]


def packet(seen: SeenPacket) -> str:
    """One line: when, who, where, what."""
    return f"{seen.at % 60:09.6f} {seen.node:12} {seen.direction:3} {seen.network:15} {seen.summary}"


def _lines(one: Evidence) -> Sequence[str]:
    """Its heading, and its rows below that."""
    rows: Iterable[str] = ()
    match one:
        case Packets(seen):
            heading, rows = "last packets:", map(packet, seen) if seen else ["none"]
        case PacketPath():
            heading, rows = "path of another such packet:" if one.traced else "path of the packet:", path(one)
        case LogTail(node, said):
            heading, rows = f"log of {node}:", said
        case CaptureFile(where):
            heading = f"capture:  {where}"
        case FirewallTrace(_, decisions):
            heading, rows = "trace:", decisions
        case NodeState(node, state, sections, missing):
            heading = f"{node}: {state}" + (f"; {missing}" if missing else "")
            rows = [line for part in sections for line in _section(part)]
        case Text(said):
            return said
    return [heading, *_under(rows)]


def _section(part: Section) -> Sequence[str]:
    """Its lines, or in the same line as its name that there is none."""
    return [f"{part.name}:", *_under(part.lines)] if part.lines else [f"{part.name}: none"]


def _under(rows: Iterable[str]) -> Sequence[str]:
    return [f"  {row}" for row in rows]
