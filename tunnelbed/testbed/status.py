"""The state of each node of a testbed, up or not: what `invoke status` shows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tunnelbed.errors import TunnelbedError
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.vpn.api import Tunnel


@dataclass(frozen=True)
class NodeStatus:
    """One node; `data`, `data_plane`, `daemon` and `tunnels` are those of a gateway that runs, else empty.

    `data` is what its VPN's data is called, `data_plane` who carries it: `kernel`, `user`, or not known yet.
    """

    node: str
    role: str
    site: str
    addresses: tuple[str, ...]
    state: str
    image: str
    data: str
    data_plane: str
    daemon: str
    tunnels: tuple[Tunnel, ...]


def of(nodes: Sequence[NodeHandle], states: Mapping[str, str], pool: ThreadPoolExecutor) -> Sequence[NodeStatus]:
    """The status of every node of a testbed, `states` as the engine has them; gateways are asked side by side."""
    return list(pool.map(lambda node: _status(node, states.get(node.name, "down")), nodes))


def _status(handle: NodeHandle, state: str) -> NodeStatus:
    node = handle.node
    data = plane = version = ""
    tunnels: tuple[Tunnel, ...] = ()
    if state == "running" and handle.vpn:
        data = handle.vpn.data
        # A gateway that just boots has not chosen a data plane yet, and its daemon does not answer.
        with contextlib.suppress(TunnelbedError):
            plane = handle.daemon.plane()
            version = handle.daemon.version()
            tunnels = handle.tunnels()
    addresses = tuple(str(interface) for at in node.attachments for interface in at.addresses)
    return NodeStatus(node.name, node.role, node.site, addresses, state, node.image, data, plane, version, tunnels)
