"""A packet's path as a sequence: a lane for each node, an arrow for each crossing, a note for each rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What a reader is told in words, since a colour alone is nothing to some.
SEALED, CLEAR, UNKNOWN = "sealed", "in clear", "not recorded"
# nft(8): a rule ends in its verdict, `reject` with what is sent back.
ENDS = re.compile(r"\b(drop|reject( with [^\"]*)?)( comment \".*\")?$")


@dataclass(frozen=True)
class Row:
    """One thing that happened: from lane `start` to lane `end` (equal: within one), and at which time if known.

    `kind`: `crossing` (sent by one node and seen by the other), `sent` or `received` (seen at that node alone), `rule`.
    """

    kind: str
    start: int
    end: int
    what: str
    network: str = ""
    at: float | None = None
    protection: str = ""

    @property
    def left(self) -> int:
        """The first lane that it touches."""
        return min(self.start, self.end)

    @property
    def lanes(self) -> int:
        """How many lanes it touches."""
        return abs(self.start - self.end) + 1

    @property
    def drops(self) -> bool:
        """Whether the rule ends the packet."""
        return self.kind == "rule" and ENDS.search(self.what) is not None


@dataclass(frozen=True)
class Sequenced:
    """The nodes in the order in which the packet came to them, and what happened."""

    nodes: Sequence[str]
    rows: Sequence[Row]


def sequence(steps: Sequence[Mapping[str, Any]]) -> Sequenced:
    """The steps of a path, as docs/json.md has them."""
    nodes = list(dict.fromkeys(step["node"] for step in steps))
    return Sequenced(nodes, list(_rows(steps, nodes)))


def _rows(steps: Sequence[Mapping[str, Any]], nodes: Sequence[str]) -> Iterator[Row]:
    taken = -1
    for index, step in enumerate(steps):
        if index == taken:
            continue
        lane = nodes.index(step["node"])
        if step["event"] == "rule":
            yield Row("rule", lane, lane, step["what"])
            continue
        after = steps[index + 1] if index + 1 < len(steps) else None
        more = step["network"], step["at"], _protection(step)
        if step["event"] == "out" and after and _arrives(step, after):
            taken = index + 1
            yield Row("crossing", lane, nodes.index(after["node"]), step["what"], *more)
        else:
            yield Row("sent" if step["event"] == "out" else "received", lane, lane, step["what"], *more)


def _arrives(sent: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether what comes next is the same packet at the other end of the network."""
    return bool(after["event"] == "in" and after["network"] == sent["network"] and after["node"] != sent["node"])


def _protection(step: Mapping[str, Any]) -> str:
    # Reports from before there was this key do not have it.
    if "sealed" not in step:
        return UNKNOWN
    return SEALED if step["sealed"] else CLEAR
