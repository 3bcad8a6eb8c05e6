"""A scenario's network as trees: where a drawing begins, what hangs below what, and which interfaces close a circle.

Nodes and networks take turns from the root down. Each connected part of the scenario has a tree of its own, grown
breadth first from its centre, so that an interface outside the tree joins two neighbouring levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tunnelbed.topology.model import Network, Node, Scenario


class Key(NamedTuple):
    """A node or a network: each may have a name that one of the others has, too."""

    kind: str
    name: str


Beside = Mapping[Key, Sequence[Key]]


@dataclass(frozen=True)
class Tree:
    """One connected part: its root, each thing's parent, and what hangs below each thing, from left to right.

    `closing` has the interfaces that are in no tree, as the upper and the lower of its two ends.
    """

    root: Key
    parents: Mapping[Key, Key]
    children: Mapping[Key, Sequence[Key]]
    closing: Sequence[tuple[Key, Key]]

    def levels(self) -> Sequence[Sequence[Key]]:
        """The things by their distance from the root, from left to right."""
        found, level = [], [self.root]
        while level:
            found.append(level)
            level = [child for key in level for child in self.children[key]]
        return found

    def way(self, one: Key, other: Key) -> Sequence[Key]:
        """The things from one to the other through the tree, both included; none where one is elsewhere."""
        ups, downs = list(self._up(one)), list(self._up(other))
        meeting = next((key for key in ups if key in downs), None)
        if meeting is None:
            return []
        return [*ups[: ups.index(meeting) + 1], *reversed(downs[: downs.index(meeting)])]

    def _up(self, key: Key) -> Iterator[Key]:
        """This thing and all above it; nothing, where it is not in this tree."""
        while key in self.children:
            yield key
            if key == self.root:
                return
            key = self.parents[key]


def grown(scene: Scenario) -> Sequence[Tree]:
    """The trees of a scenario, the largest first."""
    beside = _beside(scene)
    left = dict.fromkeys(beside)
    trees = []
    while left:
        part = _distances(next(iter(left)), beside)
        left = {key: None for key in left if key not in part}
        trees.append(_tree(scene, _centre(scene, [key for key in beside if key in part], beside), beside))
    return sorted(trees, key=lambda tree: -len(tree.children))


def thing(scene: Scenario, key: Key) -> Node | Network:
    """What a key means."""
    return scene.nodes[key.name] if key.kind == "node" else scene.networks[key.name]


def site(scene: Scenario, key: Key) -> str:
    """The site in whose frame it stands: not a network that attackers can read, though it leads to one site."""
    found = thing(scene, key)
    return "" if isinstance(found, Network) and found.role == "isp_link" else found.site


def _beside(scene: Scenario) -> Beside:
    """What each thing is attached to, in the order of the stack."""
    keys = [Key("node", name) for name in scene.nodes] + [Key("network", name) for name in scene.networks]
    found: dict[Key, list[Key]] = {key: [] for key in keys}
    for node in scene.nodes.values():
        for at in node.attachments:
            here, there = Key("node", node.name), Key("network", at.network)
            found[here].append(there)
            found[there].append(here)
    return found


def _distances(start: Key, beside: Beside) -> Mapping[Key, int]:
    """How many steps each thing is away, nearest first; what no way leads to is not in it."""
    away, queue = {start: 0}, [start]
    for here in queue:
        for key in beside[here]:
            if key not in away:
                away[key] = away[here] + 1
                queue.append(key)
    return away


def _centre(scene: Scenario, part: Sequence[Key], beside: Beside) -> Key:
    """What has the shortest way to all others of its part; of several a router, or what has most neighbours."""

    def rank(key: Key) -> tuple[int, bool, int]:
        return max(_distances(key, beside).values()), thing(scene, key).role != "router", -len(beside[key])

    return min(part, key=rank)


def _tree(scene: Scenario, root: Key, beside: Beside) -> Tree:
    away = _distances(root, beside)
    parents: dict[Key, Key] = {}
    children: dict[Key, list[Key]] = {key: [] for key in away}
    for key in list(away)[1:]:
        above = [other for other in away if other in beside[key] and away[other] < away[key]]
        # A network hangs below a gateway of its own site, where several lead to it.
        parents[key] = min(above, key=lambda other: site(scene, other) != site(scene, key))
        children[parents[key]].append(key)
    for key, below in children.items():
        children[key] = _together(scene, below)
    closing = [
        (other, key) for key in away for other in beside[key] if away[other] < away[key] and parents[key] != other
    ]
    return Tree(root, parents, children, closing)


def _together(scene: Scenario, below: Sequence[Key]) -> list[Key]:
    """Neighbours of one site beside each other, where the first of them stands; all others as they were."""
    groups: dict[Key | str, list[Key]] = {}
    for key in below:
        groups.setdefault(site(scene, key) or key, []).append(key)
    return [key for group in groups.values() for key in group]
