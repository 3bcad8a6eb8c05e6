"""Pictures of a scenario's network and its tunnels, a module for each format.

A format is a function of a scenario and its tunnels that returns text: `svg.svg`, `dot.dot`, `mermaid.mermaid`. The
tunnels are those of the scenario's files (`configured`), or those of a testbed that is up (`seen`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tunnelbed.topology.model import Node, Scenario
from tunnelbed.vpn import api

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


def seen(tunnels: Sequence[Tunnel], listed: Mapping[str, Sequence[api.Tunnel]]) -> Sequence[Tunnel]:
    """The same tunnels, up or down, from what the daemon of each node lists.

    One is up if both ends list a tunnel that carries data, and these have a number (of ESP: an SPI) in common.
    Addresses are not compared: behind a NAT, an end lists that of the NAT.
    """
    numbers = {
        node: frozenset().union(*(found.numbers for found in own if found.carries)) for node, own in listed.items()
    }
    return [replace(tunnel, state="up" if _shared(numbers, tunnel.one, tunnel.other) else "down") for tunnel in tunnels]


def _shared(numbers: Mapping[str, frozenset[int]], one: str, other: str) -> bool:
    return bool(numbers.get(one, frozenset()) & numbers.get(other, frozenset()))


def _owner(scene: Scenario, word: str) -> Node | None:
    """The node with this address, if it is one; a name or `%any` has none."""
    try:
        return scene.owner(ipaddress.ip_address(word))
    except ValueError:
        return None
