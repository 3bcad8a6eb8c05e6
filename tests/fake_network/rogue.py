"""A second charon on a fake node, with files of its own, as `vpn.strongswan.impostor` starts and stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_network.charon import FakeCharon
from tests.fake_network.parts import Sealer
from tests.fake_network.stack import FakeNode
from tunnelbed.vpn.strongswan.impostor import CONF, HOME, PORT

if TYPE_CHECKING:
    from tests.fake_network.network import FakeNetwork


def start(network: FakeNetwork, node: FakeNode) -> None:
    """It listens on a port of its own, and leaves ESP to the kernel."""
    charon = FakeCharon(network, node)
    charon.own, charon.home, charon.plane, charon.port = f"{HOME}/{CONF}", HOME, "kernel", PORT
    network.charons[node.name] = charon
    charon.start()


def stop(network: FakeNetwork, node: FakeNode) -> None:
    """It ends, and nothing is left of it."""
    if node.name in network.charons:
        network.hang_up(node)
        del network.charons[node.name]
    node.sealer = Sealer()
    node.processes.discard("charon")
    node.rules.read("destroy table inet tunnelbed_rogue")
    node.files = {path: text for path, text in node.files.items() if not path.startswith(f"{HOME}/")}


def found(network: FakeNetwork, node: FakeNode) -> str:
    """What `impostor.FIND` prints: the configuration files of the node's own."""
    folder = network.scenario.configs / node.name
    return "".join(f"./{path.relative_to(folder)}\n" for path in sorted(folder.rglob("*.conf")))
