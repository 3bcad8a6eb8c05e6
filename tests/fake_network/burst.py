"""`burst` on fake nodes: the first packets to all ports, one for each run of ports that rules treat alike.

No rule tells ports apart that none names, so one packet shows what becomes of all between two that are named. What the
nodes' sets then hold of it, they hold of its whole run.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from tests.fake_network.parts import NotSent
from tests.fake_network.stack import NAT_T, FakeNode

if TYPE_CHECKING:
    from tests.fake_network.network import FakeNetwork

BURST = "/usr/lib/tunnelbed/burst"
LAST = 65535
IKE = 500


def burst(network: FakeNetwork, node: FakeNode, words: Sequence[str]) -> str:
    """What it prints: how many packets the kernel took, and for each errno how many it did not."""
    data = base64.b64decode(words[0])
    refused: Counter[int] = Counter()
    runs = list(_runs(network, int(words[2]), int(words[3])))
    for run in runs:
        packet = _to_port(IP(data) if data[0] >> 4 == 4 else IPv6(data), run.start)
        try:
            node.send(packet)
        except NotSent as wrong:
            refused[wrong.errno or 0] += len(run)
        network.move()
    for other in network.nodes.values():
        for held in other.rules.sets.values():
            held.update(itertools.chain.from_iterable(run for run in runs if run.start in held))
    return json.dumps({"sent": sum(map(len, runs)) - sum(refused.values()), "refused": refused})


def _to_port(packet: Packet, port: int) -> Packet:
    """The packet for a port, which stands in two places of it; checksums are made anew."""
    if TCP in packet:
        packet[TCP].dport, packet[TCP].chksum = port, None
        packet[TCP].seq = packet[TCP].seq & 0xFFFF0000 | port
    else:
        packet[UDP].dport, packet[UDP].chksum = port, None
        packet[UDP].payload = Raw(bytes(packet[UDP].payload)[:4] + port.to_bytes(2, "big"))
    return type(packet)(bytes(packet))


def _runs(network: FakeNetwork, first: int, last: int) -> Iterator[range]:
    """Runs of ports: each that something names by itself, and all between two of those."""
    alone = sorted(port for port in {IKE, NAT_T, *_named(network)} if first <= port <= last)
    begin = first
    for port in (*alone, last + 1):
        if begin < port:
            yield range(begin, port)
        if port <= last:
            yield range(port, port + 1)
        begin = port + 1


def _named(network: FakeNetwork) -> Iterator[int]:
    """Every number in a rule on any node, though it be no port, and every port on which one listens."""
    for node in network.nodes.values():
        for chain in node.rules.chains.values():
            yield from (int(word) for rule in chain.rules for word in re.findall(r"(?<![\w.])\d+", " ".join(rule)))
        yield from node.services
        yield from (port for _, port in node.inboxes)
