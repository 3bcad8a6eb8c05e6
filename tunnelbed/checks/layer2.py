"""Layer 2: which nodes share a segment, and their MACs."""

from __future__ import annotations

import secrets

from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tunnelbed.checks.reachability import ON_ITS_WAY
from tunnelbed.checks.unmet import Unmet, unmet
from tunnelbed.errors import BadInput
from tunnelbed.observe.recording import Sighting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Network, Node

BROADCAST = "ff:ff:ff:ff:ff:ff"
LLDP_GROUP, LLDP_TYPE = "01:80:c2:00:00:0e", 0x88CC  # IEEE 802.1AB
EXPERIMENT = 0x88B6  # IEEE 802's second ethertype for local experiments; the first marks recordings


def frame_reaches_exactly(bed: Testbed, sender: Node, network: Network, destination: str, ethertype: int) -> None:
    """A broadcast or multicast frame arrives at every other node of the network, and nowhere else. Raises `Unmet`.

    Only where all of them saw it is a settled recording asked for, and can be had, that nobody else did: what settles
    one is itself a frame to many.
    """
    others = {node.name for node in bed.scenario.on(network.name)} - {sender.name}
    if not others:
        found, expected = f"only {sender.name}", "two nodes or more"
        raise BadInput(str(bed.scenario.stack), f"networks.{network.name}", found, expected, "name another network")
    token = secrets.token_bytes(16)
    frame = Ether(src=bed.node(sender).mac(network.name), dst=destination, type=ethertype) / Raw(token)
    subscribe = ["ip", "maddress", "{}", destination, "dev", network.interface]
    many = destination != BROADCAST
    try:
        for name in others if many else ():
            bed.node(name).run([word.format("add") for word in subscribe], check=True)
        with bed.record() as recording:
            bed.node(sender).send_frame(network.name, bytes(frame))
            missed = set(others)

            def all_saw_it(seen: Sighting) -> bool:
                if not seen.outgoing and token in seen.frame.data:
                    missed.discard(seen.node)
                return not missed

            if recording.until(all_saw_it, ON_ITS_WAY):
                recording.settle()
            else:
                recording.sync()
    finally:
        for name in others if many else ():
            bed.node(name).run([word.format("delete") for word in subscribe])
    saw = {seen.node for seen in recording.sightings if not seen.outgoing and token in seen.frame.data}
    if saw != others:
        expected = f"a frame of {sender.name} on {network.name} is seen by {', '.join(sorted(others))} alone"
        raise unmet(bed, expected, f"by {', '.join(sorted(saw)) or 'no node'}", recording)


def macs_differ(bed: Testbed) -> None:
    """Each interface of the testbed has a MAC of its own. Raises `Unmet`."""
    owners: dict[str, str] = {}
    for node in bed.scenario.nodes.values():
        for at in node.attachments:
            mac, place = bed.node(node).mac(at.network), f"{node.name} on {at.network}"
            if mac in owners:
                raise Unmet("every interface has a MAC of its own", f"{mac} is that of {owners[mac]} and of {place}")
            owners[mac] = place
