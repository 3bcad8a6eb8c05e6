"""Whether a node accepts packets with a source address that cannot come from where they do (RFC 3704)."""

from __future__ import annotations

from tunnelbed.checks import firewall, node_hardening
from tunnelbed.errors import BadInput
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Network, Node


def refuses_source(bed: Testbed, node: Node, face: Node, network: Network) -> None:
    """A packet with `face`'s address that comes in by a network where it cannot come from is dropped for that.

    Each IP version that both have is tried: IPv4, which the kernel checks, and IPv6, which a firewall's rule must.
    Raises `Unmet`, and `BadInput` where they have no version in common.
    """
    there = {own.version for own in node.addresses_on(network.name)}
    both = there & {address.version for address in face.addresses}
    if there and not both:
        where = (str(bed.scenario.stack), f"networks.{network.name}")
        raise BadInput(*where, f"no IP version that {face.name} has", "one that both have", "name another network")
    # Who has no address there is refused by either.
    versions = both or {node.addresses[0].version}
    if 4 in versions:
        node_hardening.refuses_source(bed, node, face, network)
    if 6 in versions:
        firewall.refuses_source(bed, node, face, network)
