"""What packets are called: the words of sentences and reports for whatever crosses a network."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from scapy.layers.inet import UDP
from scapy.packet import Packet

from tunnelbed.errors import BadInput
from tunnelbed.observe.packets import ip_of, is_esp, is_ike, is_neighbour_discovery, spi
from tunnelbed.observe.probes import registry

# No probe is of these kinds; a tunnel's packets are told before any other's.
UNPROBED = ("IKE",)


def kind(packet: Packet, spis: Collection[int] | None = None) -> str:
    """What a packet is, in the words of a report: ESP, IKE, neighbour discovery, ICMP, TCP port 80, or Scapy's name.

    A port is the receiver's. With `spis`, those that daemons list, UDP is ESP only with one of them.
    """
    return names(packet, spis)[0]


def kinds(packet: Packet, spis: Collection[int] | None = None) -> set[str]:
    """Every name by which a packet may be called: `kind`, that of the sender's port, and ICMPv6 is ICMP, too."""
    return set(names(packet, spis))


def names(packet: Packet, spis: Collection[int] | None = None) -> tuple[str, ...]:
    """Likewise, with `kind` first."""
    if is_esp(packet) and (spis is None or UDP not in packet or spi(packet) in spis):
        return ("ESP",)
    for is_it, name in ((is_ike, "IKE"), (is_neighbour_discovery, "neighbour discovery")):
        if is_it(packet):
            return (name,)
    for probe in registry.kinds():
        if found := tuple(probe.names(packet)):
            return found
    header = ip_of(packet)
    return (str((packet.lastlayer() if header is None else header.payload).name),)


def check(said: Iterable[str]) -> None:
    """Raises `BadInput` for a kind that no packet can ever be: a verdict that there is none would always be true."""
    known = [*UNPROBED, *(name for probe in registry.kinds() for name in (probe.said, *probe.also))]
    for one in said:
        match = next((match for name in known if (match := re.fullmatch(registry.pattern(name), one))), None)
        if match is None:
            raise BadInput("Then", "", one, registry.listed(known), "correct the sentence")
        if "port" in match.groupdict():
            registry.probe(one)  # refuses a port that cannot be
