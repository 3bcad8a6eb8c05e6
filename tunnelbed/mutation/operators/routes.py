"""Mistakes in routes and addresses: ip.batch, the lines a node gives to `ip -batch`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation.operators import operator
from tunnelbed.topology.model import Address, Network, Node

FILE = "ip.batch"


@operator("route-missing")
def route_missing(files: Sources) -> Iterator[Mutant]:
    """A route of a node is missing."""
    yield from _lines_removed(files, "route-missing", "route")


@operator("address-missing")
def address_missing(files: Sources) -> Iterator[Mutant]:
    """A node does not have an address that is asked for."""
    yield from _lines_removed(files, "address-missing", "address")


@operator("route-leaked")
def route_leaked(files: Sources) -> Iterator[Mutant]:
    """A router has a route to a private network behind a gateway."""
    scene = files.scenario
    for router in scene.having(role="router"):
        for network in scene.networks.values():
            for gateway in scene.having(role="gateway", site=network.site) if network.role == "intranet" else ():
                link = next((at.network for at in gateway.attachments if router.address_on(at.network)), None)
                for subnet in network.subnets if link else ():
                    line = f"route replace {subnet} via {gateway.address_on(link or '')}"
                    path = files.file(router.name, FILE)
                    sentence = f"{router.name}: routes {subnet} to {gateway.name}"
                    place = f"{router.name} to {network.name}"
                    yield Mutant("route-leaked", place, sentence, {path: _with(files.text(path), line)})


@operator("route-added")
def route_added(files: Sources) -> Iterator[Mutant]:
    """A node has a route too many: to another private network, by a neighbour that is no router if there is one."""
    scene = files.scenario
    for node in scene.nodes.values():
        found = next(((to, hop) for to in scene.networks.values() for hop in _neighbours(files, node, to)), None)
        if found is None:
            continue
        network, (hop, address) = found
        subnet = next(subnet for subnet in network.subnets if subnet.version == address.version)
        path = files.file(node.name, FILE)
        sentence = f"{node.name}: routes {subnet} by {hop.name}, too"
        changes = {path: _with(files.text(path), f"route replace {subnet} via {address}")}
        yield Mutant("route-added", f"{node.name} to {network.name} by {hop.name}", sentence, changes)


def _neighbours(files: Sources, node: Node, network: Network) -> Iterator[tuple[Node, Address]]:
    """Who could be a node's next hop to a private network that has no address in common with its own: hosts first."""
    own = [interface.network for at in node.attachments for interface in at.addresses]
    pairs = product(own, network.subnets)
    if network.role != "intranet" or any(a.version == b.version and a.overlaps(b) for a, b in pairs):
        return
    found = [
        (other, interface.ip)
        for at in node.attachments
        for other in files.scenario.on(at.network)
        for interface in other.addresses_on(at.network)
        if other.name != node.name and any(subnet.version == interface.version for subnet in network.subnets)
    ]
    yield from sorted(found, key=lambda hop: hop[0].role in ("router", "gateway"))


@operator("address-twice")
def address_twice(files: Sources) -> Iterator[Mutant]:
    """On each network, the last node also has the address of the first."""
    scene = files.scenario
    for network in scene.networks.values():
        other, *_, node = scene.on(network.name) * 2
        theirs = next(at for at in other.attachments if at.network == network.name)
        for interface in theirs.addresses if node.name != other.name else ():
            nodad = " nodad" if interface.version == 6 else ""
            line = f"address replace {interface} dev {network.interface}{nodad}"
            path = files.file(node.name, FILE)
            sentence = f"{node.name}: also has {interface.ip}, the address of {other.name}"
            yield Mutant(
                "address-twice", f"{node.name} on {network.name}", sentence, {path: _with(files.text(path), line)}
            )


def _lines_removed(files: Sources, name: str, thing: str) -> Iterator[Mutant]:
    for node, path, text in files.having(FILE):
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if re.match(rf"\s*{thing}s? ", line):
                now = "\n".join(lines[:number] + lines[number + 1 :]) + "\n"
                sentence = f"{node}: `{line.strip()}` is missing"
                yield Mutant(name, f"{node}: {line.strip()}", sentence, {path: now})


def _with(text: str, line: str) -> str:
    return "\n".join([*text.splitlines(), line]) + "\n"
