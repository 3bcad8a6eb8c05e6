"""What a node's swanctl.conf asks for, as far as it must be known without asking charon.

The file itself, without what it includes. Whatever charon has loaded, `daemon.connections` tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tunnelbed.topology.model import Scenario

# In swanctl.conf(5): a child that needs nobody's traffic, a connection that asks to be lent addresses, and its peers.
STARTS = re.compile(r"(?<![\w.-])start_action[ \t]*=[^\n}]*\bstart\b")
BORROWS = re.compile(r"(?<![\w.-])vips[ \t]*=[ \t]*[^\s}]")
PEERS = re.compile(r"(?<![\w.-])remote_addrs[ \t]*=[ \t]*([^\n}]+)")
COMMENT = re.compile(r"#.*")


def file(scene: Scenario, node: str) -> Path:
    """A node's swanctl.conf; one that is there makes the node a gateway of some kind."""
    return scene.configs / node / "swanctl.conf"


def starts(scene: Scenario, node: str) -> bool:
    """Whether a node starts a tunnel by itself."""
    return STARTS.search(_text(scene, node)) is not None


def borrows(scene: Scenario, node: str) -> bool:
    """Whether a node asks gateways to lend it addresses."""
    return BORROWS.search(_text(scene, node)) is not None


def peers(scene: Scenario, node: str) -> Sequence[str]:
    """The peers of a node as it calls them: addresses, names, ranges, `%any`."""
    return [word for said in PEERS.findall(_text(scene, node)) for word in re.split(r"[,\s]+", said) if word]


def _text(scene: Scenario, node: str) -> str:
    path = file(scene, node)
    return COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace")) if path.exists() else ""
