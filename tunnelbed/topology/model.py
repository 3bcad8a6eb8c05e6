"""A scenario's nouns: networks, nodes, and how they are attached.

Values only, checked where they are read (`scenario.py`); addresses are `ipaddress` objects from there on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

from tunnelbed.errors import BadInput

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network

# IFNAMSIZ in linux/if.h is 16 with the closing zero; a network's name is its interface's name.
LONGEST_NAME = 15
# Of TCP and UDP (RFC 9293, RFC 768): 16 bits, and 0 is reserved.
LAST_PORT = 65535


@dataclass(frozen=True)
class Network:
    """One L2 segment. `role` is isp_link, intranet or internet where the stack's labels say so.

    `driver` is the stack's word for how Docker makes it, empty where the stack has none.
    """

    name: str
    subnets: tuple[Subnet, ...]
    role: str = ""
    site: str = ""
    driver: str = ""
    # Where the network's own name cannot be one: see `interface_names`.
    device: str = ""

    @property
    def interface(self) -> str:
        """The name of each node's interface on this network."""
        return self.device or self.name


@dataclass(frozen=True)
class Attachment:
    """A node's interface on a network, and its addresses: none for a port of a switch.

    `aliases` are further names of the node there; `mac` is empty where the stack leaves it to the engine.
    """

    network: str
    addresses: tuple[Interface, ...]
    aliases: tuple[str, ...] = ()
    mac: str = ""


@dataclass(frozen=True)
class Node:
    """One host of the scenario, and what Compose says of it that any engine needs."""

    name: str
    attachments: tuple[Attachment, ...]
    role: str = ""
    site: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    privileged: bool = False
    check: tuple[str, ...] = ()
    # Images for containers that the node itself runs.
    carried: tuple[str, ...] = ()
    # Capabilities taken away from those an engine gives by itself; ALL takes away every one.
    dropped: tuple[str, ...] = ()
    # Its own name for itself; by default the service's.
    hostname: str = ""
    # Whether the stack replaces what the image starts: `command` then begins with that.
    entrypoint: bool = False
    # Folders and files of this machine that the stack mounts, by where the node finds them.
    mounts: Mapping[str, Path] = field(default_factory=dict)
    # The stack builds the image, from this folder or address.
    build: str = ""
    # Words of the service that a testbed does otherwise (`limits`).
    otherwise: tuple[str, ...] = ()
    # The names of its own files below configs/, and where it finds those that the stack mounts: by these is known what
    # it runs.
    files: frozenset[str] = frozenset()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every address of the node, in the order of the stack."""
        return tuple(interface.ip for attachment in self.attachments for interface in attachment.addresses)

    def addresses_on(self, network: str) -> tuple[Interface, ...]:
        """The node's addresses on a network, in the order of the stack; none if it has no interface there."""
        return tuple(
            own for attachment in self.attachments if attachment.network == network for own in attachment.addresses
        )

    def address_on(self, network: str) -> Address | None:
        """The first of them."""
        return next((own.ip for own in self.addresses_on(network)), None)


@dataclass(frozen=True)
class Scenario:
    """A named virtual network and the files that define it."""

    name: str
    stack: Path
    configs: Path
    features: Path
    networks: Mapping[str, Network]
    nodes: Mapping[str, Node]
    # What Compose merges into the stack, in the nested form of a scenario.
    overlay: Path | None = None
    # What the stack asks for and a testbed does otherwise, a line each.
    notes: tuple[str, ...] = ()

    def node(self, name: str) -> Node:
        """The node of that name; `BadInput` lists those there are."""
        if name not in self.nodes:
            raise BadInput("--node", "", repr(name), f"one of: {', '.join(self.nodes)}", "choose one of them")
        return self.nodes[name]

    def having(self, role: str = "", site: str = "") -> tuple[Node, ...]:
        """The nodes of a role, of a site, or both, in the order of the stack."""
        return tuple(
            node for node in self.nodes.values() if (not role or node.role == role) and (not site or node.site == site)
        )

    def on(self, network: str) -> tuple[Node, ...]:
        """The nodes with an interface on a network, in the order of the stack."""
        return tuple(node for node in self.nodes.values() if any(at.network == network for at in node.attachments))

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """The sites' names, in the order of the stack."""
        return tuple(dict.fromkeys(node.site for node in self.nodes.values() if node.site))

    @cached_property
    def inside(self) -> tuple[Subnet, ...]:
        """The subnets behind gateways: the addresses that no network outside may show."""
        return tuple(self._subnets("intranet"))

    def owner(self, address: Address) -> Node | None:
        """The node that has an address in the stack; the first where scenarios use one twice."""
        return next((node for node in self.nodes.values() if address in node.addresses), None)

    def owners(self, address: Address, near: Node) -> tuple[Node, ...]:
        """The nodes with an address, seen from a node: those on its own networks, else all."""
        near_by = {at.network for at in near.attachments}
        networks = {
            node.name: {at.network for at in node.attachments if any(found.ip == address for found in at.addresses)}
            for node in self.nodes.values()
        }
        beside = [name for name, there in networks.items() if there & near_by]
        return tuple(self.nodes[name] for name in beside or (name for name, there in networks.items() if there))

    def _subnets(self, role: str) -> Iterator[Subnet]:
        for network in self.networks.values():
            if network.role == role:
                yield from network.subnets


def testbed_name(scene: str, instance: str) -> str:
    """The name of a scenario's testbed, or of another instance of it: `ipv6`, `ipv6.mine`."""
    return f"{scene}.{instance}" if instance else scene
