"""Security associations: proposals, identities and traffic selectors, as each gateway lists them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import DeadlinePassed
from tunnelbed.host import waiting
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Feature, Tunnel, Vpn

# What was replaced a daemon keeps for some 5 s, for packets that are under way.
REPLACED_SECONDS = 8.0


def each(bed: Testbed, gateways: Sequence[Node], check: Callable[[Node], object]) -> None:
    """Check several gateways at the same time, so that a deadline is the same for all; raises what the first raised."""
    list(bed.pool.map(check, gateways))


def established(bed: Testbed, gateway: Node, peer: Node | None = None, *, seconds: float = 0.0) -> Tunnel:
    """The gateway's latest tunnel (to `peer`) that carries traffic, waiting up to `seconds` for it. Raises `Unmet`."""
    return carrying(bed, gateway, peer, seconds=seconds)[-1]


def carrying(bed: Testbed, gateway: Node, peer: Node | None = None, *, seconds: float = 0.0) -> Sequence[Tunnel]:
    """All of them, one at least."""
    expected = f"{gateway.name} has a tunnel{_with(peer)}{_within(bed, seconds)}"
    allowance = bed.time.allowance(seconds)

    def found() -> Sequence[Tunnel]:
        return [tunnel for tunnel in _of(bed, gateway, peer) if tunnel.carries]

    try:
        carrying = waiting.until(found, allowance, "a tunnel", every=0.1)
    except DeadlinePassed as late:
        states = ", ".join(f"{tunnel.name} {tunnel.state}" for tunnel in _of(bed, gateway, peer)) or "none"
        raise unmet(bed, expected, states, nodes=[gateway.name]) from late
    if seconds:
        allowance.judged(expected)
    return carrying


def the_only(bed: Testbed, gateway: Node, peer: Node) -> None:
    """The gateway has one tunnel with `peer`, in which each child is there once. Raises `Unmet`."""

    def is_one(found: Sequence[Tunnel]) -> bool:
        names = [child.name for tunnel in found for child in tunnel.children]
        return len(found) == 1 and found[0].carries and len(set(names)) == len(names)

    try:
        waiting.until(lambda: _of(bed, gateway, peer), REPLACED_SECONDS, "one tunnel", every=0.1, good=is_one)
    except DeadlinePassed as late:
        seen = "; ".join(
            f"{tunnel.name} {tunnel.state}: {', '.join(f'{child.name} {child.state}' for child in tunnel.children)}"
            for tunnel in _of(bed, gateway, peer)
        )
        expected = f"{gateway.name} has exactly one tunnel with {peer.name}"
        raise unmet(bed, expected, seen or "none", nodes=[gateway.name]) from late


def no_tunnel(bed: Testbed, gateway: Node, peer: Node | None = None, *, seconds: float = 0.0) -> None:
    """The gateway has no tunnel that carries traffic (to `peer`), though it answers, or none in `seconds`' time.

    Raises `Unmet`.
    """
    expected = f"{gateway.name} has no tunnel{_with(peer)}{_within(bed, seconds)}"
    bed.node(gateway).daemon.awaited()

    def one_that_carries() -> str:
        return next((tunnel.name for tunnel in _of(bed, gateway, peer) if tunnel.carries), "")

    allowance = bed.time.allowance(seconds)
    try:
        waiting.until(one_that_carries, allowance, "no tunnel", every=0.1, good=lambda found: not found)
    except DeadlinePassed as late:
        raise unmet(bed, expected, f"{late.last} is up", nodes=[gateway.name]) from late
    if seconds:
        allowance.judged(expected)


def uses(bed: Testbed, gateway: Node, ike: str, esp: str) -> None:
    """Every tunnel of a gateway that carries traffic, and there is one, has exactly these proposals.

    They are written in the VPN's own keywords, as its files have them. What is half open has agreed on nothing yet, and
    does not count. Raises `Unmet`.
    """
    kind = _kind(bed, gateway)
    wanted_ike, wanted_esp = kind.proposal(ike), kind.proposal(esp)
    for tunnel in carrying(bed, gateway):
        version = tunnel.details.get("version", "")
        if version != "2" or not kind.agrees(tunnel.proposal, wanted_ike):
            seen = f"IKEv{version} {tunnel.proposal}"
            raise unmet(bed, f"{gateway.name} agrees on IKEv2 {wanted_ike}", seen, nodes=[gateway.name])
        for child in (child for child in tunnel.children if child.carries):
            if not kind.agrees(child.proposal, wanted_esp, first_child=True):
                expected = f"{gateway.name} agrees on ESP {wanted_esp}"
                raise unmet(bed, expected, child.proposal or "no cipher", nodes=[gateway.name])


def selects(bed: Testbed, gateway: Node, local: Sequence[str], remote: Sequence[str]) -> None:
    """A child of the gateway has exactly these traffic selectors, and asked for no others. Raises `Unmet`.

    IKE narrows what one end asks for to what the other grants (RFC 7296, 2.9), so the child alone does not tell.
    """
    wanted = (tuple(sorted(local)), tuple(sorted(remote)))
    found = {
        (tuple(sorted(child.local)), tuple(sorted(child.remote)))
        for tunnel in carrying(bed, gateway)
        for child in tunnel.children
        if child.carries
    }
    if wanted not in found:
        seen = "; ".join(f"{' '.join(ours)} === {' '.join(theirs)}" for ours, theirs in sorted(found))
        expected = f"{gateway.name} protects {' '.join(local)} === {' '.join(remote)}"
        raise unmet(bed, expected, seen, nodes=[gateway.name])
    asked = {
        (tuple(sorted(ours)), tuple(sorted(theirs)))
        for connection in bed.node(gateway).daemon.connections()
        for ours, theirs in connection.selectors
    }
    if wanted not in asked:
        seen = "; ".join(f"{' '.join(ours)} === {' '.join(theirs)}" for ours, theirs in sorted(asked))
        expected = f"{gateway.name} asks for {' '.join(local)} === {' '.join(remote)}"
        raise unmet(bed, expected, f"{seen}, of which its peer grants less", nodes=[gateway.name])


def knows_peer_as(bed: Testbed, gateway: Node, identity: str) -> None:
    """One of the gateway's tunnels was authenticated by a peer of this identity. Raises `Unmet`."""
    found = [tunnel.peer_identity for tunnel in carrying(bed, gateway)]
    if identity not in found:
        raise unmet(
            bed, f"{gateway.name} has a peer authenticated as {identity}", ", ".join(found), nodes=[gateway.name]
        )


@contextlib.contextmanager
def forgotten(bed: Testbed, gateway: Node) -> Iterator[None]:
    """A gateway without connections, while the body runs, and at its beginning no gateway with any tunnel.

    Theirs are ended, too: whoever waits for a peer that says nothing tries again, and would begin another.
    """
    daemon = bed.node(gateway).daemon
    daemon.unload()
    for other in bed.gateways():
        tunnels.end(bed, other)
    try:
        yield
    finally:
        daemon.load()


def _with(peer: Node | None) -> str:
    return f" with {peer.name}" if peer else ""


def _within(bed: Testbed, seconds: float) -> str:
    return f" within {bed.time.told(seconds)}" if seconds else ""


def _of(bed: Testbed, gateway: Node, peer: Node | None) -> Sequence[Tunnel]:
    """The gateway's tunnels, with `peer` or with all peers."""
    return bed.node(gateway).tunnels(bed.node(peer) if peer else None)


def _kind(bed: Testbed, gateway: Node) -> Vpn:
    """A gateway's VPN, which has proposals."""
    bed.node(gateway).able(Feature.PROPOSALS)
    kind = bed.node(gateway).vpn
    assert kind is not None  # noqa: S101 # its daemon has been asked
    return kind
