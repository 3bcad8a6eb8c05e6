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

from tunnelbed import waiting
from tunnelbed.checks.application import Request, ask_server
from tunnelbed.checks.node_logs import Journal
from tunnelbed.checks.reachability import ON_ITS_WAY
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, DeadlinePassed, TunnelbedError
from tunnelbed.observe.packets import ends, is_esp, spi
from tunnelbed.observe.recording import Recording, Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Network, Node
from tunnelbed.vpn.strongswan import control

# How far a forged sequence number runs ahead: beyond any seen, so that only its authentication is wrong.
AHEAD = 1000


@dataclass(frozen=True)
class Drop:
    """Why a gateway drops ESP: in words, in charon's log (ESP in user space), in /proc/net/xfrm_stat (in the kernel).

    Sources: strongSwan's libipsec (esp_packet.c, ipsec_processor.c); the kernel's xfrm_proc.rst.
    """

    name: str
    said: str
    counter: str


DROPS = {
    drop.name: drop
    for drop in (
        Drop("a replay", r"ESP sequence number verification failed", "XfrmInStateSeqError"),
        Drop("a forgery", r"ESP decryption or ICV verification failed", "XfrmInStateProtoError"),
        Drop("of no tunnel", r"inbound ESP packet does not belong to an installed SA", "XfrmInNoStates"),
    )
}


@dataclass(frozen=True)
class Attack:
    """ESP that was put on a link: how many packets, what was seen meanwhile, and how to tell what became of them."""

    sent: int
    recording: Recording
    journal: Journal
    counters: dict[str, int]


def again(packet: Packet) -> Packet:
    """The packet as it was recorded."""
    return packet


def altered(packet: Packet) -> Packet:
    """A later packet of the same tunnel with random content: made by somebody who knows the SPI but no key."""
    forged = packet.copy()
    forged[ESP].seq += AHEAD
    forged[ESP].data = secrets.token_bytes(len(forged[ESP].data))
    return forged


def of_no_tunnel(packet: Packet) -> Packet:
    """The packet with an SPI nobody agreed on: charon takes its own from 0xc0000000 to 0xcfffffff."""
    forged = packet.copy()
    forged[ESP].spi = 0x10000000 + secrets.randbits(24)
    return forged


def attack(bed: Testbed, sender: Node, receiver: Node, forge: Callable[[Packet], Packet]) -> Attack:
    """Record ESP from one gateway to another on the link next to the receiver, and put it there again, forged."""
    link, recorded = recorded_esp(bed, sender, receiver)
    attacker = next(node.name for node in bed.scenario.on(link.name) if node != receiver)
    frames = [bytes(forge(seen.packet)) for seen in recorded]
    journal, counters = Journal(bed), kernel_counters(bed, receiver)
    # What belongs to no tunnel, ESP in user space says only when asked to say more.
    with control.louder(bed, receiver.name, "esp"), bed.record() as recording:
        for frame in frames:
            bed.node(attacker).send_frame(link.name, frame)
        wanted = set(frames)

        def enters(seen: Sighting) -> bool:
            wanted.discard(seen.frame.data if seen.node == receiver.name and not seen.outgoing else b"")
            return not wanted

        entered = recording.until(enters, ON_ITS_WAY)
        recording.settle()
    if not entered:
        raise TunnelbedError(f"an attack on {receiver.name} cannot be judged: {len(wanted)} packets did not enter it")
    return Attack(len(frames), recording, journal, counters)


def recorded_esp(bed: Testbed, sender: Node, receiver: Node) -> tuple[Network, Sequence[Sighting]]:
    """The ESP from one gateway to another while a client asks the server, on the link next to the receiver."""
    links = [bed.scenario.networks[at.network] for at in receiver.attachments]
    link = next((net for net in links if net.role == "isp_link"), None)
    clients = [*bed.scenario.having("client", sender.site), *bed.scenario.having("client", receiver.site)]
    if link is None or not clients:
        expected = "gateways of a site with clients, on networks labelled `tunnelbed.role: isp_link`"
        raise BadInput(bed.scenario.name, receiver.name, "none", expected, "name other gateways, or label them")
    with bed.record() as recording:
        ask_server(bed, clients[0], Request(), bed.patience, recording)
        recording.settle()
    found = [seen for seen in recording.on(link.name) if is_esp(seen.packet) and _is_from(seen.packet, sender)]
    if not found:
        raise TunnelbedError(f"no ESP from {sender.name} was seen on {link.name}: nothing to send again")
    return link, found


def is_dropped(bed: Testbed, gateway: Node, made: Attack, why: str) -> None:
    """The gateway says that it dropped every packet of an attack for that reason (a key of `DROPS`). Raises `Unmet`."""
    drop = DROPS[why]
    if _in_kernel(bed, gateway):
        counted = _counted(bed, gateway, drop, made)
    else:
        counted = made.journal.count(gateway.name, drop.said, made.sent)
    if counted != made.sent:
        expected = f"{gateway.name} drops {made.sent} packets as {why}"
        raise unmet(bed, expected, f"{counted} of them", made.recording, [gateway.name], is_esp)


def kernel_counters(bed: Testbed, gateway: Node) -> dict[str, int]:
    """What the kernel has counted of IPsec's errors, by name; empty where it does not count."""
    said = bed.node(gateway).run(["cat", "/proc/net/xfrm_stat"]).stdout
    return read_counters(said)


def read_counters(text: str) -> dict[str, int]:
    """/proc/net/xfrm_stat: a name and a number a line."""
    return {words[0]: int(words[1]) for line in text.splitlines() if len(words := line.split()) == 2}


def _counted(bed: Testbed, gateway: Node, drop: Drop, made: Attack) -> int:
    def more() -> int:
        return kernel_counters(bed, gateway).get(drop.counter, 0) - made.counters.get(drop.counter, 0)

    try:
        return waiting.until(more, ON_ITS_WAY, "a counter to rise", good=lambda count: count >= made.sent)
    except DeadlinePassed:
        return more()


def _in_kernel(bed: Testbed, gateway: Node) -> bool:
    return bed.node(gateway).run(["cat", "/run/tunnelbed/data-plane"]).stdout.strip() == "kernel"


def _is_from(packet: Packet, sender: Node) -> bool:
    found = ends(packet)
    return found is not None and found[0] in sender.addresses and spi(packet) is not None
