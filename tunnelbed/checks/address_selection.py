"""Address selection: which address of a target a node uses, and with which source address."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scapy.packet import Packet

from tunnelbed.errors import BadInput, CommandFailed, TunnelbedError
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node, Subnet

# The status of `ip` where the kernel refuses: no route, or one that says unreachable, prohibit or blackhole.
NO_ROUTE = 2


def lent(bed: Testbed, node: Node) -> Sequence[Address]:
    """The virtual IP addresses that gateways have given a node, as its kernel has them now."""
    if not bed.setup(node).borrows:
        return []
    said = bed.node(node).run(["ip", "-json", "address", "show", "scope", "global"], check=True).stdout
    # Of an interface without such an address, iproute2 prints an empty object.
    infos = [info for link in json.loads(said) for info in link.get("addr_info", ()) if "local" in info]
    told = [ipaddress.ip_address(info["local"]) for info in infos]
    if found := [address for address in told if address not in node.addresses]:
        bed.lent[node.name] = found
    return found


def away(bed: Testbed, node: Node) -> Sequence[Address]:
    """The addresses that other networks use for a node, the preferred one first: virtual IPs, or its own.

    One whose tunnel is down goes on being known by what it was lent last.
    """
    return [*(lent(bed, node) or bed.lent.get(node.name, ())), *node.addresses]


def inside(bed: Testbed) -> tuple[Subnet, ...]:
    """The private addresses, which must not be seen outside: those behind gateways, and virtual IPs."""
    nodes = bed.scenario.nodes.values()
    borrowed = [address for node in nodes for address in away(bed, node) if address not in node.addresses]
    return (*bed.scenario.inside, *map(ipaddress.ip_network, borrowed))


def owners(bed: Testbed, address: Address, near: Node) -> Sequence[Node]:
    """The nodes that have an address, seen from a node: by the stack or as a virtual IP."""
    borrowers = [node for node in bed.scenario.nodes.values() if address in lent(bed, node)]
    return borrowers or bed.scenario.owners(address, near)


def address_towards(bed: Testbed, source: Node, target: Node) -> Address:
    """The target's address that the source would use: on a network they share, else lent, else the target's first."""
    return addresses_towards(bed, source, target)[0]


def addresses_towards(bed: Testbed, source: Node, target: Node) -> Sequence[Address]:
    """The target's address that the source would use, for each IP version that both have; raises `BadInput`.

    Two that are both lent addresses mean each other by these, even where they are neighbours.
    """
    near, known = _near(source, target), away(bed, target)
    spoken = {address.version for address in away(bed, source)}
    found: dict[int, Address] = {}
    for address in (*known, *near) if lent(bed, source) and lent(bed, target) else (*near, *known):
        if address.version in spoken:
            found.setdefault(address.version, address)
    if not found:
        given, asked = (_versions(away(bed, node)) or "no address" for node in (target, source))
        where = f"services.{target.name}"
        raise BadInput(
            str(bed.scenario.stack), where, given, f"an address {source.name} can use ({asked})", "give it one"
        )
    return list(found.values())


def _near(source: Node, target: Node) -> Sequence[Address]:
    """The target's addresses on networks that it shares with the source."""
    return [own.ip for attachment in source.attachments for own in target.addresses_on(attachment.network)]


def _versions(addresses: Sequence[Address]) -> str:
    return " and ".join(sorted({f"IPv{address.version}" for address in addresses}))


def known_addresses_towards(bed: Testbed, source: Node, target: Node) -> Sequence[Address]:
    """Likewise, and whatever the target was lent besides."""
    found = addresses_towards(bed, source, target)
    versions = {address.version for address in found}
    borrowed = (address for address in away(bed, target) if address not in target.addresses)
    others = (*borrowed, *(_near(source, target) if lent(bed, source) else ()))
    return list(dict.fromkeys([*found, *(address for address in others if address.version in versions)]))


def every_address_towards(bed: Testbed, source: Node, target: Node) -> Sequence[Address]:
    """Likewise, and all that the target has: who must not be reached must not be by any of its addresses.

    One that means somebody else at the source, who has it on a network of its own, is none of the target's there.
    """
    found = known_addresses_towards(bed, source, target)
    versions = {address.version for address in found}
    others = [address for address in target.addresses if address.version in versions]
    meant = [address for address in others if target in bed.scenario.owners(address, source)]
    return list(dict.fromkeys([*found, *meant]))


@dataclass(frozen=True)
class Aim:
    """Where a sentence sends a probe: an address, the node that has it if any is known to, and how it is called."""

    address: Address
    node: Node | None
    name: str


def aims(bed: Testbed, source: Node, target: Node | Address, version: int = 0) -> Sequence[Aim]:
    """Where to send what is for a node, or for an address that may be in no stack: one for each IP version of both.

    `version` leaves one of them. Raises `BadInput` where source and target have none in common.
    """
    if isinstance(target, Node):
        found = [Aim(address, target, target.name) for address in addresses_towards(bed, source, target)]
    else:
        whose = owners(bed, target, source)
        # The same address at several sites is nobody's in particular: what answers there, a recording shows.
        found = [Aim(target, whose[0] if len(whose) == 1 else None, str(target))]
        _check_version(bed, source, target)
    return _of_version(bed, found, version)


def every_aim(bed: Testbed, source: Node, target: Node | Address, version: int = 0) -> Sequence[Aim]:
    """Likewise, one for each address that a node has or was lent: who must not be reached must not be by any."""
    if not isinstance(target, Node):
        return aims(bed, source, target, version)
    found = [Aim(address, target, target.name) for address in every_address_towards(bed, source, target)]
    return _of_version(bed, found, version)


def _of_version(bed: Testbed, found: Sequence[Aim], version: int) -> Sequence[Aim]:
    left = [aim for aim in found if version in (0, aim.address.version)]
    if not left:
        expected = f"an IP version in which both have addresses ({_versions([aim.address for aim in found])})"
        raise BadInput(str(bed.scenario.stack), found[0].name, f"IPv{version}", expected, "name that version")
    return left


def _check_version(bed: Testbed, source: Node, target: Address) -> None:
    spoken = away(bed, source)
    if all(own.version != target.version for own in spoken):
        expected = f"an address that {source.name} can use ({_versions(spoken) or 'no address'})"
        raise BadInput(str(bed.scenario.stack), f"services.{source.name}", str(target), expected, "name another one")


def addressed(bed: Testbed, source: Node, target: Node, make: Callable[[Address, Address], Packet]) -> Sequence[Packet]:
    """Packets from the source to the target, one for each IP version of both, as the source would address them."""
    found = addresses_towards(bed, source, target)
    return [make(source_address(bed, source, address), address) for address in found]


def source_address(bed: Testbed, source: Node, target: Address) -> Address:
    """The source's address that its kernel chooses towards the target (ip-route(8), `ip route get`).

    Where the kernel has no route it sends nothing, and refuses what we would send: then the source's address on the
    target's subnet, else its first of the same IP version. Raises `TunnelbedError` where it has none of that version.
    """
    chosen = next((route["prefsrc"] for route in _routes(bed, source, target) if "prefsrc" in route), None)
    if chosen:
        return ipaddress.ip_address(chosen)
    own = [interface for attachment in source.attachments for interface in attachment.addresses]
    candidates = [found.ip for found in own if target in found.network]
    candidates += [found.ip for found in own if found.version == target.version]
    if not candidates:
        raise TunnelbedError(
            f"{source.name} has no IPv{target.version} address now, so it can send nothing to {target}"
        )
    return candidates[0]


def has_route(bed: Testbed, source: Node, target: Address) -> bool:
    """Whether the node's kernel has a route to an address, and none that refuses."""
    return bool(_routes(bed, source, target))


def _routes(bed: Testbed, source: Node, target: Address) -> Sequence[Mapping[str, str]]:
    """What the node's kernel says of its route to an address; nothing where it has none, or one that refuses."""
    command = ["ip", "-json", "route", "get", str(target)]
    said = bed.node(source).run(command)
    if said.status not in (0, NO_ROUTE):
        raise CommandFailed(command, said.status, said.output, source.name)
    found: Sequence[Mapping[str, str]] = json.loads(said.stdout) if not said.status else []
    return found
