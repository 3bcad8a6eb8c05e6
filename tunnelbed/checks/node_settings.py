"""Settings of a node's kernel: its sysctls, and its routes."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node

# sysctl(8): dots and slashes change places, so that an interface's name may hold a dot.
PATH = str.maketrans("./", "/.")


def has_sysctl(bed: Testbed, node: Node, key: str, value: int) -> None:
    """A node's kernel has this value for a sysctl (`net.ipv4.ip_forward`). Raises `Unmet`."""
    done = bed.node(node).run(["cat", f"/proc/sys/{key.translate(PATH)}"])
    if done.status:
        raise BadInput("Then", node.name, key, "a sysctl of this node's kernel", "correct the sentence")
    if done.stdout.split() != [str(value)]:
        raise unmet(bed, f"{node.name} has {key} = {value}", done.stdout.strip())


def sends_beyond(bed: Testbed, node: Node, hop: Node | None) -> None:
    """A node has no route beyond its own networks but a default route by this neighbour, if any. Raises `Unmet`.

    By each IP version of which the neighbour has an address on a network of the node's. Of the kernel's tables this is
    `main`: what a VPN adds to route into its tunnels stands elsewhere.
    """
    near = [own.ip for at in node.attachments for own in (hop.addresses_on(at.network) if hop else ())]
    if hop and not near:
        listed = ", ".join(other.name for at in node.attachments for other in bed.scenario.on(at.network))
        raise BadInput("Then", node.name, hop.name, f"one of its neighbours: {listed}", "correct the sentence")
    found = list(_routes(bed, node))
    strange = [said for version, to, via, said in found if to != "default" or via not in map(str, near)]
    missing = {address.version for address in near} - {version for version, *_ in found}
    if strange or missing:
        by = f" but a default route by {hop.name}" if hop else ""
        expected = f"{node.name} has no route beyond its own networks{by}"
        seen = "; ".join(strange) or f"no default route of IPv{min(missing)}"
        raise unmet(bed, expected, seen)


def _routes(bed: Testbed, node: Node) -> Iterator[tuple[int, str, str, str]]:
    """The routes of a node that lead beyond its networks: IP version, destination, next hop, and all of it in words."""
    for version in (4, 6):
        said = bed.node(node).run(["ip", f"-{version}", "--json", "route", "show", "table", "main"], check=True).stdout
        for route in json.loads(said or "[]"):
            # What the kernel makes of an address: the network that is on the link (IPv6 has fe80::/64 there, too).
            if route.get("protocol") == "kernel":
                continue
            hops = [route, *route.get("nexthops", ())]
            via = [str(hop["gateway"]) for hop in hops if "gateway" in hop]
            to = str(route["dst"])
            yield version, to, via[0] if len(via) == 1 else "", " ".join([to, *(f"via {hop}" for hop in via)])
