"""Both ends of a tunnel change its keys at the same moment (RFC 7296, 2.8.1 and 2.8.2), while traffic goes on.

Neither may know of the other's request when it asks. So IKE between them is held back until both have asked, while
data passes; both repeat their requests afterwards.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from tunnelbed.checks import rekeying
from tunnelbed.checks.traffic import Answered, Traffic, kept_up
from tunnelbed.errors import BadInput, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Feature, Tunnel

# Until both have asked; a daemon goes on asking for some 7 s.
ASKED_SECONDS = 3.0
# What a gateway says to its peer's daemon and hears from it. Data in UDP comes by the same port, without four zeros
# before it (RFC 3948, 2.2).
HELD = """
table inet {table} {{
    chain out {{
        type filter hook output priority -300
        udp sport {own} {ike} drop
    }}
    chain in {{
        type filter hook input priority -300
        udp dport {own} {ike} drop
    }}
}}
"""
IKE_PORT, MARKED = 500, "@th,64,32 0"


def rekeyed_at_once(bed: Testbed, gateway: Node, peer: Node, layer: str, traffic: Traffic) -> Answered:
    """Two gateways change the IKE or ESP keys of the tunnel between them at the same moment, under traffic.

    Raises `Unmet` unless both have new keys afterwards.
    """
    ends = [
        (end, _between(bed, end, other), [tunnel.id for tunnel in bed.node(end).tunnels()])
        for end, other in ((gateway, peer), (peer, gateway))
    ]
    with kept_up(bed, traffic, "while both ends change keys") as found:
        with _held_back(bed, *ends[0][:2]):
            for end, tunnel, _ in ends:
                bed.node(end).able(Feature.REKEY).rekey(tunnel, layer)
            for end, tunnel, _ in ends:
                _has_asked(bed, end, tunnel, layer)
        for end, tunnel, known in ends:
            rekeying.renewed(bed, end, tunnel, known, layer)
    return found[0]


def _has_asked(bed: Testbed, gateway: Node, before: Tunnel, layer: str) -> None:
    """Wait until a gateway has sent its request: what it is to replace is in another state then."""

    def found() -> bool:
        now = next((tunnel for tunnel in bed.node(gateway).tunnels() if tunnel.id == before.id), before)
        return now.state != before.state if layer == "IKE" else any(child.replaced for child in now.children)

    try:
        waiting.until(found, ASKED_SECONDS, "a request for new keys")
    except DeadlinePassed as late:
        raise TunnelbedError(f"{gateway.name} does not ask for new {layer} keys, so nothing collides") from late


def _between(bed: Testbed, gateway: Node, peer: Node) -> Tunnel:
    """The only tunnel of a gateway with a peer."""
    found = [rekeying.current(tunnel) for tunnel in tunnels.between(bed, gateway, peer) if tunnel.carries]
    if len(found) != 1 or len(found[0].children) != 1:
        seen = f"{len(found)} tunnels" if len(found) != 1 else f"{len(found[0].children)} children"
        expected = f"one tunnel with {peer.name}, of one child"
        raise BadInput("When", gateway.name, seen, expected, "let a client ask the server first")
    return found[0]


@contextlib.contextmanager
def _held_back(bed: Testbed, gateway: Node, tunnel: Tunnel) -> Iterator[None]:
    """No message of IKE leaves a gateway by a tunnel's port, nor comes to it."""
    table = f"fault_{secrets.token_hex(4)}"
    ike = "" if tunnel.own_port == IKE_PORT else MARKED
    rules = HELD.format(table=table, own=tunnel.own_port, ike=ike)
    node = bed.node(gateway)
    node.run(["sh", "-c", 'echo "$1" | nft -f -', "sh", rules], check=True)
    try:
        yield
    finally:
        node.run(["nft", "delete", "table", "inet", table], check=True)
