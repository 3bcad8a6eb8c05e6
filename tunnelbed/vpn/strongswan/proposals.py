"""Proposals: the keywords of swanctl.conf, which sentences use, and the names that charon reports."""

from __future__ import annotations

from tunnelbed.errors import BadInput

# strongSwan documentation, "IKEv2 Cipher Suites".
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
KEYWORDS = {name: word for word, name in ALGORITHMS.items()}
EXCHANGES = ("MODP_", "ECP_", "CURVE_", "ML_KEM_")


def reported(words: str) -> str:
    """A proposal in keywords, as charon reports it: `aes256-sha256-ecp256`. Raises `BadInput`."""
    unknown = [word for word in words.split("-") if word not in ALGORITHMS]
    if unknown:
        known = ", ".join(ALGORITHMS)
        raise BadInput("proposal", words, unknown[0], f"one of: {known}", "correct the proposal")
    return "/".join(ALGORITHMS[word] for word in words.split("-"))


def keywords(proposal: str) -> str:
    """A proposal as charon reports it, in keywords; empty where one is unknown."""
    words = [KEYWORDS.get(part, "") for part in proposal.split("/")]
    return "-".join(words) if all(words) else ""


def agrees(found: str, wanted: str, *, first_child: bool = False) -> bool:
    """Whether a reported proposal is the one wanted.

    IKE derives its PRF from the integrity algorithm where none is named. The first child of a tunnel is made without a
    key exchange of its own (RFC 7296, 1.2), so it may lack one.
    """
    parts, asked = found.split("/"), wanted.split("/")
    if parts == asked or [part for part in parts if not part.startswith("PRF_")] == asked:
        return True
    return first_child and agrees(found, "/".join(part for part in asked if not part.startswith(EXCHANGES)))
