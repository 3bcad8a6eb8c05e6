"""By which of its addresses a node is meant, and with which of its own another one speaks to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scapy.packet import Packet

from tunnelbed.errors import BadInput
from tunnelbed.model import Address, Node
from tunnelbed.testbed import Testbed


def address_towards(bed: Testbed, source: Node, target: Node) -> Address:
    """The target's address that the source would use: on a network they share, else the target's first."""
    return addresses_towards(bed, source, target)[0]


def addresses_towards(bed: Testbed, source: Node, target: Node) -> Sequence[Address]:
    """The target's address that the source would use, for each IP version that both have; raises `BadInput`."""
    near = [own.ip for attachment in source.attachments for own in target.addresses_on(attachment.network)]
    spoken = {address.version for address in source.addresses}
    found: dict[int, Address] = {}
    for address in (*near, *target.addresses):
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
    return make(source_address(source, address), address)


def source_address(source: Node, target: Address) -> Address:
    """The source's address on the target's subnet, else its first of the same IP version."""
    for attachment in source.attachments:
        for interface in attachment.addresses:
            if target in interface.network:
                return interface.ip
    return next(address for address in source.addresses if address.version == target.version)
