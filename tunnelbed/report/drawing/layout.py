"""Where everything of a drawing is placed, so that no label ever covers another.

A tree is drawn from its root down, a level at a time. A box is as wide as what hangs below it: so each line of the tree
is straight and upright, and has a strip of the picture for itself. A node's addresses are in its box, where the lines
of its interfaces begin; a strip is at least as wide as the addresses in it. Interfaces that close a circle join
neighbouring levels, in lanes between them. A tunnel follows the tree from one end to the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.shapes import Box, Frame, Kind, Label, Picture, Placed, Point, Tube, Wire, wide
from tunnelbed.report.drawing.tree import Key, Tree, grown, site, thing
from tunnelbed.topology.model import Network, Scenario

BORDER = 12.0  # around the picture
MARGIN = 6.0  # beside a strip's content
PAD = 6.0  # inside a box, above and below its text
SIDE = 9.0  # inside a box, beside its text
LINE = 14.5  # from one line of text to the next
GAP = 24.0  # between levels
HEADING = 17.0  # of a site, above its first box
LANE = 9.0  # between two lines that close circles
TUNNEL = 7.0  # between two tunnels
BUNDLE = 98.0  # the widest bundle of tunnels: more of them are thinner


def picture(scene: Scenario, tunnels: Sequence[Tunnel]) -> Picture:
    """The drawing of a scenario and these tunnels: its parts from left to right."""
    frames: list[Frame] = []
    tubes: list[Tube] = []
    placed: list[Placed] = []
    wires: list[Wire] = []
    left, height = BORDER, 0.0
    for tree in grown(scene):
        part = _Part(scene, tree, tunnels)
        part.put(left)
        left += part.strips[tree.root].width + GAP
        height = max(height, part.bottom)
        frames += part.frames()
        tubes += part.tubes()
        placed += part.placed()
        wires += part.wires()
    boxes = {item.key: item.box for item in placed}
    drawn = {id(tube.tunnel) for tube in tubes}
    for tunnel in tunnels:
        if id(tunnel) not in drawn:
            ends = [boxes[Key("node", name)] for name in (tunnel.one, tunnel.other)]
            tubes.append(Tube(tunnel, [(end.x + end.width / 2, end.y + end.height / 2) for end in ends], 5.0))
    return Picture(left - GAP + BORDER, height + BORDER, frames, tubes, placed, wires)


@dataclass
class _Strip:
    """The part of the picture's width for a thing and all below it: what is left of its line, and how wide it is."""

    middle: float
    half: float
    width: float
    # Where each child's strip begins, from the left of this one.
    begins: Sequence[float]


@dataclass
class _Part:
    """One tree of a scenario while it is placed."""

    scene: Scenario
    tree: Tree
    tunnels: Sequence[Tunnel]
    strips: dict[Key, _Strip] = field(default_factory=dict)
    lefts: dict[Key, float] = field(default_factory=dict)
    tops: list[float] = field(default_factory=list)
    bottoms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.levels = self.tree.levels()
        self.depth = {key: depth for depth, level in enumerate(self.levels) for key in level}
        self.ways = [
            (tunnel, way)
            for tunnel in self.tunnels
            if (way := self.tree.way(Key("node", tunnel.one), Key("node", tunnel.other)))
        ]
        # Which tunnels go between a thing and what is above it, and which turn within a thing.
        self.above: dict[Key, list[Tunnel]] = {key: [] for key in self.depth}
        self.within: dict[Key, list[Tunnel]] = {key: [] for key in self.depth}
        for tunnel, way in self.ways:
            for one, other in pairwise(way):
                self.above[self._lower(one, other)].append(tunnel)
            for key in way[1:-1]:
                if len(self.tree.children[key]) > 1 or key == self.tree.root:
                    self.within[key].append(tunnel)
        for key in reversed(list(self.depth)):
            self.strips[key] = self._strip(key)

    def put(self, left: float) -> None:
        """Place every strip and every level."""
        self.lefts[self.tree.root] = left
        for key in self.depth:
            for child, begin in zip(self.tree.children[key], self.strips[key].begins, strict=True):
                self.lefts[child] = self.lefts[key] + begin
        y = BORDER
        for depth, level in enumerate(self.levels):
            if depth:
                y += GAP + LANE * sum(self.depth[upper] == depth - 1 for upper, _ in self.tree.closing)
            if any(self._heads(key) for key in level):
                y += HEADING
            self.tops.append(y)
            y += max(self._height(key) for key in level)
            self.bottoms.append(y)

    @property
    def bottom(self) -> float:
        """Where the lowest box ends."""
        return self.bottoms[-1]

    def placed(self) -> Iterator[Placed]:
        """Every node and network, with its name, and a network's subnets."""
        for key in self.depth:
            box = self._box(key)
            y = box.y + PAD + LINE * len(self._upper(key))
            texts: list[tuple[str, Kind]] = [(key.name, "name")]
            if isinstance(network := thing(self.scene, key), Network):
                texts += [(str(subnet), "address") for subnet in network.subnets]
            yield Placed(key, box, list(_lines(texts, self._x(key), y)))

    def wires(self) -> Iterator[Wire]:
        """Every interface: straight lines of the tree, then those that close a circle."""
        for lower, upper in self.tree.parents.items():
            x, top, bottom = self._x(lower), self._box(lower).y, self._box(upper).bottom
            node, network = self._interface(upper, lower)
            texts: list[tuple[str, Kind]] = [(text, "address") for text in self._addresses(node, network)]
            y = top + PAD if node == lower else bottom - PAD - LINE * len(texts)
            yield Wire(node.name, network.name, [(x, bottom), (x, top)], list(_lines(texts, x, y)))
        lanes = [0] * len(self.levels)
        for upper, lower in self.tree.closing:
            depth = self.depth[upper]
            lanes[depth] += 1
            y = self.bottoms[depth] + LANE * lanes[depth]
            one, other = self._slot(upper, lower), self._slot(lower, upper)
            points = [(one, self._box(upper).bottom), (one, y), (other, y), (other, self._box(lower).y)]
            node, network = self._interface(upper, lower)
            yield Wire(node.name, network.name, points, list(self._closing_labels(node, network)))

    def frames(self) -> Iterator[Frame]:
        """What lies behind each site: the first of its boxes and what hangs below, one frame for neighbours."""
        for key in self.depth:
            if own := self._heads(key):
                text = f"site {own}"
                middle = self.lefts[key] + MARGIN + 4 + wide(text, "site") / 2
                label = Label(text, middle, self._box(key).y - 6, "site")
                yield Frame(own, list(self._behind(self._neighbours(key), own)), label)

    def tubes(self) -> Iterator[Tube]:
        """Every tunnel of this tree."""
        for tunnel, way in self.ways:
            edges = [self._lower(one, other) for one, other in pairwise(way)]
            xs = [self._x(edge) + _offset(tunnel, self.above[edge]) for edge in edges]
            points: list[Point] = [(xs[0], self._side(way[0], way[1]))]
            for key, before, after in zip(way[1:-1], xs, xs[1:], strict=False):
                if before != after:
                    y = self._lane(key) + _offset(tunnel, self.within[key])
                    points += [(before, y), (after, y)]
            points.append((xs[-1], self._side(way[-1], way[-2])))
            yield Tube(tunnel, points, min(_pitch(self.above[edge]) for edge in edges) * 0.7)

    def _strip(self, key: Key) -> _Strip:
        """How wide a thing and all below it are; its children's strips are known."""
        below = self.tree.children[key]
        begins, width = [], 0.0
        for child in below:
            begins.append(width)
            width += self.strips[child].width
        half = self._needed(key)
        middle = half
        if below:
            rows = [begin + self.strips[child].middle for begin, child in zip(begins, below, strict=True)]
            middle = (rows[0] + rows[-1]) / 2
            ends = max(self._attached(key, below[0]), self._attached(key, below[-1]))
            half = max(half, (rows[-1] - rows[0]) / 2 + ends)
        bundle = _bundle(self.above[key]) / 2
        over = self._attached(self.tree.parents[key], key) if self._hangs(key) else 0.0
        right = max(half, over, bundle) + MARGIN
        heading = wide(f"site {self._heads(key)}", "site") + bundle + 3 * MARGIN if self._heads(key) else 0.0
        shift = max(0.0, max(right, heading) - middle)
        middle += shift
        return _Strip(middle, half, max(width + shift, middle + right), [begin + shift for begin in begins])

    def _needed(self, key: Key) -> float:
        """Half of the width that a box needs for its own text, and for lines that close circles."""
        found = thing(self.scene, key)
        texts = [wide(key.name, "name")]
        if isinstance(found, Network):
            texts += [wide(str(subnet), "address") for subnet in found.subnets]
        else:
            texts += [wide(text, "address") for text in [*self._upper(key), *self._closing_texts(key)]]
        bundle = _bundle(self.above[key])
        slots = LANE * sum(key in ends for ends in self.tree.closing)
        return max(*texts, bundle) / 2 + SIDE + slots

    def _attached(self, upper: Key, lower: Key) -> float:
        """Half of the width that the line between them needs in the upper box."""
        texts = [wide(text, "address") for text in self._addresses(upper, lower)] if upper.kind == "node" else []
        return max([*texts, _bundle(self.above[lower]), 2 * SIDE]) / 2 + SIDE

    def _height(self, key: Key) -> float:
        """How high its box is."""
        found = thing(self.scene, key)
        if isinstance(found, Network):
            lines = 1 + len(found.subnets)
        else:
            lines = 1 + len(self._upper(key)) + len(self._closing_texts(key)) + self._lowest(key)
        return 2 * PAD + LINE * lines + _bundle(self.within[key])

    def _box(self, key: Key) -> Box:
        half = self.strips[key].half
        return Box(self._x(key) - half, self.tops[self.depth[key]], 2 * half, self._height(key))

    def _right(self, key: Key) -> float:
        """Where its strip ends."""
        return self.lefts[key] + self.strips[key].width

    def _x(self, key: Key) -> float:
        """Where its line is."""
        return self.lefts[key] + self.strips[key].middle

    def _lane(self, key: Key) -> float:
        """The middle of the part of a box in which tunnels turn: beneath its name, above its lower addresses."""
        bundle = _bundle(self.within[key])
        return self._box(key).bottom - PAD - LINE * self._lowest(key) - bundle / 2

    def _side(self, key: Key, towards: Key) -> float:
        """The edge of a box that a line to this neighbour leaves."""
        return self._box(key).bottom if self._lower(key, towards) == towards else self._box(key).y

    def _slot(self, key: Key, towards: Key) -> float:
        """Where a line that closes a circle meets a box: each has a place of its own, near the box's right or left."""
        same = [ends for ends in self.tree.closing if key in ends]
        index = next(number for number, ends in enumerate(same) if towards in ends)
        box, step = self._box(key), LANE * (index + 0.5)
        below = self.depth[towards] > self.depth[key]
        return box.x + step if below and self._x(towards) < self._x(key) else box.right - step

    def _closing_texts(self, node: Key) -> Sequence[str]:
        """The interfaces of a node that close a circle, a line for each address."""
        return [
            f"{network} {text}"
            for network in self._closing_networks(node)
            for text in self._addresses(node, Key("network", network))
        ]

    def _closing_networks(self, node: Key) -> Sequence[str]:
        return [
            network.name
            for one, other in self.tree.closing
            for here, network in [self._interface(one, other)]
            if here == node
        ]

    def _closing_labels(self, node: Key, network: Key) -> Iterator[Label]:
        """Those of one network: below the node's name."""
        texts = self._closing_texts(node)
        own = [f"{network.name} {text}" for text in self._addresses(node, network)]
        y = self._box(node).y + PAD + LINE * (len(self._upper(node)) + 1)
        for label in _lines([(text, "address") for text in texts], self._x(node), y):
            if label.text in own:
                yield label

    def _upper(self, key: Key) -> Sequence[str]:
        """A node's addresses on the network above it: the first lines in its box."""
        return self._addresses(key, self.tree.parents[key]) if key.kind == "node" and self._hangs(key) else []

    def _lowest(self, key: Key) -> int:
        """How many lines a node's addresses on the networks below it take: the last in its box."""
        below = self.tree.children[key] if key.kind == "node" else []
        return max((len(self._addresses(key, child)) for child in below), default=0)

    def _addresses(self, node: Key, network: Key) -> Sequence[str]:
        """What a node has on a network, as it is written; nothing, where the first is a network itself."""
        if node.kind == "network":
            node, network = network, node
        return [str(own) for own in self.scene.nodes[node.name].addresses_on(network.name)]

    def _behind(self, first: Sequence[Key], own: str) -> Iterator[Box]:
        """What lies behind a site's first boxes: one area, if all that hangs below is of that site."""
        members = [member for key in first for member in (key, *self._below(key, own))]
        left, right = self.lefts[first[0]] + 2, self._right(first[-1]) - 2
        top = self._box(first[0]).y - HEADING - 2
        if len(members) == len([member for key in first for member in (key, *self._below(key, None))]):
            yield Box(left, top, right - left, max(self._box(member).bottom for member in members) + 6 - top)
            return
        for member in members:
            begin, end = max(self.lefts[member], left), min(self._right(member), right)
            above = top if member in first else self.bottoms[self.depth[member] - 1]
            yield Box(begin, above, end - begin, self.bottoms[self.depth[member]] + 6 - above)

    def _below(self, key: Key, own: str | None) -> Iterator[Key]:
        """Everything below a thing; or only what is of a site, without a gap."""
        for child in self.tree.children[key]:
            if own is None or site(self.scene, child) == own:
                yield child
                yield from self._below(child, own)

    def _heads(self, key: Key) -> str:
        """The site whose name is written above this thing: nothing above it, and none to its left, is of that site."""
        own = site(self.scene, key)
        return own if own and self._neighbours(key)[:1] == [key] else ""

    def _neighbours(self, key: Key) -> Sequence[Key]:
        """This thing and those beside it of its site; none, where what is above is of that site, too."""
        own = site(self.scene, key)
        if not self._hangs(key):
            return [key]
        above = self.tree.parents[key]
        if site(self.scene, above) == own:
            return []
        return [child for child in self.tree.children[above] if site(self.scene, child) == own]

    def _interface(self, one: Key, other: Key) -> tuple[Key, Key]:
        """The node of two neighbours, and the network."""
        return (one, other) if one.kind == "node" else (other, one)

    def _lower(self, one: Key, other: Key) -> Key:
        return one if self.depth[one] > self.depth[other] else other

    def _hangs(self, key: Key) -> bool:
        return key != self.tree.root


def _lines(texts: Sequence[tuple[str, Kind]], x: float, y: float) -> Iterator[Label]:
    """Lines of text, the first of them below y."""
    for index, (text, kind) in enumerate(texts):
        yield Label(text, x, y + LINE * (index + 1) - 3.5, kind)


def _pitch(tunnels: Sequence[Tunnel]) -> float:
    """How far tunnels of a bundle are from each other."""
    return min(TUNNEL, BUNDLE / max(1, len(tunnels)))


def _bundle(tunnels: Sequence[Tunnel]) -> float:
    """How wide a bundle is."""
    return _pitch(tunnels) * len(tunnels)


def _offset(tunnel: Tunnel, bundle: Sequence[Tunnel]) -> float:
    """How far a tunnel is from the middle of its bundle."""
    place = next((index for index, found in enumerate(bundle) if found is tunnel), 0)
    return (place - (max(1, len(bundle)) - 1) / 2) * _pitch(bundle)
