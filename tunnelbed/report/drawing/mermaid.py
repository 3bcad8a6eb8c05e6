"""A scenario's network as a drawing: text for Mermaid, which GitHub and GitLab draw inside Markdown.

    invoke draw --scenario site-to-site --format mermaid

Boxes are nodes, round boxes networks, a frame a site; thick lines are tunnels, dotted ones tunnels that are down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.tree import Key, grown, site, thing
from tunnelbed.topology.model import Network, Scenario

LINES = {"configured": "===", "up": "===", "down": "-.-"}


def mermaid(scene: Scenario, tunnels: Sequence[Tunnel]) -> str:
    """The drawing of a scenario and these tunnels."""
    trees = grown(scene)
    names = {key: f"n{index}" for index, key in enumerate(key for tree in trees for key in tree.children)}
    lines = ["flowchart TB"]
    for index, own in enumerate(scene.sites):
        lines.append(f"    subgraph s{index} [{_quoted(f'site {own}')}]")
        lines += [f"        {name}{_box(scene, key)}" for key, name in names.items() if site(scene, key) == own]
        lines.append("    end")
    lines += [f"    {name}{_box(scene, key)}" for key, name in names.items() if not site(scene, key)]
    for tree in trees:
        for lower, upper in [*tree.parents.items(), *((lower, upper) for upper, lower in tree.closing)]:
            addresses = "<br>".join(_addresses(scene, upper, lower))
            between = f"-- {_quoted(addresses)} ---" if addresses else "---"
            lines.append(f"    {names[upper]} {between} {names[lower]}")
    for tunnel in tunnels:
        one, other = names[Key("node", tunnel.one)], names[Key("node", tunnel.other)]
        lines.append(f"    {one} {LINES[tunnel.state]}|{_quoted(f'tunnel {tunnel.state}')}| {other}")
    return "\n".join([*lines, ""])


def _box(scene: Scenario, key: Key) -> str:
    found = thing(scene, key)
    if isinstance(found, Network):
        return f"([{_quoted('<br>'.join([key.name, *map(str, found.subnets)]))}])"
    return f"{{{{{_quoted(key.name)}}}}}" if found.role == "gateway" else f"[{_quoted(key.name)}]"


def _addresses(scene: Scenario, one: Key, other: Key) -> Iterator[str]:
    node, network = (one, other) if one.kind == "node" else (other, one)
    return (str(own) for own in scene.nodes[node.name].addresses_on(network.name))


def _quoted(text: str) -> str:
    """A text as Mermaid reads it: a quotation mark is an entity."""
    return '"' + text.replace('"', "#quot;") + '"'
