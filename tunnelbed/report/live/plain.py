"""A testbed's nodes, networks and tunnels as a page has them: in the words of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from tunnelbed import vpn
from tunnelbed.report.drawing import Tunnel as Drawn
from tunnelbed.report.drawing import configured, seen
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.status import NodeStatus
from tunnelbed.topology.model import Scenario
from tunnelbed.vpn.api import Tunnel


def node(status: NodeStatus, *, watched: bool, lost: int) -> Mapping[str, Any]:
    """A node, its tunnels as its daemon lists them, whether its packets are watched, and how many were lost."""
    return {
        "node": status.node,
        "role": status.role,
        "site": status.site,
        "addresses": list(status.addresses),
        "state": status.state,
        "image": status.image,
        "data": status.data,
        "data_plane": status.data_plane,
        "daemon": status.daemon,
        "tunnels": [_tunnel(tunnel) for tunnel in status.tunnels],
        "watched": watched,
        "lost": lost,
    }


def networks(scene: Scenario) -> Sequence[Mapping[str, Any]]:
    """Each network, and the nodes on it."""
    return [
        {
            "name": net.name,
            "subnets": list(map(str, net.subnets)),
            "nodes": [found.name for found in scene.on(net.name)],
        }
        for net in scene.networks.values()
    ]


def tunnels(scene: Scenario, statuses: Sequence[NodeStatus]) -> Sequence[Drawn]:
    """The tunnels of the scenario's files, and others that are up: of peers that no file names by an address."""
    listed = {status.node: status.tunnels for status in statuses if status.tunnels}
    wanted = configured(scene, vpn.peers)
    known = {frozenset({tunnel.one, tunnel.other}) for tunnel in wanted}
    others = [Drawn(*pair) for pair in combinations(listed, 2) if frozenset(pair) not in known]
    return [*seen(wanted, listed), *(tunnel for tunnel in seen(others, listed) if tunnel.state == "up")]


def addresses(node: NodeHandle) -> Sequence[str]:
    """A line for each interface that a node has now: its name, whether it is up, its addresses."""
    up = {link["ifname"] for link in node.interfaces("up")}
    return [
        " ".join(
            [
                link["ifname"],
                "up" if link["ifname"] in up else "down",
                *(f"{found['local']}/{found['prefixlen']}" for found in link.get("addr_info", ()) if "local" in found),
            ]
        )
        for link in node.interfaces()
    ]


def routes(node: NodeHandle) -> Sequence[str]:
    """A line for each route of a node's main table, IPv4 first."""
    tables = [
        json.loads(node.run(["ip", version, "--json", "route", "show", "table", "main"], check=True).stdout or "[]")
        for version in ("-4", "-6")
    ]
    return [_route(route) for table in tables for route in table]


def _route(route: Mapping[str, Any]) -> str:
    via = f" via {route['gateway']}" if "gateway" in route else ""
    device = f" dev {route['dev']}" if "dev" in route else ""
    kind = f"{route['type']} " if "type" in route else ""
    return f"{kind}{route['dst']}{via}{device}"


def _tunnel(tunnel: Tunnel) -> Mapping[str, Any]:
    children = [
        {
            "name": child.name,
            "state": child.state,
            "local": list(child.local),
            "remote": list(child.remote),
            "proposal": child.proposal,
        }
        for child in tunnel.children
    ]
    return {
        "name": tunnel.name,
        "state": tunnel.state,
        "up": tunnel.carries,
        "peer": str(tunnel.peer or ""),
        "proposal": tunnel.proposal,
        "children": children,
    }
