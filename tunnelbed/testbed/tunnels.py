"""A testbed's tunnels, made and ended on purpose; what is there now, `bed.node(x).tunnels()` lists."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from tunnelbed.errors import BadInput, DeadlinePassed
from tunnelbed.host import waiting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Tunnel

# Seconds for an attempt that is meant to be refused.
ATTEMPT_SECONDS = 1.0
# An exchange that nobody answers has ended by then.
SETTLE_SECONDS = 10.0


def between(bed: Testbed, gateway: Node, peer: Node) -> Sequence[Tunnel]:
    """A gateway's tunnels with a peer, one at least; raises `BadInput` where there is none."""
    if found := bed.node(gateway).tunnels(bed.node(peer)):
        return found
    expected = f"a tunnel with {peer.name}"
    raise BadInput(bed.scenario.name, gateway.name, "none", expected, "let a client ask the server first")


def settled(bed: Testbed) -> None:
    """Return when no gateway awaits an answer for a tunnel that carries, or some seconds have passed.

    An exchange that was begun while packets were dropped is repeated, and its tunnel ends if it fails: strongSwan gives
    it up 7.5 s after its first message.
    """
    for gateway in bed.gateways():
        bed.node(gateway).daemon.awaited()

    def busy() -> bool:
        found = [tunnel for gateway in bed.gateways() for tunnel in bed.node(gateway).tunnels()]
        return any(tunnel.busy and tunnel.carries for tunnel in found)

    with contextlib.suppress(DeadlinePassed):
        waiting.until(busy, SETTLE_SECONDS, "exchanges to end", every=0.05, good=lambda found: not found)


def start(bed: Testbed) -> None:
    """Let every connection of every gateway have a tunnel, and all its children, without waiting for traffic.

    After an attempt that failed, ESP in user space asks for no other one for 10 s (libipsec's pending acquire).
    """
    for gateway in bed.gateways():
        node = bed.node(gateway)
        node.daemon.awaited()
        tunnels = [tunnel for tunnel in node.tunnels() if tunnel.carries]
        up = {(tunnel.name, child.name) for tunnel in tunnels for child in tunnel.children if child.carries}
        for found in node.daemon.connections():
            for child in found.children:
                if (found.name, child) not in up:
                    # It may just be on its way by itself, which is as good.
                    node.daemon.start(found, child)


def end(bed: Testbed, node: Node) -> None:
    """End every tunnel of a node at once, without waiting for the peer; what starts one on demand stays."""
    daemon = bed.node(node).daemon
    for tunnel in bed.node(node).tunnels():
        daemon.end(tunnel)


def renew(bed: Testbed) -> None:
    """End every tunnel of every gateway, and start them anew."""
    for gateway in bed.gateways():
        end(bed, gateway)
    start(bed)


def who_starts_last(bed: Testbed, gateways: Iterable[Node]) -> Sequence[Node]:
    """Gateways in the order in which to load them anew: one that starts a tunnel by itself comes last.

    It gives up where its peer has no connections for a moment.
    """
    return sorted(gateways, key=lambda gateway: bed.setup(gateway).starts)


def load_anew(bed: Testbed, node: Node) -> None:
    """End a node's tunnels and load its connections anew, start actions included."""
    daemon = bed.node(node).daemon
    daemon.unload()
    end(bed, node)
    daemon.load()


def ask(bed: Testbed, node: Node, target: Node) -> None:
    """A gateway, or a rogue one, initiates each child of a tunnel with a gateway; the result is not judged here."""
    daemon = bed.daemons.on(node)
    if daemon is None or not daemon.answers():
        expected = "one that poses as a gateway"
        advice = f"add `When {node.name} poses as ...` before it"
        raise BadInput(bed.scenario.name, node.name, "no rogue gateway there", expected, advice)
    # An attempt of its own that is under way, or half a tunnel, would be taken for the answer.
    end(bed, node)
    theirs = {str(address) for address in target.addresses}
    for found in daemon.connections():
        if theirs.intersection(found.remote):
            for child in found.children:
                daemon.start(found, child, ATTEMPT_SECONDS)
            return
    raise BadInput(bed.scenario.name, target.name, "no connection with it", "a peer of the gateway", "name another")
