"""A scenario's network as a drawing: text in Graphviz's DOT language.

    invoke draw --scenario site-to-site --format dot | dot -Tsvg >site-to-site.svg

Boxes are nodes, ovals networks, a frame a site; the thick lines are tunnels, green, or red
and dashed where they are down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunnelbed.report.drawing import Tunnel
from tunnelbed.topology.model import Network, Node, Scenario

HEAD = """\
    layout = dot; rankdir = LR; nodesep = 0.3; ranksep = 0.6; fontname = "sans-serif"; fontsize = 11; compound = true
    node [fontname = "sans-serif", fontsize = 11, style = filled, fillcolor = white]
    edge [fontname = "sans-serif", fontsize = 9, dir = none, color = "#33475b"]
"""
TUNNEL = "penwidth = 4, constraint = false"
TUNNELS = {
    "configured": 'style = bold, color = "#1a7f5a80"',
    "up": 'style = bold, color = "#1a7f5a"',
    "down": 'style = dashed, color = "#b3261e"',
}


def dot(scene: Scenario, tunnels: Sequence[Tunnel]) -> str:
    """The drawing of a scenario and these tunnels."""
    things: list[Node | Network] = [*scene.nodes.values(), *scene.networks.values()]
    lines = [f"graph {_quoted(scene.name)} {{", HEAD.rstrip("\n")]
    for site in scene.sites:
        lines.append(f"    subgraph {_quoted(f'cluster_{site}')} {{")
        lines.append(f'        label = {_quoted(f"site {site}")}; style = "filled,rounded"; fillcolor = "#f2f5f9"')
        lines += [f"        {_drawn(thing)}" for thing in things if _frame(thing) == site]
        lines.append("    }")
    lines += [f"    {_drawn(thing)}" for thing in things if _frame(thing) not in scene.sites]
    lines += [f"    {line}" for line in _attached(scene)]
    lines += [
        f"    {_id(scene.nodes[way.one])} -- {_id(scene.nodes[way.other])} [{TUNNELS[way.state]}, {TUNNEL}]"
        for way in tunnels
    ]
    return "\n".join([*lines, "}", ""])


def _frame(thing: Node | Network) -> str:
    """The site in whose frame it stands: not a network that attackers can read, though it leads to one site."""
    return "" if isinstance(thing, Network) and thing.role == "isp_link" else thing.site


def _attached(scene: Scenario) -> Iterator[str]:
    """A line for each interface of a node on a network, with its addresses.

    It leads away from the node in the middle, which has the most interfaces: `dot` draws distant nodes further right.
    """
    away = _distances(scene)
    for node in scene.nodes.values():
        for at in node.attachments:
            ends = sorted((_id(node), _id(scene.networks[at.network])), key=lambda end: away.get(end, 0))
            label = _quoted("\\n".join(str(interface.ip) for interface in at.addresses))
            yield f"{' -- '.join(ends)} [label = {label}]"


def _distances(scene: Scenario) -> dict[str, int]:
    """How many steps each node and network is away from the node in the middle; none for what no way leads to."""
    beside: dict[str, set[str]] = {}
    for node in scene.nodes.values():
        for at in node.attachments:
            here, there = _id(node), _id(scene.networks[at.network])
            beside.setdefault(here, set()).add(there)
            beside.setdefault(there, set()).add(here)
    middle = max(scene.nodes.values(), key=lambda node: len(node.attachments))
    away, reached, steps = {_id(middle): 0}, {_id(middle)}, 0
    while reached:
        steps += 1
        reached = set().union(*(beside[one] for one in reached)) - set(away)
        away |= dict.fromkeys(reached, steps)
    return away


def _drawn(thing: Node | Network) -> str:
    if isinstance(thing, Node):
        shape = "octagon" if thing.role == "gateway" else "box"
        return f"{_id(thing)} [label = {_quoted(thing.name)}, shape = {shape}]"
    label = "\\n".join([thing.name, *(str(subnet) for subnet in thing.subnets)])
    return f'{_id(thing)} [label = {_quoted(label)}, shape = oval, fillcolor = "#e3e9f0"]'


def _id(thing: Node | Network) -> str:
    """A node and a network may have the same name."""
    return _quoted(f"{'node' if isinstance(thing, Node) else 'network'} {thing.name}")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
