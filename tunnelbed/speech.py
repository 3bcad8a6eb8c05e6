"""What was said in a conversation, said once more: by who said it, or by a stranger who copies it.

A gateway knows a conversation that it let through, and goes on to let it through when its tunnel is gone: what then
leaves, or comes in, shows whether anything else stands in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from tunnelbed.errors import TunnelbedError
from tunnelbed.model import Address, Network, Node
from tunnelbed.recording import Recording, Sighting
from tunnelbed.testbed import Testbed
from tunnelbed.verdict import unmet


@dataclass(frozen=True)
class Copy:
    """A probe that is a segment seen before, with other addresses: to NAT, part of the same conversation."""

    original: Packet

    @property
    def name(self) -> str:
        return f"a copy of a segment to TCP port {self.original[TCP].dport}"

    def packet(self, source: Address, target: Address) -> Packet:
        header = IP if target.version == 4 else IPv6
        segment = self.original[TCP].copy()
        del segment.chksum
        made: Packet = header(src=str(source), dst=str(target)) / segment
        return made

    def asks(self, packet: Packet) -> bool:
        return self.shows(packet)

    def answers(self, packet: Packet) -> bool:
        return TCP in packet and packet[TCP].sport == self.original[TCP].dport

    def shows(self, packet: Packet) -> bool:
        return text(self.original) in bytes(packet)


def text(packet: Packet) -> bytes:
    """What a TCP segment carries."""
    return bytes(packet[TCP].payload) if TCP in packet and Raw in packet else b""


def of(recording: Recording, speaker: Node) -> Sequence[Sighting]:
    """The TCP segments with text that a node sent, at least one; an error where there is none."""
    said = [seen for seen in recording.sightings if seen.node == speaker.name and seen.outgoing and text(seen.packet)]
    if not said:
        raise TunnelbedError(f"{speaker.name} said nothing that could be repeated: let a client ask the server first")
    return said


def repeat(bed: Testbed, said: Sequence[Sighting]) -> None:
    """Send segments once more, as they were."""
    for seen in said:
        bed.agents.on(seen.node).send_frame(seen.network, seen.frame.data)


def does_not_cross(bed: Testbed, recording: Recording, said: Sequence[Sighting], network: Network) -> None:
    """Nothing of what was repeated is readable on a network, though it was seen to arrive next door. Raises `Unmet`."""
    texts = [text(seen.packet) for seen in said]

    def shows(packet: Packet) -> bool:
        return text(packet) in texts if text(packet) else False

    if not any(shows(seen.packet) and not seen.outgoing for seen in recording.sightings):
        raise TunnelbedError("what was repeated was not seen to arrive anywhere, so that nothing is proven")
    if crossed := [seen for seen in recording.on(network.name) if shows(seen.packet)]:
        expected = f"nothing of what {said[0].node} repeats crosses {network.name}"
        raise unmet(bed, expected, str(crossed[0]), recording, about=shows)
