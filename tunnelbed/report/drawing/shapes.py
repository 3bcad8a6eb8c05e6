"""What a drawing is made of: boxes, labels, lines, frames and tunnels, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.tree import Key

# A letter's width as a part of the font's size. All letters of a fixed-width font have one width, so a label's is known
# without measuring: 0.602 in DejaVu Sans Mono and Menlo, 0.6 in Liberation Mono and Courier New, 0.55 in Consolas.
LETTER = 0.605
SIZES = {"name": 12.0, "address": 11.0, "site": 11.0}
# Above and below the base line, as parts of the font's size: DejaVu Sans Mono's, the tallest of these.
ASCENT, DESCENT = 0.93, 0.24

Point = tuple[float, float]
Kind = Literal["name", "address", "site"]


@dataclass(frozen=True)
class Box:
    """An upright rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where its right edge is."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where its lower edge is."""
        return self.y + self.height

    def overlaps(self, other: Box) -> bool:
        """Whether they have an area in common."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom

    def holds(self, other: Box) -> bool:
        """Whether the other is inside."""
        return self.x <= other.x and other.right <= self.right and self.y <= other.y and other.bottom <= self.bottom


def wide(text: str, kind: Kind) -> float:
    """A text's width."""
    return len(text) * LETTER * SIZES[kind]


@dataclass(frozen=True)
class Label:
    """A line of text: the middle of its base line."""

    text: str
    x: float
    y: float
    kind: Kind

    @property
    def box(self) -> Box:
        """The area that its letters may fill."""
        size, width = SIZES[self.kind], wide(self.text, self.kind)
        return Box(self.x - width / 2, self.y - ASCENT * size, width, (ASCENT + DESCENT) * size)


@dataclass(frozen=True)
class Placed:
    """A node or a network: its box and the labels in it, those of its interfaces aside."""

    key: Key
    box: Box
    labels: Sequence[Label]


@dataclass(frozen=True)
class Wire:
    """An interface of a node on a network: a line between their boxes, and its addresses, in the node's box."""

    node: str
    network: str
    points: Sequence[Point]
    labels: Sequence[Label]


@dataclass(frozen=True)
class Frame:
    """What lies behind a site's nodes and networks, and the site's name."""

    site: str
    boxes: Sequence[Box]
    label: Label


@dataclass(frozen=True)
class Tube:
    """A tunnel: a thick line behind all boxes, from one of its ends to the other."""

    tunnel: Tunnel
    points: Sequence[Point]
    width: float


@dataclass(frozen=True)
class Picture:
    """A whole drawing; its upper left corner is at 0, 0."""

    width: float
    height: float
    frames: Sequence[Frame]
    tubes: Sequence[Tube]
    placed: Sequence[Placed]
    wires: Sequence[Wire]
