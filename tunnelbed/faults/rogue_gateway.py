"""A rogue gateway between the sites: a node that poses as a gateway, with a certificate of its own making.

It knows all that is public: the gateway's configuration, the authorities' certificates and names. It has no key that
anybody trusts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization

from tunnelbed.errors import BadInput
from tunnelbed.faults import credentials
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node
from tunnelbed.vpn.api import Feature


@contextlib.contextmanager
def posing(bed: Testbed, node: Node, gateway: Node, address: Address | None = None) -> Iterator[None]:
    """The node runs the gateway's VPN in the gateway's name, from the gateway's address or another.

    With the gateway's own address, all that passes the node on its way to the gateway ends at the rogue one.
    """
    if bed.node(node).vpn:
        expected = "a node that runs no VPN of its own"
        raise BadInput(bed.scenario.name, node.name, "a gateway", expected, "let another node be the rogue gateway")
    original = bed.node(gateway).able(Feature.IMPOSTOR)
    spoken = {said for found in original.connections() for said in found.local}
    face = address or next(own for own in gateway.addresses if str(own) in spoken)
    taken = [] if face in node.addresses else [f"{face}/{face.max_prefixlen}", "dev", "lo"]
    with contextlib.ExitStack() as made:
        if taken:
            # Whatever of it was not yet there is no failure.
            made.callback(bed.node(node).run, ["ip", "address", "delete", *taken])
            bed.node(node).run(["ip", "address", "replace", *taken], check=True)
        rogue = made.enter_context(original.impostor(bed.node(node), face, _files(bed, gateway)))
        made.enter_context(bed.daemons.standing_in(node, rogue))
        for other in bed.gateways() if taken else ():
            if other != gateway:
                tunnels.load_anew(bed, other)
        yield


def _files(bed: Testbed, gateway: Node) -> dict[str, str]:
    """The gateway's public certificates, and a leaf certificate and key that no node trusts, by path."""
    own = bed.state / "pki" / gateway.name
    certificate, key = credentials.false_authority(bed).leaf(credentials.leaf_of(bed, gateway))
    return {
        f"x509/{gateway.name}.pem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        f"private/{gateway.name}.pem": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        **{
            f"{folder}/{path.name}": path.read_text(encoding="utf-8")
            for folder in ("x509ca", "x509crl")
            for path in (own / folder).glob("*.pem")
        },
    }
