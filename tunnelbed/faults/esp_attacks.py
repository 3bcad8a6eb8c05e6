"""ESP put on a link by an attacker: recorded and sent again, forged, or of no tunnel; and that a gateway drops it.

The attacker stands on the link next to the gateway, sees every packet there and sends what it likes; what it has not
is a key.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scapy.layers.ipsec import ESP
from scapy.packet import Packet

from tunnelbed.checks.application import Request, ask_server
from tunnelbed.checks.node_logs import Journal
from tunnelbed.checks.reachability import ON_ITS_WAY
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe.packets import ends
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Network, Node
from tunnelbed.vpn.api import Drop, Since

# How far a forged sequence number runs ahead: beyond any seen, so that only its authentication is wrong.
AHEAD = 1000


@dataclass(frozen=True)
class Attack:
    """ESP that was put on a link: how many packets, what was seen meanwhile, and since when to ask the receiver."""

    sent: int
    recording: Recording
    journal: Journal
    since: Since


def again(packet: Packet) -> Packet:
    """The packet as it was recorded."""
    return packet


def altered(packet: Packet) -> Packet:
    """A later packet of the same tunnel with random content, as from an attacker who has the SPI but no key."""
    forged = packet.copy()
    forged[ESP].seq += AHEAD
    forged[ESP].data = secrets.token_bytes(len(forged[ESP].data))
    return forged


def of_no_tunnel(packet: Packet) -> Packet:
    """The packet with an SPI of no tunnel: strongSwan takes its own from 0xc0000000 to 0xcfffffff."""
    forged = packet.copy()
    forged[ESP].spi = 0x10000000 + secrets.randbits(24)
    return forged


def attack(bed: Testbed, sender: Node, receiver: Node, forge: Callable[[Packet], Packet]) -> Attack:
    """Record ESP from one gateway to another on the link next to the receiver, and put it there again, forged."""
    link, recorded = recorded_esp(bed, sender, receiver)
    attacker = next(node.name for node in bed.scenario.on(link.name) if node != receiver)
    frames = [bytes(forge(seen.packet)) for seen in recorded]
    daemon = bed.node(receiver).daemon
    journal, since = Journal(bed), daemon.mark()
    with daemon.telling_drops(), bed.record() as recording:
        for frame in frames:
            bed.node(attacker).send_frame(link.name, frame)
        wanted = set(frames)

        def enters(seen: Sighting) -> bool:
            wanted.discard(seen.frame.data if seen.node == receiver.name and not seen.outgoing else b"")
            return not wanted

        entered = recording.until(enters, ON_ITS_WAY)
        recording.settle()
    if not entered:
        raise TunnelbedError(
            f"an attack on {receiver.name} cannot be judged: {len(wanted)} packets did not arrive at it"
        )
    return Attack(len(frames), recording, journal, since)


def recorded_esp(bed: Testbed, sender: Node, receiver: Node) -> tuple[Network, Sequence[Sighting]]:
    """The ESP from one gateway to another while a client asks the server, on the link next to the receiver."""
    links = [bed.scenario.networks[at.network] for at in receiver.attachments]
    link = next((net for net in links if net.role == "isp_link"), None)
    clients = [*bed.scenario.having("client", sender.site), *bed.scenario.having("client", receiver.site)]
    if link is None or not clients:
        expected = "gateways of a site with clients, on networks labelled `tunnelbed.role: isp_link`"
        raise BadInput(bed.scenario.name, receiver.name, "none", expected, "name other gateways, or label them")
    with bed.record() as recording:
        # Whether it is answered is no matter: what is never accepted is dropped as no replay.
        ask_server(bed, clients[0], Request(), bed.patience, recording)
        recording.settle()
    found = [seen for seen in recording.on(link.name) if _is_data_from(bed, seen, sender)]
    if not found:
        raise TunnelbedError(f"no ESP from {sender.name} was seen on {link.name}: there is no packet to send again")
    return link, found


def is_dropped(bed: Testbed, gateway: Node, made: Attack, why: str) -> None:
    """The gateway dropped every packet of an attack for that reason (a value of `Drop`). Raises `Unmet`."""
    daemon, reason = bed.node(gateway).daemon, Drop(why)
    made.journal.until(lambda: daemon.dropped(reason, made.since) >= made.sent)
    counted = daemon.dropped(reason, made.since)
    if counted != made.sent:
        expected = f"{gateway.name} drops {made.sent} packets as {why}"
        raise unmet(bed, expected, f"{counted} packets", made.recording, [gateway.name], lambda packet: ESP in packet)


def _is_data_from(bed: Testbed, seen: Sighting, sender: Node) -> bool:
    """Whether it is ESP of a tunnel, by itself (not in UDP), and its sender is that."""
    found = ends(seen.packet)
    return bool(bed.tunnel_data(seen.packet) and ESP in seen.packet and found and found[0] in sender.addresses)
