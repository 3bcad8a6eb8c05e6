"""How often gateways have replaced the keys of their tunnels, and authenticated their peers."""

from __future__ import annotations

from tunnelbed.checks.node_logs import Journal
from tunnelbed.checks.unmet import unmet
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Feature


def at_least(bed: Testbed, gateway: Node, layer: str, count: int, journal: Journal) -> None:
    """A gateway has replaced keys of IKE or of ESP so often since a moment, of all its tunnels. Raises `Unmet`."""
    found = bed.node(gateway).able(Feature.CLOCK).renewals(layer, journal.since(gateway.name))
    _so_often(bed, gateway, f"changed its {layer} keys", found, count)


def authenticated(bed: Testbed, gateway: Node, count: int, journal: Journal) -> None:
    """A gateway has set up so many tunnels since a moment, each with authentication. Raises `Unmet`."""
    found = bed.node(gateway).able(Feature.CLOCK).authentications(journal.since(gateway.name))
    _so_often(bed, gateway, "authenticated its peers", found, count)


def _so_often(bed: Testbed, gateway: Node, what: str, found: int, count: int) -> None:
    if found < count:
        expected = f"{gateway.name} has {what} at least {count} times"
        raise unmet(bed, expected, f"{found} times", nodes=[gateway.name])
