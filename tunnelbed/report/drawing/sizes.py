"""How large each box of a tree is, and how wide the strip of the picture that it has with all below it.

A box is as wide as what hangs below it: so each line of the tree is straight and upright. A strip is at least as wide
as every label in it. A tree that would be too wide is drawn in two halves, one of them above its root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.shapes import wide
from tunnelbed.report.drawing.tree import Key, Tree, site, thing
from tunnelbed.topology.model import Network, Scenario

MARGIN = 6.0  # beside a strip's content
PAD = 6.0  # inside a box, above and below its text
SIDE = 9.0  # inside a box, beside its text
LINE = 14.5  # from one line of text to the next
LANE = 9.0  # between two lines that close circles
TUNNEL = 7.0  # between two tunnels
BUNDLE = 98.0  # the widest bundle of tunnels: more of them are thinner
# A tree this wide is drawn in two halves, if that makes it narrower by a quarter: about what a page shows unscaled.
WIDE = 1000.0
NARROWER = 0.75


@dataclass(frozen=True)
class Strip:
    """The part of the picture's width for a thing and all below it: where its line is, and half of its box's width.

    `begins` are its children's strips, from the left of this one.
    """

    middle: float
    half: float
    width: float
    begins: Mapping[Key, float]


class Sizes:
    """The sizes of one tree with its tunnels: `strips`, and `raised`, what is drawn above the root.

    `ways` are the tunnels whose ends are in this tree, with the things that they pass. `above` are those between a
    thing and its parent, `within` those that may turn in a thing.
    """

    def __init__(self, scene: Scenario, tree: Tree, tunnels: Sequence[Tunnel]) -> None:
        self.scene, self.tree = scene, tree
        self.depth = {key: depth for depth, level in enumerate(tree.levels()) for key in level}
        self.ways = [
            (tunnel, way) for tunnel in tunnels if (way := tree.way(Key("node", tunnel.one), Key("node", tunnel.other)))
        ]
        self.above: dict[Key, list[Tunnel]] = {key: [] for key in self.depth}
        self.within: dict[Key, list[Tunnel]] = {key: [] for key in self.depth}
        for tunnel, way in self.ways:
            for one, other in pairwise(way):
                self.above[self.lower(one, other)].append(tunnel)
            for key in way[1:-1]:
                if len(tree.children[key]) > 1 or key == tree.root:
                    self.within[key].append(tunnel)
        self.strips: dict[Key, Strip] = {}
        for key in reversed(list(self.depth)):
            self.strips[key] = self._strip(key, tree.children[key])
        self.raised = frozenset(self._subtrees(self._halved()))

    def height(self, key: Key) -> float:
        """How high a box is."""
        found = thing(self.scene, key)
        if isinstance(found, Network):
            lines = 1 + len(found.subnets)
        else:
            lines = 1 + len(self.closing_texts(key)) + self.upper(key) + self.lowest(key)
        return 2 * PAD + LINE * lines + bundle(self.within[key])

    def upper(self, key: Key) -> int:
        """How many lines a node's addresses on what is drawn above it take: the first in its box."""
        if key == self.tree.root:
            return self._lines(key, [child for child in self.tree.children[key] if child in self.raised])
        return self._lines(key, [self.tree.parents[key]])

    def lowest(self, key: Key) -> int:
        """How many lines a node's addresses on the networks below it take: the last in its box."""
        children = self.tree.children[key]
        return self._lines(key, [child for child in children if key != self.tree.root or child not in self.raised])

    def addresses(self, one: Key, other: Key) -> Sequence[str]:
        """What the node has on the network, of these two."""
        node, network = self.interface(one, other)
        return [str(own) for own in self.scene.nodes[node.name].addresses_on(network.name)]

    def closing_texts(self, node: Key) -> Sequence[str]:
        """The interfaces of a node that close a circle, a line for each address."""
        closing = [self.interface(*ends) for ends in self.tree.closing if node in ends and node.kind == "node"]
        return [f"{network.name} {text}" for _, network in closing for text in self.addresses(node, network)]

    def heads(self, key: Key) -> str:
        """The site whose name is written above this thing: nothing above it, and none to its left, is of that site."""
        own = site(self.scene, key)
        return own if own and self.neighbours(key)[:1] == [key] else ""

    def neighbours(self, key: Key) -> Sequence[Key]:
        """This thing and those beside it of its site; none, where what is above is of that site, too."""
        own = site(self.scene, key)
        if key == self.tree.root:
            return [key]
        above = self.tree.parents[key]
        if site(self.scene, above) == own:
            return []
        return [child for child in self.tree.children[above] if site(self.scene, child) == own]

    def interface(self, one: Key, other: Key) -> tuple[Key, Key]:
        """The node of two neighbours, and the network."""
        return (one, other) if one.kind == "node" else (other, one)

    def lower(self, one: Key, other: Key) -> Key:
        """Which of two neighbours hangs below the other."""
        return one if self.depth[one] > self.depth[other] else other

    def _lines(self, key: Key, others: Sequence[Key]) -> int:
        """How many addresses a node has on one of these networks, at most; a network has none."""
        return max((len(self.addresses(key, other)) for other in others if key.kind == "node"), default=0)

    def _strip(self, key: Key, *rows: Sequence[Key]) -> Strip:
        """How wide a thing is with these rows of children, whose strips are known."""
        half = self._needed(key)
        placed = []
        for row in filter(None, rows):
            begins, width = {}, 0.0
            for child in row:
                begins[child] = width
                width += self.strips[child].width
            first, last = (begins[child] + self.strips[child].middle for child in (row[0], row[-1]))
            half = max(half, (last - first) / 2 + max(self._attached(key, row[0]), self._attached(key, row[-1])))
            placed.append((begins, (first + last) / 2, width))
        tunnels = bundle(self.above[key]) / 2
        over = self._attached(self.tree.parents[key], key) if key != self.tree.root else 0.0
        right = max(half, over, tunnels) + MARGIN
        heading = wide(f"site {self.heads(key)}", "site") + tunnels + 3 * MARGIN if self.heads(key) else 0.0
        middle = max([right, heading, *(centre for _, centre, _ in placed)])
        width = max([middle + right, *(middle - centre + width for _, centre, width in placed)])
        moved = {child: middle - centre + begin for begins, centre, _ in placed for child, begin in begins.items()}
        return Strip(middle, half, width, moved)

    def _needed(self, key: Key) -> float:
        """Half of the width that a box needs for its own text, and for lines that close circles."""
        found = thing(self.scene, key)
        texts = [wide(key.name, "name")]
        if isinstance(found, Network):
            texts += [wide(str(subnet), "address") for subnet in found.subnets]
        else:
            above = self.addresses(key, self.tree.parents[key]) if key != self.tree.root else []
            texts += [wide(text, "address") for text in [*above, *self.closing_texts(key)]]
        slots = LANE * sum(key in ends for ends in self.tree.closing)
        return max(*texts, bundle(self.above[key])) / 2 + SIDE + slots

    def _attached(self, upper: Key, lower: Key) -> float:
        """Half of the width that the line between them needs in the upper box."""
        texts = [wide(text, "address") for text in self.addresses(upper, lower)] if upper.kind == "node" else []
        return max([*texts, bundle(self.above[lower]), 2 * SIDE]) / 2 + SIDE

    def _halved(self) -> Sequence[Key]:
        """The children of the root that are drawn above it; the root's strip is made anew then."""
        root, whole = self.tree.root, self.strips[self.tree.root]
        groups = self._groups()
        if whole.width <= WIDE or len(groups) <= 1 or site(self.scene, root):
            return []
        halves = []
        for cut in range(1, len(groups)):
            first = {key for group in groups[:cut] for key in group}
            raised, others = ([key for key in self.tree.children[root] if (key in first) == up] for up in (True, False))
            halves.append((self._strip(root, raised, others), raised))
        best, raised = min(halves, key=lambda half: half[0].width)
        if best.width > NARROWER * whole.width:
            return []
        self.strips[root] = best
        return raised

    def _groups(self) -> Sequence[Sequence[Key]]:
        """The children of the root that must be on one side of it: those of one site, and those that circles join."""
        groups = [[key] for key in self.tree.children[self.tree.root]]
        branch = {key: child for (child,) in groups for key in self._subtrees([child])}
        joined = [(branch[one], branch[other]) for one, other in self.tree.closing]
        joined += [(one, other) for group in groups for one in group for other in self.neighbours(one)]
        for ends in joined:
            one, other = (next(group for group in groups if end in group) for end in ends)
            if one is not other:
                one += other
                groups.remove(other)
        return groups

    def _subtrees(self, keys: Sequence[Key]) -> Sequence[Key]:
        """These and everything below them."""
        found = list(keys)
        for key in found:
            found += self.tree.children[key]
        return found


def pitch(tunnels: Sequence[Tunnel]) -> float:
    """How far tunnels of a bundle are from each other."""
    return min(TUNNEL, BUNDLE / max(1, len(tunnels)))


def bundle(tunnels: Sequence[Tunnel]) -> float:
    """How wide a bundle is."""
    return pitch(tunnels) * len(tunnels)


def offset(tunnel: Tunnel, tunnels: Sequence[Tunnel]) -> float:
    """How far a tunnel is from the middle of its bundle."""
    place = next((index for index, found in enumerate(tunnels) if found is tunnel), 0)
    return (place - (max(1, len(tunnels)) - 1) / 2) * pitch(tunnels)
