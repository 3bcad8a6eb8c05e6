"""The state of each node of a testbed, up or not: what `invoke status` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tunnelbed.engines import Engine
from tunnelbed.topology.model import Node, Scenario
from tunnelbed.vpn.strongswan import config, sas
from tunnelbed.vpn.strongswan.sas import Tunnel

# The data plane's line is there in any case: a gateway that just boots has not chosen one yet.
ASKED = 'echo "$(cat /run/tunnelbed/data-plane)"; swanctl --version --daemon; swanctl --list-sas --raw'


@dataclass(frozen=True)
class NodeStatus:
    """One node; `data_plane`, `daemon` and `tunnels` are those of a gateway that runs, else empty."""

    node: str
    role: str
    site: str
    addresses: tuple[str, ...]
    state: str
    image: str
    data_plane: str
    daemon: str
    tunnels: tuple[Tunnel, ...]


def of(scene: Scenario, engine: Engine, project: str, pool: ThreadPoolExecutor) -> Sequence[NodeStatus]:
    """The status of every node of a testbed; gateways are asked side by side."""
    states = engine.states(project)

    def status(node: Node) -> NodeStatus:
        return _status(scene, engine, project, node, states)

    return list(pool.map(status, scene.nodes.values()))


def _status(scene: Scenario, engine: Engine, project: str, node: Node, states: Mapping[str, str]) -> NodeStatus:
    state = states.get(node.name, "down")
    plane = daemon = ""
    tunnels: tuple[Tunnel, ...] = ()
    if state == "running" and config.file(scene, node.name).exists():
        plane, _, raw = engine.run(project, node.name, ["sh", "-c", ASKED], check=False).stdout.partition("\n")
        daemon = sas.version(raw)
        tunnels = sas.tunnels(raw)
    addresses = tuple(str(interface) for at in node.attachments for interface in at.addresses)
    return NodeStatus(node.name, node.role, node.site, addresses, state, node.image, plane, daemon, tunnels)
