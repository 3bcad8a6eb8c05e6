"""What a fake node is made of: interfaces, routes, policies, and what seals its packets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from scapy.packet import Packet

from tunnelbed.topology.model import Address, Interface, Subnet


@dataclass
class Link:
    """An interface of a node in a network."""

    name: str
    mac: str
    up: bool = True
    # MACVLAN's private mode: it shares its wire with nobody.
    private: bool = False
    groups: set[str] = field(default_factory=set)
    addresses: list[Interface] = field(default_factory=list)


@dataclass(frozen=True)
class Route:
    """A route: where to, by which device, by which next hop; of a table, `main` by default."""

    target: Subnet
    device: str = ""
    via: Address | None = None
    table: str = "main"
    source: Address | None = None


@dataclass(frozen=True)
class Policy:
    """What is to be sealed: from these subnets to those."""

    local: tuple[Subnet, ...]
    remote: tuple[Subnet, ...]

    def covers(self, source: Address, target: Address) -> bool:
        """Whether a packet with these addresses is to be sealed."""
        return any(source in one for one in self.local) and any(target in one for one in self.remote)


class Sealer:
    """What seals and opens packets on a node (a charon); one that does nothing."""

    plane, port = "", 500

    def policies(self) -> Sequence[Policy]:
        """What is to be sealed now."""
        return ()

    def seal(self, packet: Packet) -> Packet | None:
        """The packet that carries this one; None where there is none, and it is lost."""
        del packet
        return None

    def open(self, packet: Packet) -> bytes | None:
        """What a packet of ESP carries; None where it is dropped."""
        del packet
        return None

    def hear(self, packet: Packet) -> None:
        """A message of IKE has come."""


class NotSent(OSError):
    """A packet that the node's own kernel refuses."""

    def __init__(self, number: int) -> None:
        super().__init__(number, os.strerror(number))
