"""Node hardening: capabilities, interfaces, addresses, and source address checks."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Sequence

from scapy.layers.l2 import Ether

from tunnelbed.checks import host_isolation
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.observe.probes import Ping
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import capabilities
from tunnelbed.topology.model import Address, Network, Node

COUNTED_SECONDS = 1.0


def may_exactly(bed: Testbed, node: Node, wanted: Sequence[str]) -> None:
    """The bounding set of the node's first process is exactly these capabilities. Raises `Unmet`."""
    unknown = [name for name in wanted if name not in capabilities.NAMES]
    if unknown:
        raise BadInput("Then", "", unknown[0], f"one of: {', '.join(capabilities.NAMES)}", "correct the sentence")
    if (found := may(bed, node)) != set(wanted):
        expected = f"{node.name} has exactly the capabilities {' '.join(sorted(wanted))}"
        raise unmet(bed, expected, " ".join(sorted(found)) or "none")


def may(bed: Testbed, node: Node) -> frozenset[str]:
    """The capabilities that processes of a node can have: the bounding set of its first process."""
    _, found = capabilities.held(_said(bed, node, "cat", "/proc/1/status"))
    return found


def stands_only_in(bed: Testbed, node: Node, networks: Sequence[Network]) -> None:
    """The node has an interface in each of these networks, and no other device that leads anywhere. Raises `Unmet`.

    A node that runs containers has devices towards these, too.
    """
    networks_of = {network.interface: network.name for network in bed.scenario.networks.values()}
    found = {networks_of.get(device, device) for device in host_isolation.of(bed, node).leading_out}
    if node.privileged:
        found &= bed.scenario.networks.keys()
    wanted = {network.name for network in networks}
    if found != wanted:
        expected = f"{node.name} has interfaces only in {' and '.join(sorted(wanted))}"
        raise unmet(bed, expected, f"in {' and '.join(sorted(found)) or 'no network'}")


def no_address_twice(bed: Testbed) -> None:
    """No two nodes on a network have the same address. Raises `Unmet`."""
    owners: dict[tuple[str, Address], list[str]] = defaultdict(list)
    for node in bed.scenario.nodes.values():
        for link in bed.node(node).interfaces():
            for said in link.get("addr_info", ()):
                if link["ifname"] in bed.scenario.networks and "local" in said:
                    owners[link["ifname"], ipaddress.ip_address(said["local"])].append(node.name)
    for (network, address), names in owners.items():
        if len(names) > 1:
            expected = "every address belongs to one node"
            raise unmet(bed, expected, f"{address} on {network} belongs to {' and '.join(names)}")


def speaks_only(bed: Testbed, version: int) -> None:
    """Each network's interface on each node has addresses of this IP version, and of no other. Raises `Unmet`."""
    for node in bed.scenario.nodes.values():
        families = _families(bed, node)
        wanted = {4: "inet", 6: "inet6"}[version]
        for at in node.attachments:
            # A port without an address has none of this version, and none of another.
            if (found := families.get(at.network)) != ({wanted} if at.addresses else set()):
                seen = f"{' and '.join(sorted(found or ())) or 'none'} on {at.network} of {node.name}"
                raise unmet(bed, f"every node has addresses of IPv{version} only", seen)


def speaks_as_given(bed: Testbed, nodes: Iterable[Node]) -> None:
    """No node has an address of an IP version that its stack does not give it there. Raises `Unmet`."""
    for node in nodes:
        families = _families(bed, node)
        for at in node.attachments:
            given = {f"IPv{interface.version}" for interface in at.addresses}
            found = {{"inet": "IPv4", "inet6": "IPv6"}.get(family, family) for family in families.get(at.network, ())}
            if more := found - given:
                expected = f"{node.name} has addresses of {' and '.join(sorted(given)) or 'no version'} on {at.network}"
                raise unmet(bed, expected, f"{' and '.join(sorted(more))}, too")


def _families(bed: Testbed, node: Node) -> dict[str, set[str]]:
    """The address families of each interface of a node, link-local addresses included."""
    links = bed.node(node).interfaces()
    return {
        link["ifname"]: {info["family"] for info in link.get("addr_info", ()) if "family" in info}
        for link in links
        if "ifname" in link
    }


def refuses_source(bed: Testbed, node: Node, face: Node, network: Network, seconds: float = COUNTED_SECONDS) -> None:
    """An IPv4 packet with `face`'s address that comes in by the wrong network is dropped for that (rp_filter).

    The kernel counts it (RFC 3704; `IPReversePathFilter` in /proc/net/netstat), within some `seconds`. Raises `Unmet`.
    """
    ours = next((own.ip for own in node.addresses_on(network.name) if own.version == 4), None)
    theirs = next((address for address in face.addresses if address.version == 4), None)
    neighbour = next((other for other in bed.scenario.on(network.name) if other.name != node.name), None)
    if ours is None or theirs is None or neighbour is None:
        expected = f"a network on which {node.name} has a neighbour"
        raise BadInput(str(bed.scenario.stack), f"networks.{network.name}", "none", expected, "name another")
    before = refused(_said(bed, node, "cat", "/proc/net/netstat"))
    frame = Ether(src=bed.node(neighbour).mac(network.name), dst=bed.node(node).mac(network.name))
    packet = frame / Ping().packet(theirs, ours)
    bed.node(neighbour).send_frame(network.name, bytes(packet))
    try:
        waiting.until(lambda: refused(_said(bed, node, "cat", "/proc/net/netstat")) - before, seconds, "a refusal")
    except DeadlinePassed:
        expected = f"{node.name} accepts no packet from {face.name} on {network.name}"
        raise unmet(bed, expected, "it was not dropped for its source address") from None


def refused(netstat: str) -> int:
    """Packets dropped by source address checks, by /proc/net/netstat: lines of names, each before its numbers."""
    lines = netstat.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        counted = dict(zip(names.split(), numbers.split(), strict=True))
        if "IPReversePathFilter" in counted:
            return int(counted["IPReversePathFilter"])
    raise TunnelbedError("the kernel has no counter of packets dropped by source address checks (IPReversePathFilter)")


def _said(bed: Testbed, node: Node, *command: str) -> str:
    return bed.node(node).run(command, check=True).stdout
