"""The kinds of private keys that certificates are made with: `key: ed25519` in a scenario's pki.yaml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_rsa = partial(rsa.generate_private_key, 65537)
KINDS: Mapping[str, Callable[[], PrivateKey]] = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": partial(_rsa, 3072),
    "rsa-2048": partial(_rsa, 2048),
    "rsa-3072": partial(_rsa, 3072),
    "rsa-4096": partial(_rsa, 4096),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
DEFAULT = "ecdsa"


def digest(key: PrivateKey) -> hashes.SHA512 | None:
    """What such a key signs: a SHA-512, or with Ed25519 the text itself (RFC 8032)."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA512()
