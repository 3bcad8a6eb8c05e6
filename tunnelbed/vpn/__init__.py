"""VPNs: one seam (`api`), a folder for each of them, and keys and certificates for all (`pki`).

A folder registers itself by the name `VPN` in its `__init__`.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import cast

from tunnelbed.topology.model import Node, Scenario
from tunnelbed.vpn.api import Setup, Vpn


@functools.cache
def every() -> tuple[Vpn, ...]:
    """Every VPN there is, by the name of its folder."""
    folders = sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg)
    return tuple(cast(Vpn, importlib.import_module(f"{__name__}.{folder}").VPN) for folder in folders)


def words() -> tuple[str, ...]:
    """What packets of VPNs are called in sentences: ESP, IKE."""
    return tuple(name for vpn in every() for name in (vpn.data, vpn.handshake))


def of(node: Node) -> Vpn | None:
    """The VPN that a node runs, by the files that it has; None: it runs none."""
    return next((vpn for vpn in every() if not node.files.isdisjoint(vpn.files)), None)


def setup(scene: Scenario, node: Node) -> Setup:
    """What the files of a node's VPN ask for; nothing, where it runs none."""
    kind = of(node)
    return kind.setup(file(scene, node, kind)) if kind else Setup()


def file(scene: Scenario, node: Node, kind: Vpn) -> Path:
    """Where on this machine the file is by which a node's VPN was found."""
    name = PurePosixPath(next(name for name in kind.files if name in node.files))
    for target, source in node.mounts.items():
        if name.is_relative_to(target):
            return source / name.relative_to(target)
    return scene.configs / node.name / name


def peers(scene: Scenario, node: str) -> Sequence[str]:
    """The peers of a node as its files call them: addresses, names, ranges, `%any`."""
    return setup(scene, scene.node(node)).peers
