"""Rekeying while traffic goes on: new SPIs are in use, and nothing is lost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from tunnelbed.checks import security_associations
from tunnelbed.checks.traffic import Answered, Traffic
from tunnelbed.checks.unmet import Unmet, unmet
from tunnelbed.errors import DeadlinePassed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Network, Node
from tunnelbed.vpn.api import Feature, Tunnel, Vpn

EXCHANGE_SECONDS = 5.0


@dataclass(frozen=True)
class Rekeying:
    """One change of keys: the tunnel before and after it, what was seen meanwhile, and what became of the traffic."""

    before: Tunnel
    after: Tunnel
    recording: Recording
    answered: Answered
    vpn: Vpn


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
        after = renewed(bed, gateway, before, known, layer)
        if going_on.done():
            raise TunnelbedError(f"the {traffic.name} ended before the keys changed, so nothing is shown")
        sent, received = going_on.result()
        recording.settle()
    answered = Answered(traffic.name, sent, sent - received, "while keys change", recording)
    return Rekeying(before, after, recording, answered, kind)


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
        return (current(found), frozenset(tunnel.id for tunnel in tunnels)) if found else None

    found = waiting.until(look, EXCHANGE_SECONDS, "data of a tunnel")
    assert found is not None  # noqa: S101 # `until` returns what is true
    return found


def current(tunnel: Tunnel) -> Tunnel:
    """The tunnel with the children that it sends with now; replaced ones stay some seconds, for packets in flight."""
    return replace(tunnel, children=tuple(child for child in tunnel.children if child.carries and not child.replaced))


def renewed(bed: Testbed, gateway: Node, before: Tunnel, known: Collection[str], layer: str) -> Tunnel:
    """The tunnel once its keys are new; new IKE keys make another IKE_SA of it, beside those `known` by number.

    There may be two between the same gateways for a while, where both began one at the same moment.
    """

    def look() -> Tunnel | None:
        for tunnel in bed.node(gateway).tunnels():
            found = current(tunnel)
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
