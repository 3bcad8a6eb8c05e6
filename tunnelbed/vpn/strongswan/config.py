"""What a node's swanctl.conf asks for, as far as it must be known without asking charon.

Whatever charon has loaded, `daemon.connections` tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tunnelbed.topology.model import Scenario
from tunnelbed.vpn.strongswan import swanctl_conf
from tunnelbed.vpn.strongswan.swanctl_conf import Tree


def file(scene: Scenario, node: str) -> Path:
    """A node's swanctl.conf; one that is there makes the node a gateway of some kind."""
    return scene.configs / node / "swanctl.conf"


def starts(scene: Scenario, node: str) -> bool:
    """Whether a node starts a tunnel by itself: a child that waits for nobody's traffic."""
    return any("start" in re.split(r"[|\s]+", said) for said in _connections(scene, node).everywhere("start_action"))


def borrows(scene: Scenario, node: str) -> bool:
    """Whether a node asks gateways to lend it addresses."""
    return any(_connections(scene, node).everywhere("vips"))


def peers(scene: Scenario, node: str) -> Sequence[str]:
    """The peers of a node as it calls them: addresses, names, ranges, `%any`."""
    said = _connections(scene, node).everywhere("remote_addrs")
    return [word for words in said for word in re.split(r"[,\s]+", words) if word]


def _connections(scene: Scenario, node: str) -> Tree:
    path = file(scene, node)
    return swanctl_conf.read(path).tree() if path.exists() else Tree({}, {})
