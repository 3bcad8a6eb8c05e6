"""What two gateways agreed: proposals, identities, traffic selectors, as each of them says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from tunnelbed import waiting
from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import BadInput, DeadlinePassed
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.strongswan import control
from tunnelbed.vpn.strongswan.sas import Tunnel

# Keywords of swanctl.conf (strongSwan documentation, "IKEv2 Cipher Suites") and the names charon reports.
ALGORITHMS = {
    "aes128gcm16": "AES_GCM_16-128",
    "aes192gcm16": "AES_GCM_16-192",
    "aes256gcm16": "AES_GCM_16-256",
    "chacha20poly1305": "CHACHA20_POLY1305",
    "aes128": "AES_CBC-128",
    "aes192": "AES_CBC-192",
    "aes256": "AES_CBC-256",
    "null": "NULL",
    "sha1": "HMAC_SHA1_96",
    "sha256": "HMAC_SHA2_256_128",
    "sha384": "HMAC_SHA2_384_192",
    "sha512": "HMAC_SHA2_512_256",
    "prfsha1": "PRF_HMAC_SHA1",
    "prfsha256": "PRF_HMAC_SHA2_256",
    "prfsha384": "PRF_HMAC_SHA2_384",
    "prfsha512": "PRF_HMAC_SHA2_512",
    "modp2048": "MODP_2048",
    "modp3072": "MODP_3072",
    "modp4096": "MODP_4096",
    "ecp256": "ECP_256",
    "ecp384": "ECP_384",
    "ecp521": "ECP_521",
    "curve25519": "CURVE_25519",
    "curve448": "CURVE_448",
    "mlkem768": "ML_KEM_768",
}
EXCHANGES = ("MODP_", "ECP_", "CURVE_", "ML_KEM_")


def each(bed: Testbed, gateways: Sequence[Node], check: Callable[[Node], object]) -> None:
    """Check several gateways at the same time, so that a deadline is the same for all; raises what the first raised."""
    list(bed.pool.map(check, gateways))


def established(bed: Testbed, gateway: Node, peer: Node | None = None, *, seconds: float = 0.0) -> Tunnel:
    """The gateway's latest tunnel (to `peer`) that carries traffic, waiting up to `seconds` for it. Raises `Unmet`."""
    return carrying(bed, gateway, peer, seconds=seconds)[-1]


def carrying(bed: Testbed, gateway: Node, peer: Node | None = None, *, seconds: float = 0.0) -> Sequence[Tunnel]:
    """All of them, one at least."""
    expected = f"{gateway.name} has a tunnel{_with(peer)}{_within(seconds)}"
    allowance = waiting.Allowance(seconds)

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


def no_tunnel(bed: Testbed, gateway: Node, peer: Node | None = None, *, seconds: float = 0.0) -> None:
    """The gateway has no tunnel that carries traffic (to `peer`), though it answers, or none in `seconds`' time.

    Raises `Unmet`.
    """
    expected = f"{gateway.name} has no tunnel{_with(peer)}{_within(seconds)}"
    control.required(bed, gateway)
    control.awaited(bed, gateway.name)

    def one_that_carries() -> str:
        return next((tunnel.name for tunnel in _of(bed, gateway, peer) if tunnel.carries), "")

    allowance = waiting.Allowance(seconds)
    try:
        waiting.until(one_that_carries, allowance, "no tunnel", every=0.1, good=lambda found: not found)
    except DeadlinePassed as late:
        raise unmet(bed, expected, f"{late.last} is up", nodes=[gateway.name]) from late
    if seconds:
        allowance.judged(expected)


def uses(bed: Testbed, gateway: Node, ike: str, esp: str) -> None:
    """Every tunnel of a gateway, and there is one, has exactly these proposals, written as in swanctl.conf.

    The first child of a tunnel is made without a key exchange of its own (RFC 7296, 1.2), so its ESP proposal is
    compared without one. Raises `Unmet`.
    """
    established(bed, gateway)
    wanted_ike, wanted_esp = proposal(ike), proposal(esp)
    for tunnel in _of(bed, gateway, None):
        if tunnel.version != 2 or not _agrees(tunnel.proposal, wanted_ike):
            seen = f"IKEv{tunnel.version} {tunnel.proposal}"
            raise unmet(bed, f"{gateway.name} agrees on IKEv2 {wanted_ike}", seen, nodes=[gateway.name])
        for child in tunnel.children:
            if not _agrees(child.proposal, wanted_esp) and not _agrees(child.proposal, _without_exchange(wanted_esp)):
                expected = f"{gateway.name} agrees on ESP {wanted_esp}"
                raise unmet(bed, expected, child.proposal or "no cipher", nodes=[gateway.name])


def selects(bed: Testbed, gateway: Node, local: Sequence[str], remote: Sequence[str]) -> None:
    """A child of the gateway has exactly these traffic selectors, and asked for no others. Raises `Unmet`.

    IKE narrows what one end asks for to what the other grants (RFC 7296, 2.9), so the child alone does not tell.
    """
    established(bed, gateway)
    wanted = (tuple(sorted(local)), tuple(sorted(remote)))
    found = {
        (tuple(sorted(child.local)), tuple(sorted(child.remote)))
        for tunnel in _of(bed, gateway, None)
        for child in tunnel.children
    }
    if wanted not in found:
        seen = "; ".join(f"{' '.join(ours)} === {' '.join(theirs)}" for ours, theirs in sorted(found))
        expected = f"{gateway.name} protects {' '.join(local)} === {' '.join(remote)}"
        raise unmet(bed, expected, seen, nodes=[gateway.name])
    asked = {
        (tuple(sorted(ours)), tuple(sorted(theirs)))
        for connection in control.connections(bed, gateway.name)
        for ours, theirs in connection.selectors
    }
    if wanted not in asked:
        seen = "; ".join(f"{' '.join(ours)} === {' '.join(theirs)}" for ours, theirs in sorted(asked))
        expected = f"{gateway.name} asks for {' '.join(local)} === {' '.join(remote)}"
        raise unmet(bed, expected, f"{seen}, of which its peer grants less", nodes=[gateway.name])


def knows_peer_as(bed: Testbed, gateway: Node, identity: str) -> None:
    """One of the gateway's tunnels was authenticated by a peer of this identity. Raises `Unmet`."""
    established(bed, gateway)
    found = [tunnel.remote_id for tunnel in _of(bed, gateway, None)]
    if identity not in found:
        raise unmet(
            bed, f"{gateway.name} has a peer authenticated as {identity}", ", ".join(found), nodes=[gateway.name]
        )


@contextlib.contextmanager
def forgotten(bed: Testbed, gateway: Node) -> Iterator[None]:
    """A gateway without connections, while the body runs, and at its beginning no gateway with any tunnel.

    Theirs are ended, too: whoever waits for a peer that says nothing tries again, and would begin another.
    """
    control.required(bed, gateway)
    control.tell(bed, gateway.name, "--load-conns", "--file", "/dev/null")
    for other in bed.gateways():
        control.end_tunnels(bed, other.name)
    try:
        yield
    finally:
        control.tell(bed, gateway.name, "--load-conns")


def proposal(said: str) -> str:
    """A proposal in the keywords of swanctl.conf, as charon reports it: `aes256-sha256-ecp256`."""
    unknown = [word for word in said.split("-") if word not in ALGORITHMS]
    if unknown:
        known = ", ".join(ALGORITHMS)
        raise BadInput("proposal", said, unknown[0], f"one of: {known}", "correct the proposal")
    return "/".join(ALGORITHMS[word] for word in said.split("-"))


def _with(peer: Node | None) -> str:
    return f" with {peer.name}" if peer else ""


def _within(seconds: float) -> str:
    return f" within {waiting.told(seconds)}" if seconds else ""


def _agrees(found: str, wanted: str) -> bool:
    """Whether a proposal is the one wanted; IKE derives its PRF from the integrity algorithm where none is named."""
    parts, asked = found.split("/"), wanted.split("/")
    return parts == asked or [part for part in parts if not part.startswith("PRF_")] == asked


def _without_exchange(name: str) -> str:
    return "/".join(part for part in name.split("/") if not part.startswith(EXCHANGES))


def _of(bed: Testbed, gateway: Node, peer: Node | None) -> Sequence[Tunnel]:
    """The gateway's tunnels, with `peer` or with anybody."""
    control.required(bed, gateway)
    return bed.tunnels(gateway.name, peer)
