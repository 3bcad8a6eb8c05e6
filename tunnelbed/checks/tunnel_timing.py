"""Timers of a gateway's tunnels: rekeying, dead peer detection, and setting up again.

A mistake here changes nothing for hours. Nobody waits so long: the daemon lists what it has loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, NodeFailed
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Again, Feature, Timing

# When a tunnel is set up again, as a sentence says it, and which end of it.
AGAIN = {again.value: again for again in Again}
ENDS = {"is dead": "after_dead_peer", "closes it": "after_close"}


def renews_keys(bed: Testbed, gateway: Node, layer: str, seconds: float) -> None:
    """Every tunnel of a gateway is to get new keys of IKE or of ESP after so many seconds. Raises `Unmet`."""
    for one in _loaded(bed, gateway):
        times = {one.name: one.rekeyed} if layer == "IKE" else {child.name: child.rekeyed for child in one.children}
        for name, found in times.items():
            if found != seconds:
                expected = f"{gateway.name} changes its {layer} keys after {seconds:g} s"
                raise unmet(bed, expected, f"{name}: {f'after {found} s' if found else 'never'}")


def asks_for_life(bed: Testbed, gateway: Node, seconds: float) -> None:
    """A peer that was silent for so many seconds is asked for a sign of life (RFC 7296, 2.4). Raises `Unmet`."""
    for one in _loaded(bed, gateway):
        if one.asked != seconds:
            expected = f"{gateway.name} asks a peer that is silent for a sign of life after {seconds:g} s"
            raise unmet(bed, expected, f"{one.name}: {f'after {one.asked} s' if one.asked else 'never'}")


def sets_up_again(bed: Testbed, gateway: Node, when: str, end: str) -> None:
    """What a gateway does with a tunnel whose peer is dead, or ends it: see `AGAIN` and `ENDS`. Raises `Unmet`."""
    for known, said in ((AGAIN, when), (ENDS, end)):
        if said not in known:
            raise BadInput("Then", gateway.name, said, f"one of: {', '.join(known)}", "correct the sentence")
    for one in _loaded(bed, gateway):
        for child in one.children:
            found = getattr(child, ENDS[end])
            if found != AGAIN[when]:
                expected = f"{gateway.name} sets a tunnel up again {when} where its peer {end}"
                raise unmet(bed, expected, f"{child.name}: {found.value}")


def _loaded(bed: Testbed, gateway: Node) -> Iterator[Timing]:
    """What a gateway has loaded, a connection at least, each with a child."""
    daemon = bed.node(gateway).able(Feature.TIMERS)
    daemon.awaited()
    found = daemon.timing()
    if not any(one.children for one in found):
        raise NodeFailed(gateway.name, "has loaded no connection", "see its files and `invoke logs`")
    yield from found
