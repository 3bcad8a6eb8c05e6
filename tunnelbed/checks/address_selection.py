"""By which of its addresses a node is meant, and with which of its own another one speaks to it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence

from scapy.packet import Packet

from tunnelbed.errors import BadInput
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node, Subnet
from tunnelbed.vpn.strongswan import config


def lent(bed: Testbed, node: Node) -> Sequence[Address]:
    """The addresses that gateways have lent a node (`vips` in swanctl.conf(5)), as its kernel has them now."""
    if not config.borrows(bed.scenario, node.name):
        return []
    said = bed.node(node).run(["ip", "-json", "address", "show", "scope", "global"], check=True).stdout
    told = [ipaddress.ip_address(info["local"]) for link in json.loads(said) for info in link["addr_info"]]
    if found := [address for address in told if address not in node.addresses]:
        bed.lent[node.name] = found
    return found


def away(bed: Testbed, node: Node) -> Sequence[Address]:
    """The addresses by which a node is known away from its own networks, the first one first: lent, or its own.

    One whose tunnel is down goes on being known by what it was lent last.
    """
    return [*(lent(bed, node) or bed.lent.get(node.name, ())), *node.addresses]


def inside(bed: Testbed) -> tuple[Subnet, ...]:
    """The addresses that no network outside may show: those behind gateways, and those lent to nodes elsewhere."""
    nodes = bed.scenario.nodes.values()
    borrowed = [address for node in nodes for address in away(bed, node) if address not in node.addresses]
    return (*bed.scenario.inside, *map(ipaddress.ip_network, borrowed))


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
    spoken = {address.version for address in away(bed, source)}
    found: dict[int, Address] = {}
    for address in (*near, *away(bed, target)):
        if address.version in spoken:
            found.setdefault(address.version, address)
    if not found:
        given, asked = (_versions(away(bed, node)) or "no address" for node in (target, source))
        where = f"services.{target.name}"
        raise BadInput(
            str(bed.scenario.stack), where, given, f"an address {source.name} can use ({asked})", "give it one"
        )
    return list(found.values())


def _versions(addresses: Sequence[Address]) -> str:
    return " and ".join(sorted({f"IPv{address.version}" for address in addresses}))


def every_address_towards(bed: Testbed, source: Node, target: Node) -> Sequence[Address]:
    """Likewise, and whatever the target was lent besides: who must not be reached must not be by any of them."""
    found = addresses_towards(bed, source, target)
    versions = {address.version for address in found}
    others = (address for address in away(bed, target) if address not in target.addresses)
    return list(dict.fromkeys([*found, *(address for address in others if address.version in versions)]))


def addressed(bed: Testbed, source: Node, target: Node, make: Callable[[Address, Address], Packet]) -> Packet:
    """A packet from the source to the target, with the addresses that the source would use."""
    address = address_towards(bed, source, target)
    return make(source_address(bed, source, address), address)


def source_address(bed: Testbed, source: Node, target: Address) -> Address:
    """The source's address on the target's subnet, else its first of the same IP version.

    Who borrows addresses has one for each purpose; which, its kernel says.
    """
    if config.borrows(bed.scenario, source.name):
        said = bed.node(source).run(["ip", "-json", "route", "get", str(target)]).stdout
        if chosen := next((route.get("prefsrc") for route in json.loads(said or "[]")), None):
            return ipaddress.ip_address(chosen)
    for attachment in source.attachments:
        for interface in attachment.addresses:
            if target in interface.network:
                return interface.ip
    return next(address for address in source.addresses if address.version == target.version)
