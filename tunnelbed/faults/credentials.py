"""Broken credentials: certificates that must not be accepted, and a gateway that offers too little.

Each is a context manager: the testbed's own certificates come back at its end. A gateway's tunnels end when its trust
changes, since a tunnel that is up asks for no certificate.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from tunnelbed.errors import BadInput
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn import pki
from tunnelbed.vpn.api import Feature
from tunnelbed.vpn.pki import Authority, Leaf

Write = Callable[[Path], None]


@contextlib.contextmanager
def revoked(bed: Testbed, node: Node) -> Iterator[None]:
    """The authority that issued a node's certificate revokes it, and every other gateway has the new CRL."""
    crl = pki.authority_of(_keys(bed), "intermediate").revoke(certificate_of(bed, node))
    others = [other for other in bed.gateways() if other != node]
    writers = {
        _lists(bed, other) / "intermediate.pem": functools.partial(pki.write_public, thing=crl) for other in others
    }
    with _changed(bed, others, writers):
        yield


@contextlib.contextmanager
def without_crls(bed: Testbed, node: Node) -> Iterator[None]:
    """A node has no revocation list at all, so that it cannot check whether a certificate is revoked."""
    with _changed(bed, [node], dict.fromkeys(_listed(bed, node), Path.unlink)):
        yield


@contextlib.contextmanager
def crls_for(bed: Testbed, nodes: Sequence[Node], seconds: float) -> Iterator[None]:
    """The CRLs of all authorities that these nodes have expire after that time, by each node's own clock."""
    writers: dict[Path, Write] = {}
    for node in nodes:
        until = _moment(bed, node, seconds)
        for path in _listed(bed, node):
            crl = pki.authority_of(_keys(bed), path.stem).revoke(until=until)
            writers[path] = functools.partial(pki.write_public, thing=crl)
    with _changed(bed, nodes, writers):
        yield


def expired(bed: Testbed, node: Node) -> contextlib.AbstractContextManager[None]:
    """The node's certificate is of its own authority, and expired an hour ago."""
    authority = pki.authority_of(_keys(bed), "intermediate")
    return _presents(bed, node, authority.leaf(leaf_of(bed, node), until=datetime.now(UTC) - timedelta(hours=1)))


def expiring(bed: Testbed, node: Node, seconds: float) -> contextlib.AbstractContextManager[None]:
    """The node's certificate is of its own authority, and expires after that time, by the node's own clock."""
    authority = pki.authority_of(_keys(bed), "intermediate")
    return _presents(bed, node, authority.leaf(leaf_of(bed, node), until=_moment(bed, node, seconds)))


def of_another_authority(bed: Testbed, node: Node) -> contextlib.AbstractContextManager[None]:
    """The node's certificate has the right subject and issuer, but another key signed it."""
    return _presents(bed, node, false_authority(bed).leaf(leaf_of(bed, node)))


@contextlib.contextmanager
def of_another_node(bed: Testbed, node: Node, other: Node) -> Iterator[None]:
    """The node's certificate is valid, but it and the node have another node's identity."""
    leaf = leaf_of(bed, other)
    pair = pki.authority_of(_keys(bed), "intermediate").leaf(leaf)
    identity = ", ".join(part.rfc4514_string() for part in leaf.subject.rdns)
    claims = bed.node(node).able(Feature.CERTIFICATES).claiming(identity)
    with _presents(bed, node, pair), claims:
        yield


def offers_only(bed: Testbed, node: Node, layer: str, proposal: str) -> contextlib.AbstractContextManager[None]:
    """The node proposes this for IKE or ESP and nothing else, in the keywords of its VPN's files."""
    return bed.node(node).able(Feature.PROPOSALS).offering(layer, proposal)


def false_authority(bed: Testbed) -> Authority:
    """An intermediate authority of the same name as the testbed's, below a root of the same name, with other keys."""
    plan = _plan(bed)
    return Authority.root(plan.root, plan.key).intermediate(plan.intermediate, plan.key)


def leaf_of(bed: Testbed, node: Node) -> Leaf:
    """The content of a node's certificate."""
    found = next((leaf for leaf in _plan(bed).leaves if leaf.node == node.name), None)
    if found is None:
        listed = ", ".join(leaf.node for leaf in _plan(bed).leaves)
        raise BadInput(bed.scenario.name, node.name, "no certificate", f"one of: {listed}", "name another node")
    return found


def certificate_of(bed: Testbed, node: Node) -> x509.Certificate:
    """The certificate a node presents now."""
    leaf_of(bed, node)
    return x509.load_pem_x509_certificate((_keys(bed) / node.name / "x509" / f"{node.name}.pem").read_bytes())


def _presents(bed: Testbed, node: Node, pair: pki.Pair) -> contextlib.AbstractContextManager[None]:
    """The node presents this certificate instead of its own."""
    certificate, key = pair
    tree, file = _keys(bed) / node.name, f"{node.name}.pem"
    writers: Mapping[Path, Write] = {
        tree / "x509" / file: lambda path: pki.write_public(path, certificate),
        tree / "private" / file: lambda path: pki.write_key(path, key),
    }
    return _changed(bed, [node], writers)


@contextlib.contextmanager
def _changed(bed: Testbed, nodes: Sequence[Node], writers: Mapping[Path, Write]) -> Iterator[None]:
    """These files of nodes' credentials are written anew, and have their content and mode again afterwards."""
    kept = {path: (path.read_bytes(), path.stat().st_mode & 0o777) for path in writers}
    try:
        for path, write in writers.items():
            write(path)
        _take_effect(bed, nodes)
        yield
    finally:
        for path, (content, mode) in kept.items():
            path.write_bytes(content)
            path.chmod(mode)
        _take_effect(bed, nodes)


def _take_effect(bed: Testbed, nodes: Sequence[Node]) -> None:
    for gateway in bed.gateways():
        bed.node(gateway).daemon.forget_peers()
    for node in nodes:
        bed.node(node).daemon.load_credentials()
    for gateway in tunnels.who_starts_last(bed, bed.gateways()):
        tunnels.load_anew(bed, gateway)


def _moment(bed: Testbed, node: Node, seconds: float) -> datetime:
    """So long from now, by the clock of a node's daemon."""
    ahead = bed.node(node).able(Feature.CLOCK).ahead()
    return datetime.now(UTC) + timedelta(seconds=ahead + seconds)


def _listed(bed: Testbed, node: Node) -> Sequence[Path]:
    """The files of a gateway's CRLs, each named after its authority."""
    bed.node(node).able(Feature.CERTIFICATES)
    folder = _lists(bed, node)
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    if not found:
        raise BadInput(bed.scenario.name, node.name, "no revocation list", "a node with one", "name another gateway")
    return found


def _lists(bed: Testbed, node: Node) -> Path:
    return _keys(bed) / node.name / "x509crl"


def _plan(bed: Testbed) -> pki.Plan:
    path = bed.scenario.configs / "pki.yaml"
    if not path.exists():
        raise BadInput(bed.scenario.name, "pki.yaml", "none", "a scenario with certificates", "remove the sentence")
    return pki.read(path, bed.scenario.nodes)


def _keys(bed: Testbed) -> Path:
    return bed.state / "pki"
