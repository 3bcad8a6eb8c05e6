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

# Where a node's strongSwan has its settings and its connections: links and files of ours that lead to all that the node
# has, wherever that is (scripts/node/vpn). Its own programs find both by these variables; nothing is written elsewhere.
SWANCTL_DIR, STRONGSWAN_CONF = "/run/tunnelbed/swanctl", "/run/tunnelbed/strongswan.conf"
ENVIRONMENT = {"SWANCTL_DIR": SWANCTL_DIR, "STRONGSWAN_CONF": STRONGSWAN_CONF}
# Where strongSwan looks by itself, and so a stack may mount a folder or the file.
MOUNTED = "/etc/swanctl"


def file(scene: Scenario, node: str) -> Path:
    """A node's swanctl.conf; one that is there makes the node a gateway of some kind.

    It is in the node's folder, or in a folder that the stack mounts where strongSwan looks.
    """
    own = scene.configs / node / "swanctl.conf"
    mounts = scene.nodes[node].mounts if node in scene.nodes else {}
    theirs = mounts[MOUNTED] / own.name if MOUNTED in mounts else mounts.get(f"{MOUNTED}/{own.name}", own)
    return theirs if theirs.is_file() else own


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
