"""By which of its addresses a node is meant, and with which of its own another one speaks to it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence

from scapy.packet import Packet

from tunnelbed import connections
from tunnelbed.errors import BadInput
from tunnelbed.model import Address, Node
from tunnelbed.testbed import Testbed


def lent(bed: Testbed, node: Node) -> Sequence[Address]:
    """The addresses that gateways have lent a node (`vips` in swanctl.conf(5)), as its kernel has them now."""
    if not connections.borrows(bed.scenario, node.name):
        return []
    said = bed.agents.on(node.name).run(["ip", "-json", "address", "show", "scope", "global"], check=True).stdout
    found = [ipaddress.ip_address(info["local"]) for link in json.loads(said) for info in link["addr_info"]]
    return [address for address in found if address not in node.addresses]


def away(bed: Testbed, node: Node) -> Sequence[Address]:
    """The addresses by which a node is known away from its own networks, the first one first: lent, or its own."""
    return [*lent(bed, node), *node.addresses]


def owners(bed: Testbed, address: Address, near: Node) -> Sequence[Node]:
    """Who may be meant by an address at a node, whether it is in the stack or was lent."""
    borrowers = [node for node in bed.scenario.nodes.values() if address in lent(bed, node)]
    return borrowers or bed.scenario.owners(address, near)


def address_towards(bed: Testbed, source: Node, target: Node) -> Address:
    """The target's address that the source would use: on a network they share, else lent, else the target's first."""
    return addresses_towards(bed, source, target)[0]


def addresses_towards(bed: Testbed, source: Node, target: Node) -> Sequence[Address]:
    """The target's address that the source would use, for each IP version that both have; raises `BadInput`."""
    near = [own.ip for attachment in source.attachments for own in target.addresses_on(attachment.network)]
    spoken = {address.version for address in source.addresses}
    found: dict[int, Address] = {}
    for address in (*near, *away(bed, target)):
        if address.version in spoken:
            found.setdefault(address.version, address)
    if not found:
        given, asked = (_versions(node) or "no address" for node in (target, source))
        where = f"services.{target.name}"
        raise BadInput(
            str(bed.scenario.stack), where, given, f"an address {source.name} can use ({asked})", "give it one"
        )
    return list(found.values())


def _versions(node: Node) -> str:
    return " and ".join(sorted({f"IPv{address.version}" for address in node.addresses}))


def addressed(bed: Testbed, source: Node, target: Node, make: Callable[[Address, Address], Packet]) -> Packet:
    """A packet from the source to the target, with the addresses that the source would use."""
    address = address_towards(bed, source, target)
    return make(source_address(bed, source, address), address)


def source_address(bed: Testbed, source: Node, target: Address) -> Address:
    """The source's address on the target's subnet, else its first of the same IP version.

    Who borrows addresses has one for each purpose; which, its kernel says.
    """
    if connections.borrows(bed.scenario, source.name):
        said = bed.agents.on(source.name).run(["ip", "-json", "route", "get", str(target)]).stdout
        if route := json.loads(said or "[]"):
            return ipaddress.ip_address(route[0]["prefsrc"])
    for attachment in source.attachments:
        for interface in attachment.addresses:
            if target in interface.network:
                return interface.ip
    return next(address for address in source.addresses if address.version == target.version)
