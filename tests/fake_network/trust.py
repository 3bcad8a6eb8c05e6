"""Certificates among fake charons: what one shows, and why another does not believe it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fake_network.settings import Connection

# Certificates and CRLs: `x509ca/root.pem` and what it holds.
Files = Mapping[str, str]


def shown(files: Files | None, conf: Connection) -> Mapping[str, str]:
    """The certificate that a connection presents, if it has one and there are keys."""
    if files is None or not conf.certificate:
        return {}
    return {"certificate": files[f"x509/{conf.certificate}"]}


def doubts(files: Files | None, conf: Connection, said: Mapping[str, Any], now: datetime) -> str:
    """Why a peer is not believed at some moment, in charon's words; nothing, if it is."""
    if files is None or not conf.certificate:
        return ""
    certificate = x509.load_pem_x509_certificate(said.get("certificate", "").encode())
    authorities = [x509.load_pem_x509_certificate(pem) for pem in _within(files, "x509ca/")]
    issuer = next((one for one in authorities if _signed(certificate, one)), None)
    if issuer is None:
        return f"no issuer certificate found for {certificate.subject.rfc4514_string()}"
    if certificate.not_valid_after_utc < now:
        return f"subject certificate invalid (valid from {certificate.not_valid_before_utc})"
    lists = [x509.load_pem_x509_crl(pem) for pem in _within(files, "x509crl/")]
    crl = next((one for one in lists if one.issuer == certificate.issuer), None)
    if crl is None and conf.strict:
        return "constraint check failed: RULE_CRL_VALIDATION is FAILED, but requires at least GOOD"
    if crl is not None and crl.next_update_utc is not None and crl.next_update_utc < now and conf.strict:
        return "constraint check failed: RULE_CRL_VALIDATION is STALE, but requires at least GOOD"
    if crl is not None and crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
        return "certificate was revoked on Jan 01 00:00:00 UTC 2026, reason: unspecified"
    return ""


def _within(files: Files, folder: str) -> list[bytes]:
    return [text.encode() for path, text in sorted(files.items()) if path.startswith(folder)]


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    key, algorithm = authority.public_key(), certificate.signature_hash_algorithm
    if not isinstance(key, ec.EllipticCurvePublicKey) or algorithm is None:
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True
