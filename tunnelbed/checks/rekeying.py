"""Rekeying while traffic goes on: new SPIs are in use, and nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from tunnelbed.checks import application, security_associations
from tunnelbed.checks.address_selection import address_towards
from tunnelbed.checks.unmet import Unmet, unmet
from tunnelbed.errors import CommandFailed, DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Network, Node
from tunnelbed.vpn.api import Feature, Tunnel, Vpn

# Traffic while keys change: packets, and seconds between two, stretched. An exchange takes 50 ms on a busy machine.
PACKETS, INTERVAL = 100, 0.02
# A request is answered in some 10 ms. TCP would repeat one whose first packet was lost after 1 s (RFC 6298, 2.1).
REQUEST_SECONDS = 0.9
EXCHANGE_SECONDS = 5.0


@dataclass(frozen=True)
class Traffic:
    """What goes on while keys change: `pings` or `requests`, by whom, and how to make it.

    What makes it returns how many were sent, and how many of them answered.
    """

    name: str
    source: Node
    make: Callable[[], tuple[int, int]]


@dataclass(frozen=True)
class Rekeying:
    """One change of keys: the tunnel before and after it, what was seen meanwhile, and how much traffic was lost."""

    before: Tunnel
    after: Tunnel
    recording: Recording
    traffic: str
    sent: int
    lost: int
    vpn: Vpn


def pings(bed: Testbed, source: Node, target: Node) -> Traffic:
    """A node pings another one."""
    address = address_towards(bed, source, target)
    interval, wait = waiting.stretched(INTERVAL), waiting.stretched(1)
    words = ("ping", "-q", "-c", str(PACKETS), "-i", f"{interval:g}", "-W", f"{wait:g}", str(address))
    return Traffic("pings", source, lambda: counted(bed.node(source).run(words).stdout))


def requests(bed: Testbed, source: Node) -> Traffic:
    """A node's client asks the application's server: one request after another, each with a connection of its own."""
    interval = f"{waiting.stretched(INTERVAL):g}"
    options = ("--count", str(PACKETS), "--interval", interval, "--timeout", str(REQUEST_SECONDS))
    return Traffic("requests", source, lambda: answered(application.ask(bed, source, options).stdout))


def rekey(bed: Testbed, gateway: Node, layer: str, traffic: Traffic) -> Rekeying:
    """Make a gateway change the IKE or ESP keys of the tunnel that carries the traffic."""
    node = bed.node(gateway)
    daemon, kind = node.able(Feature.REKEY), node.vpn
    assert kind is not None  # noqa: S101 # it has a daemon
    security_associations.carrying(bed, gateway)
    with bed.record() as recording:
        going_on = bed.pool.submit(traffic.make)
        try:
            before, known = _in_use(bed, gateway, recording)
        except DeadlinePassed as late:
            going_on.result()
            seen = f"{traffic.source.name} sends {traffic.name}, and no tunnel data is seen"
            raise TunnelbedError(f"{seen}: a key change during traffic cannot be shown") from late
        daemon.rekey(before, layer)
        after = _renewed(bed, gateway, before, known, layer)
        if going_on.done():
            raise TunnelbedError(f"the {traffic.name} ended before the keys changed, so nothing is shown")
        sent, received = going_on.result()
        recording.settle()
    return Rekeying(before, after, recording, traffic.name, sent, sent - received, kind)


def counted(said: str) -> tuple[int, int]:
    """How many packets ping sent and got back, by its summary."""
    match = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    if not match:
        raise CommandFailed(["ping"], None, said)
    return int(match[1]), int(match[2])


def answered(said: str) -> tuple[int, int]:
    """How many requests were to be sent, and how many were answered: a line of JSON each."""
    return PACKETS, sum("pong" in json.loads(line) for line in said.splitlines())


def nothing_lost(bed: Testbed, made: Rekeying) -> None:
    """All that was sent was answered. Raises `Unmet`."""
    if made.lost:
        expected = f"all {made.sent} {made.traffic} are answered while keys change"
        raise unmet(bed, expected, f"{made.lost} of {made.sent} lost", made.recording)


def new_spis_cross(bed: Testbed, made: Rekeying, network: Network) -> None:
    """ESP crossed a network with the new SPIs, in both directions. Raises `Unmet`."""
    new, old = made.after.numbers, made.before.numbers
    if kept := new & old:
        seen = f"the old SPIs are still in use: {_listed(kept)}"
        raise unmet(bed, f"ESP with new SPIs crosses {network.name}", seen, made.recording)
    crossed = {found for seen in made.recording.on(network.name) if (found := bed.data_number(seen.packet)) is not None}
    if not new <= crossed:
        raise unmet(bed, f"ESP with SPIs {_listed(new)} crosses {network.name}", _listed(crossed), made.recording)


def keeps_secrecy(made: Rekeying, group: str) -> None:
    """The new ESP keys come from a key exchange of their own, in that group (RFC 7296, 1.3.1). Raises `Unmet`."""
    wanted = made.vpn.proposal(group)
    for child in made.after.children:
        if not child.proposal.endswith(f"/{wanted}"):
            raise Unmet(f"the new ESP keys come from {wanted}", child.proposal)


def _in_use(bed: Testbed, gateway: Node, recording: Recording) -> tuple[Tunnel, frozenset[str]]:
    """The gateway's tunnel that carries what is recorded, and the ids of all that it has.

    They are listed anew at each look: a change of keys that was under way may end meanwhile. Raises `DeadlinePassed`.
    """
    crossed: set[int | None] = set()
    looked = 0

    def look() -> tuple[Tunnel, frozenset[str]] | None:
        nonlocal looked
        heard = recording.heard[looked:]
        looked += len(heard)
        crossed.update(bed.data_number(seen.packet) for seen in heard)
        tunnels = [tunnel for tunnel in bed.node(gateway).tunnels() if tunnel.carries]
        found = next((tunnel for tunnel in tunnels if tunnel.numbers & crossed), None)
        return (_current(found), frozenset(tunnel.id for tunnel in tunnels)) if found else None

    found = waiting.until(look, EXCHANGE_SECONDS, "data of a tunnel")
    assert found is not None  # noqa: S101 # `until` returns what is true
    return found


def _current(tunnel: Tunnel) -> Tunnel:
    """The tunnel with the children that it sends with now; replaced ones stay some seconds, for packets in flight."""
    return replace(tunnel, children=tuple(child for child in tunnel.children if child.carries and not child.replaced))


def _renewed(bed: Testbed, gateway: Node, before: Tunnel, known: Collection[str], layer: str) -> Tunnel:
    """The tunnel once its keys are new; new IKE keys make another IKE_SA of it, beside those `known` by number.

    There may be two between the same gateways for a while, where both began one at the same moment.
    """

    def look() -> Tunnel | None:
        for tunnel in bed.node(gateway).tunnels():
            found = _current(tunnel)
            if layer == "IKE":
                new = found.name == before.name and found.id not in known
            else:
                new = found.id == before.id and not found.numbers & before.numbers
            # While a child is being replaced, none has new keys yet.
            if found.carries and found.children and new:
                return found
        return None

    try:
        found = waiting.until(look, EXCHANGE_SECONDS, "new keys")
    except DeadlinePassed as late:
        raise unmet(bed, f"{gateway.name} has new {layer} keys", "the old keys", nodes=[gateway.name]) from late
    assert found is not None  # noqa: S101 # `until` returns what is true
    return found


def _listed(spis: Collection[int]) -> str:
    return ", ".join(f"{number:08x}" for number in sorted(spis)) or "none"
