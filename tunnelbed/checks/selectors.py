"""Traffic selectors as daemons list them, and which packets they take.

A selector is an address range, perhaps with a protocol and a port: `10.1.0.0/24`, `10.2.0.1/32[tcp/80]`. Of what cannot
be read, such as a range of ports, it is assumed that it takes a packet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.packet import Packet

from tunnelbed.observe.packets import ends
from tunnelbed.topology.model import Address

# The selectors of one end, and those of the other.
Pair = tuple[Sequence[str], Sequence[str]]

# How a daemon writes protocols (protocols(5)).
PROTOCOLS: tuple[tuple[type[Packet], str], ...] = (
    (TCP, "tcp"),
    (UDP, "udp"),
    (ICMP, "icmp"),
    (ICMPv6EchoRequest, "ipv6-icmp"),
)


@dataclass(frozen=True)
class Traffic:
    """What selectors decide on: a packet's addresses, its protocol if that is known, and its ports if it has any."""

    source: Address
    target: Address
    protocol: str = ""
    from_port: int = 0
    to_port: int = 0

    def __str__(self) -> str:
        """In words: `TCP port 80 from 10.1.0.2 to 10.2.0.2`."""
        port = f" port {self.to_port}" if self.to_port else ""
        protocol = "ICMPv6" if self.protocol == "ipv6-icmp" else self.protocol.upper()
        return f"{protocol}{port} from {self.source} to {self.target}"


def traffic(packet: Packet) -> Traffic | None:
    """What selectors decide on of a packet; None where it has no IP addresses."""
    found = ends(packet)
    if found is None:
        return None
    layer, protocol = next(((layer, name) for layer, name in PROTOCOLS if layer in packet), (None, ""))
    ports = (packet[layer].sport, packet[layer].dport) if layer in (TCP, UDP) else (0, 0)
    return Traffic(*found, protocol, *ports)


def between(pairs: Sequence[Pair], wanted: Traffic) -> bool:
    """Whether any pair has the packet's addresses, whatever its protocol."""
    return any(
        any(_covers(one, wanted.source) for one in local) and any(_covers(one, wanted.target) for one in remote)
        for local, remote in pairs
    )


def take(pairs: Sequence[Pair], wanted: Traffic) -> bool:
    """Whether any pair takes the packet: its addresses, its protocol and its ports."""
    name = wanted.protocol
    return any(
        any(_covers(one, wanted.source) and _allows(one, name, wanted.from_port) for one in local)
        and any(_covers(one, wanted.target) and _allows(one, name, wanted.to_port) for one in remote)
        for local, remote in pairs
    )


def words(pairs: Sequence[Pair]) -> str:
    """Pairs as daemons write them: `10.1.0.0/24 === 10.2.0.0/24`."""
    return ", ".join(f"{' '.join(local)} === {' '.join(remote)}" for local, remote in pairs)


def _covers(selector: str, address: Address) -> bool:
    try:
        return address in ipaddress.ip_network(selector.partition("[")[0].partition("|")[0], strict=False)
    except ValueError:
        return True


def _allows(selector: str, protocol: str, port: int) -> bool:
    found = re.search(r"\[([\w-]+)(?:/(\d+))?\]$", selector)
    if found is None or not protocol:
        return True
    return found[1] == protocol and found[2] in (None, str(port))
