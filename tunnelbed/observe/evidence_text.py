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
    return [line for one in evidence for line in (_node(one) if isinstance(one, NodeState) else _lines(one))]


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


def _lines(one: Packets | PacketPath | LogTail | CaptureFile | FirewallTrace | Text) -> Sequence[str]:
    match one:
        case Packets(seen):
            return ["last packets:", *_under(map(packet, seen) if seen else ["none"])]
        case PacketPath():
            return ["path of another such packet:" if one.traced else "path of the packet:", *_under(path(one))]
        case LogTail(node, said):
            return [f"log of {node}:", *_under(said)]
        case CaptureFile(where):
            return [f"capture:  {where}"]
        case FirewallTrace(_, decisions):
            return ["trace:", *_under(decisions)]
        case Text(said):
            return said


def _node(one: NodeState) -> Sequence[str]:
    """Its name and state, and the sections below."""
    heading = f"{one.node}: {one.state}" + (f"; {one.missing}" if one.missing else "")
    return [heading, *_under(line for part in one.sections for line in _section(part))]


def _section(part: Section) -> Sequence[str]:
    """Its lines, or in the same line as its name that there is none."""
    return [f"{part.name}:", *_under(part.lines)] if part.lines else [f"{part.name}: none"]


def _under(rows: Iterable[str]) -> Sequence[str]:
    return [f"  {row}" for row in rows]
