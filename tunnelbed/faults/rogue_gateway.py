"""A stranger between the sites: a node that speaks IKE with a certificate of its own making, in a gateway's name.

It knows all that is public: the gateway's configuration, the authorities' certificates and names. It has no key that
anybody trusts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from cryptography.hazmat.primitives import serialization

from tunnelbed import waiting
from tunnelbed.errors import BadInput
from tunnelbed.faults import credentials
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Address, Node
from tunnelbed.vpn.strongswan import control

HOME = "/run/tunnelbed/stranger"
# A node of no VPN may not listen on port 500 (CAP_NET_BIND_SERVICE), but translate addresses (CAP_NET_ADMIN).
PORT = 1500
# Seconds charon has to listen, and an attempt to be refused.
START_SECONDS = 5.0
# ESP is left to the kernel, and no ESP is agreed on (`NO_ESP`), since the kernel may have none: what the stranger is
# after, its peer's belief, comes first.
SETTINGS = f"""\
include /usr/lib/tunnelbed/strongswan-kernel.conf
charon {{
    retransmit_tries = 1
    port = {PORT}
    start-scripts {{
        load = swanctl --load-all --noprompt --file {HOME}/stranger.conf
    }}
}}
"""
# charon says what it does into the node's log, as it does at a gateway.
NO_ESP = "start_action = none\nesp_proposals = aes128-sha256"
# Packet by packet, and untracked: for connections, the kernel remembers those of the gateway whose place is taken.
TRANSLATION = f"""\
table inet tunnelbed_stranger {{
    chain towards {{
        type filter hook prerouting priority raw;
        fib daddr type local udp dport 500 udp dport set {PORT} notrack
    }}
    chain away {{
        type filter hook output priority raw;
        udp sport {PORT} udp sport set 500 notrack
    }}
}}
"""
START = f"STRONGSWAN_CONF={HOME}/strongswan.conf /usr/lib/ipsec/charon >{HOME}/log 2>&1 &"
STOP = f"""
[ ! -f /run/charon.pid ] || kill "$(cat /run/charon.pid)"
tries=100
while [ -f /run/charon.pid ] && [ $((tries -= 1)) -gt 0 ]; do sleep 0.05; done
[ ! -f /run/charon.pid ] || {{ kill -KILL "$(cat /run/charon.pid)"; rm -f /run/charon.pid; }}
nft delete table inet tunnelbed_stranger
rm -rf {HOME}
"""


@contextlib.contextmanager
def posing(bed: Testbed, node: Node, gateway: Node, address: Address | None = None) -> Iterator[None]:
    """The node speaks IKE as a gateway does, in its name, from its address or another.

    With the gateway's own address, all that passes the node on its way to the gateway ends at the stranger.
    """
    if bed.is_vpn(node.name):
        expected = "a node that runs no strongSwan of its own"
        raise BadInput(bed.scenario.name, node.name, "a gateway", expected, "let another node be the stranger")
    control.required(bed, gateway)
    spoken = {said for found in control.connections(bed, gateway.name) for said in found.local}
    face = address or next(own for own in gateway.addresses if str(own) in spoken)
    taken = [] if face in node.addresses else [f"{face}/{face.max_prefixlen}", "dev", "lo"]
    try:
        _settle_in(bed, node, gateway, face)
        if taken:
            _run(bed, node, ["ip", "address", "replace", *taken])
        _run(bed, node, ["nft", "-f", f"{HOME}/nftables.conf"])
        _run(bed, node, ["sh", "-c", START])
        waiting.until(lambda: control.listens(bed, node.name), START_SECONDS, f"the stranger on {node.name} to listen")
        for other in bed.gateways() if taken else ():
            if other != gateway:
                control.renew(bed, other.name)
        yield
    finally:
        # Whatever of it was not yet there is no failure.
        bed.node(node).run(["sh", "-c", STOP])
        if taken:
            bed.node(node).run(["ip", "address", "delete", *taken])


def _settle_in(bed: Testbed, node: Node, gateway: Node, face: Address) -> None:
    """Write the stranger's files: the gateway's connections, public certificates, and a leaf and key of its own."""
    own = bed.scenario.configs / gateway.name / "swanctl.conf"
    pki = bed.state / "pki"
    certificate, key = credentials.false_authority(bed).leaf(credentials.leaf_of(bed, gateway))
    found = control.connections(bed, gateway.name)
    files = {
        "strongswan.conf": SETTINGS,
        "nftables.conf": TRANSLATION,
        "swanctl.conf": own.read_text(encoding="utf-8"),
        "stranger.conf": control.overlay(found, f"local_addrs = {face}", NO_ESP, f"{HOME}/swanctl.conf"),
        f"x509/{gateway.name}.pem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        f"private/{gateway.name}.pem": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        **{
            f"{folder}/{path.name}": path.read_text(encoding="utf-8")
            for folder in ("x509ca", "x509crl")
            for path in (pki / gateway.name / folder).glob("*.pem")
        },
    }
    _run(bed, node, ["mkdir", "-p", *(f"{HOME}/{folder}" for folder in ("x509", "private", "x509ca", "x509crl"))])
    for name, content in files.items():
        bed.node(node).write(f"{HOME}/{name}", content)


def _run(bed: Testbed, node: Node, command: Sequence[str]) -> None:
    bed.node(node).run(command, check=True)
