"""Pictures of a scenario's network and its tunnels, a module for each format.

A format is a function of a scenario and its tunnels that returns text: `svg.svg`, `dot.dot`. The tunnels are those of
the scenario's files (`configured`), or those of a testbed that is up (`seen`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tunnelbed.topology.model import Node, Scenario

Peers = Callable[[Scenario, str], Sequence[str]]
State = Literal["configured", "up", "down"]


@dataclass(frozen=True)
class Tunnel:
    """A tunnel between two nodes, by their names: as the files have it, or up or down as the daemons list it."""

    one: str
    other: str
    state: State = "configured"


def configured(scene: Scenario, peers: Peers) -> Sequence[Tunnel]:
    """A tunnel for each two nodes of which one names an address of the other as its peer, each pair once.

    `peers` names the peers of a node, as its VPN's files have them: `vpn.peers`.
    """
    found: dict[frozenset[str], Tunnel] = {}
    for node in scene.nodes.values():
        for word in peers(scene, node.name):
            peer = _owner(scene, word)
            if peer and peer != node:
                found.setdefault(frozenset({node.name, peer.name}), Tunnel(node.name, peer.name))
    return list(found.values())


def _owner(scene: Scenario, word: str) -> Node | None:
    """The node with this address, if it is one; a name or `%any` has none."""
    try:
        return scene.owner(ipaddress.ip_address(word))
    except ValueError:
        return None
