"""Names of kinds of packets, in sentences and reports."""

from __future__ import annotations

import re
from collections.abc import Iterable

from scapy.packet import Packet

from tunnelbed.errors import BadInput
from tunnelbed.observe.carried import Classify, nobodys
from tunnelbed.observe.packets import ESP_PROTOCOL, ip_of, is_neighbour_discovery, protocol
from tunnelbed.observe.probes import registry

# ESP with an SPI that no daemon of the scenario lists, as an attacker sends it: ESP, too, but no tunnel's.
STRAY = "ESP of no tunnel"


def kind(packet: Packet, classify: Classify = nobodys) -> str:
    """What a packet is, in the words of a report: ESP, IKE, neighbour discovery, ICMP, TCP port 80, or Scapy's name.

    A port is the receiver's. The VPNs' packets are named as `classify` knows them.
    """
    return names(packet, classify)[0]


def kinds(packet: Packet, classify: Classify = nobodys) -> set[str]:
    """Every name by which a packet may be called: `kind`, that of the sender's port, and ICMPv6 is ICMP, too."""
    return set(names(packet, classify))


def names(packet: Packet, classify: Classify = nobodys) -> tuple[str, ...]:
    """Likewise, with `kind` first."""
    if carried := classify(packet):
        return (carried.name,)
    if is_neighbour_discovery(packet):
        return ("neighbour discovery",)
    outer = ip_of(packet)
    if outer is not None and protocol(outer) == ESP_PROTOCOL:
        return (STRAY, "ESP")
    for probe in registry.kinds():
        if found := tuple(probe.names(packet)):
            return found
    header = ip_of(packet)
    return (str((packet.lastlayer() if header is None else header.payload).name),)


def check(said: Iterable[str], also: Iterable[str] = ()) -> None:
    """Raises `BadInput` for a kind that no packet can have: a sentence that there is none would always hold.

    `also` are the names that VPNs have for their packets.
    """
    known = [*also, *(name for probe in registry.kinds() for name in (probe.said, *probe.also))]
    for one in said:
        match = next((match for name in known if (match := re.fullmatch(registry.pattern(name), one))), None)
        if match is None:
            raise BadInput("Then", "", one, registry.listed(known), "correct the sentence")
        if "port" in match.groupdict():
            registry.probe(one)  # refuses a port that cannot be
