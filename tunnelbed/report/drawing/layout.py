"""Where everything of a drawing is placed, so that no label ever covers another.

A tree is drawn from its root down, a level at a time; half of a wide one is turned upwards. Each line of the tree has a
strip of the picture for itself (`sizes`). A node's addresses are in its box, where the lines of its interfaces begin.
Interfaces that close a circle join neighbouring levels, in lanes between them. A tunnel follows the tree from one end
to the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.shapes import Box, Frame, Kind, Label, Picture, Placed, Point, Tube, Wire, wide
from tunnelbed.report.drawing.sizes import LANE, LINE, MARGIN, PAD, Sizes, bundle, offset, pitch
from tunnelbed.report.drawing.tree import Key, grown, site, thing
from tunnelbed.topology.model import Network, Scenario

BORDER = 12.0  # around the picture
GAP = 24.0  # between levels, and between parts of the scenario
HEADING = 17.0  # of a site, above its first box
BEHIND = 6.0  # of a frame, below its last box
# A difference that is of the arithmetic alone, and of no drawing.
NOTHING = 0.01


def picture(scene: Scenario, tunnels: Sequence[Tunnel]) -> Picture:
    """The drawing of a scenario and these tunnels: its parts from left to right."""
    frames: list[Frame] = []
    tubes: list[Tube] = []
    placed: list[Placed] = []
    wires: list[Wire] = []
    left, height = BORDER, 0.0
    for tree in grown(scene):
        part = _Part(Sizes(scene, tree, tunnels), left)
        left += part.sizes.strips[tree.root].width + GAP
        height = max(height, part.bottom)
        frames += part.frames()
        tubes += part.tubes()
        placed += part.placed()
        wires += part.wires()
    boxes = {item.key: item.box for item in placed}
    drawn = {id(tube.tunnel) for tube in tubes}
    for tunnel in tunnels:
        # Its ends are in two parts that nothing joins: straight through.
        if id(tunnel) not in drawn:
            ends = [boxes[Key("node", name)] for name in (tunnel.one, tunnel.other)]
            tubes.append(Tube(tunnel, [(end.x + end.width / 2, end.y + end.height / 2) for end in ends], 5.0))
    return Picture(left - GAP + BORDER, height + BORDER, frames, tubes, placed, wires)


class _Part:
    """One tree of a scenario, placed.

    What is drawn above the root is placed below it like all else (`_box`), and turned upwards last (`_turned`).
    """

    def __init__(self, sizes: Sizes, left: float) -> None:
        self.sizes, self.tree, self.scene = sizes, sizes.tree, sizes.scene
        self.lefts = {self.tree.root: left}
        for key in sizes.depth:
            for child, begin in sizes.strips[key].begins.items():
                self.lefts[child] = self.lefts[key] + begin
        # Of each level of each half: the upper edge of its boxes, and the lower edge of the highest of them.
        self.tops: dict[tuple[bool, int], float] = {}
        self.bottoms: dict[tuple[bool, int], float] = {}
        top = BORDER + self._below(raised=True, y=0.0) + (HEADING if sizes.heads(self.tree.root) else 0.0)
        self.tops[False, 0], bottom = top, top + sizes.height(self.tree.root)
        self.bottoms[False, 0] = self.bottoms[True, 0] = bottom
        self._below(raised=True, y=bottom)
        self.bottom = self._below(raised=False, y=bottom)

    def placed(self) -> Iterator[Placed]:
        """Every node and network, with its name, and a network's subnets."""
        for key in self.sizes.depth:
            box = self._box(key)
            texts: list[tuple[str, Kind]] = [(key.name, "name")]
            if isinstance(network := thing(self.scene, key), Network):
                texts += [(str(subnet), "address") for subnet in network.subnets]
            y = box.y + PAD + LINE * self.sizes.upper(key)
            yield Placed(key, self._turned_box(key, box), list(self._lines(key, texts, self._x(key), y)))

    def wires(self) -> Iterator[Wire]:
        """Every interface: straight lines of the tree, then those that close a circle."""
        for lower, upper in self.tree.parents.items():
            x, top, bottom = self._x(lower), self._box(lower).y, self._box(upper).bottom
            node, network = self.sizes.interface(upper, lower)
            texts: list[tuple[str, Kind]] = [(text, "address") for text in self.sizes.addresses(node, network)]
            y = top + PAD if node == lower else bottom - PAD - LINE * len(texts)
            points = [(x, self._turned(lower, bottom)), (x, self._turned(lower, top))]
            yield Wire(node.name, network.name, points, list(self._lines(lower, texts, x, y)))
        lanes: Counter[tuple[bool, int]] = Counter()
        for upper, lower in self.tree.closing:
            level = self._half(upper), self.sizes.depth[upper]
            lanes[level] += 1
            y = self.bottoms[level] + LANE * lanes[level]
            one, other = self._slot(upper, lower), self._slot(lower, upper)
            raw = [(one, self._box(upper).bottom), (one, y), (other, y), (other, self._box(lower).y)]
            node, network = self.sizes.interface(upper, lower)
            points = [(x, self._turned(lower, y)) for x, y in raw]
            yield Wire(node.name, network.name, points, list(self._closing_labels(node, network)))

    def frames(self) -> Iterator[Frame]:
        """What lies behind each site: the first of its boxes and what hangs below, one frame for neighbours."""
        for key in self.sizes.depth:
            if own := self.sizes.heads(key):
                text = f"site {own}"
                middle = self.lefts[key] + MARGIN + 4 + wide(text, "site") / 2
                y = self._turned(key, self._box(key).y - HEADING, HEADING) + HEADING - 6
                boxes = [self._turned_box(key, box) for box in self._behind(self.sizes.neighbours(key), own)]
                yield Frame(own, boxes, Label(text, middle, y, "site"))

    def tubes(self) -> Iterator[Tube]:
        """Every tunnel of this tree."""
        sizes = self.sizes
        for tunnel, way in sizes.ways:
            edges = [sizes.lower(one, other) for one, other in pairwise(way)]
            xs = [self._x(edge) + offset(tunnel, sizes.above[edge]) for edge in edges]
            points: list[Point] = [(xs[0], self._side(way[0], edges[0]))]
            for key, before, after in zip(way[1:-1], xs, xs[1:], strict=False):
                if abs(before - after) > NOTHING:
                    y = self._turned(key, self._lane(key) + offset(tunnel, sizes.within[key]))
                    points += [(before, y), (after, y)]
            points.append((xs[-1], self._side(way[-1], edges[-1])))
            yield Tube(tunnel, points, min(pitch(sizes.above[edge]) for edge in edges) * 0.7)

    def _below(self, *, raised: bool, y: float) -> float:
        """Place the levels of one half below its root, which ends at y; where the frame of the last one ends."""
        levels = [[key for key in level if self._half(key) == raised] for level in self.tree.levels()[1:]]
        for depth, level in enumerate(filter(None, levels), start=1):
            y += GAP + LANE * sum(lower in level for _, lower in self.tree.closing)
            y += HEADING if any(self.sizes.heads(key) for key in level) else 0.0
            self.tops[raised, depth] = y
            y += max(self.sizes.height(key) for key in level)
            self.bottoms[raised, depth] = y
        return y + BEHIND if any(levels) else y

    def _half(self, key: Key) -> bool:
        """Whether it is drawn above the root."""
        return key in self.sizes.raised

    def _turned(self, key: Key, y: float, height: float = 0.0) -> float:
        """The upper edge of what belongs to this thing: as it is, or turned upwards around the root."""
        return self.tops[False, 0] + self.bottoms[False, 0] - y - height if self._half(key) else y

    def _turned_box(self, key: Key, box: Box) -> Box:
        return Box(box.x, self._turned(key, box.y, box.height), box.width, box.height)

    def _lines(self, key: Key, texts: Sequence[tuple[str, Kind]], x: float, y: float) -> Iterator[Label]:
        """Lines of text that belong to a thing, the first of them below y."""
        top = self._turned(key, y, LINE * len(texts))
        for index, (text, kind) in enumerate(texts):
            yield Label(text, x, top + LINE * (index + 1) - 3.5, kind)

    def _box(self, key: Key) -> Box:
        half = self.sizes.strips[key].half
        top = self.tops[self._half(key), self.sizes.depth[key]]
        return Box(self._x(key) - half, top, 2 * half, self.sizes.height(key))

    def _right(self, key: Key) -> float:
        """Where its strip ends."""
        return self.lefts[key] + self.sizes.strips[key].width

    def _x(self, key: Key) -> float:
        """Where its line is."""
        return self.lefts[key] + self.sizes.strips[key].middle

    def _lane(self, key: Key) -> float:
        """The middle of the part of a box in which tunnels turn: beneath its name, above its lower addresses."""
        return self._box(key).bottom - PAD - LINE * self.sizes.lowest(key) - bundle(self.sizes.within[key]) / 2

    def _side(self, key: Key, edge: Key) -> float:
        """The edge of a box that a line leaves: to the thing above it (`edge` is the box's own), or to one below."""
        return self._turned(edge, self._box(key).y if key == edge else self._box(key).bottom)

    def _slot(self, key: Key, towards: Key) -> float:
        """Where a line that closes a circle meets a box: each has a place of its own, near the box's right or left."""
        same = [ends for ends in self.tree.closing if key in ends]
        index = next(number for number, ends in enumerate(same) if towards in ends)
        box, step = self._box(key), LANE * (index + 0.5)
        below = self.sizes.lower(key, towards) == towards
        return box.x + step if below and self._x(towards) < self._x(key) else box.right - step

    def _closing_labels(self, node: Key, network: Key) -> Iterator[Label]:
        """Those of one network: below the node's name."""
        own = [f"{network.name} {text}" for text in self.sizes.addresses(node, network)]
        texts: list[tuple[str, Kind]] = [(text, "address") for text in self.sizes.closing_texts(node)]
        y = self._box(node).y + PAD + LINE * (self.sizes.upper(node) + 1)
        return (label for label in self._lines(node, texts, self._x(node), y) if label.text in own)

    def _behind(self, first: Sequence[Key], own: str) -> Iterator[Box]:
        """What lies behind a site's first boxes: one area, if all that hangs below is of that site."""
        members = [member for key in first for member in (key, *self._hanging(key, own))]
        left, right = self.lefts[first[0]] + 2, self._right(first[-1]) - 2
        top = self._box(first[0]).y - HEADING - 2
        if len(members) == len([member for key in first for member in (key, *self._hanging(key, None))]):
            yield Box(left, top, right - left, max(self._box(member).bottom for member in members) + BEHIND - top)
            return
        for member in members:
            begin, end = max(self.lefts[member], left), min(self._right(member), right)
            half, depth = self._half(member), self.sizes.depth[member]
            above = top if member in first else self.bottoms[half, depth - 1]
            yield Box(begin, above, end - begin, self.bottoms[half, depth] + BEHIND - above)

    def _hanging(self, key: Key, own: str | None) -> Iterator[Key]:
        """Everything below a thing; or only what is of a site, without a gap."""
        for child in self.tree.children[key]:
            if own is None or site(self.scene, child) == own:
                yield child
                yield from self._hanging(child, own)
