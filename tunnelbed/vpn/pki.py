"""Certificates made afresh for each testbed: root, intermediate, leaves, and a CRL from each authority.

ECDSA P-384 with SHA-512, unless pki.yaml asks for another kind of key (`key: rsa`). Written where swanctl looks:
`private/`, `x509/`, `x509ca/`, `x509crl/` (swanctl.conf(5)), one such tree per node, keys with mode 0600. An
`Authority` stays usable while the testbed is up, so that a test can issue a certificate that must not be believed.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from tunnelbed.errors import BadInput
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.model import Address
from tunnelbed.topology.yaml_sections import Section, shown
from tunnelbed.vpn.private_keys import DEFAULT, KINDS, PrivateKey, digest

USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
Pair = tuple[x509.Certificate, PrivateKey]
# A DNS name (RFC 1123, 2.1), of which the first label may be a wildcard (RFC 6125, 6.4.3); or a user's, with @.
DNS = re.compile(
    r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE
)
FOLDERS = ("private", "x509", "x509ca", "x509crl")


@dataclass(frozen=True)
class Leaf:
    """The content of a node's certificate: its DN, its subjectAltNames, and its extended key usage; and its key's kind.

    `names` are DNS names, or a user's with an @.
    """

    node: str
    subject: x509.Name
    addresses: tuple[Address, ...]
    usage: str
    names: tuple[str, ...] = ()
    key: str = DEFAULT


@dataclass(frozen=True)
class Plan:
    """A testbed's certificates, as `pki.yaml` asks for them."""

    root: x509.Name
    intermediate: x509.Name
    leaves: tuple[Leaf, ...]
    # The kind of the authorities' keys.
    key: str = DEFAULT


def read(path: Path, nodes: Container[str]) -> Plan:
    """Read a scenario's `pki.yaml`; `BadInput` names the key that cannot be used, such as a leaf for no node of it."""
    said = yaml_sections.read(path, "YAML: a mapping with root, intermediate and leaves")
    said.refuse_others("root", "intermediate", "leaves", "key")
    kind = _kind(said, DEFAULT)
    return Plan(
        _name(said, "root"),
        _name(said, "intermediate"),
        tuple(_leaf(node, leaf, nodes, kind) for node, leaf in said.section("leaves").sections()),
        kind,
    )


def _leaf(node: str, said: Section, nodes: Container[str], kind: str) -> Leaf:
    if node not in nodes:
        raise said.bad("", f"a certificate for {node}", "a node of the scenario", "correct the name or add the service")
    said.refuse_others("subject", "address", "name", "usage", "key")
    names = [str(name) for name in _several(said, "name")]
    for name in names:
        user, _, host = name.rpartition("@")
        if not DNS.fullmatch(host) or (user and not user.isascii()):
            raise said.bad("name", repr(name), "a DNS name such as vpn.example.org or *.example.org", "correct it")
    if "address" in said.said or not names:
        addresses = tuple(_address(said, one) for one in _several(said, "address") or [None])
    else:
        addresses = ()
    usage = said.said.get("usage")
    if not isinstance(usage, str) or usage not in USAGES:
        raise said.bad("usage", shown(usage), " or ".join(USAGES), "choose one of them")
    return Leaf(node, _name(said, "subject"), addresses, usage, tuple(names), _kind(said, kind))


def _several(said: Section, word: str) -> Sequence[object]:
    """One value or a list of them."""
    value = said.said.get(word)
    return said.items(word) if isinstance(value, list) else [] if value is None else [value]


def _address(said: Section, value: object) -> Address:
    try:
        return ipaddress.ip_address(str(value))
    except ValueError as wrong:
        raise said.bad("address", shown(value), "an IP address, or a list", "correct it, or write a `name`") from wrong


def _kind(said: Section, otherwise: str) -> str:
    """The kind of a key, given or inherited."""
    kind = said.said.get("key", otherwise)
    if not isinstance(kind, str) or kind not in KINDS:
        raise said.bad("key", shown(kind), f"one of: {', '.join(KINDS)}", "choose one of them")
    return kind


def _name(said: Section, word: str) -> x509.Name:
    """A DN written as a person does, most significant part first: `C=FI, O=..., CN=...`."""
    text = said.said.get(word)
    parts = [part.strip() for part in re.split(r"(?<!\\),", text)] if isinstance(text, str) else []
    try:
        # RFC 4514 writes the most significant part last.
        name = x509.Name.from_rfc4514_string(",".join(reversed(parts)))
    except ValueError as wrong:
        raise said.bad(word, shown(text), "a DN such as C=FI, O=Example, CN=name", "correct it") from wrong
    if not list(name):
        raise said.bad(word, shown(text), "a DN such as C=FI, O=Example, CN=name", "write one")
    return name


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate and the key that signs."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def root(cls, name: x509.Name, kind: str = DEFAULT) -> Authority:
        """A self-signed authority that may have one authority below it, with a key of that kind."""
        key = KINDS[kind]()
        builder = _builder(name, name, key, key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        return cls(_sign(builder.add_extension(_AUTHORITY_USE, critical=True), key), key)

    def intermediate(self, name: x509.Name, kind: str = DEFAULT) -> Authority:
        """An authority below this one that may issue leaves only (pathlen 0)."""
        key = KINDS[kind]()
        builder = _builder(name, self.certificate.subject, key, self.key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return Authority(_sign(builder.add_extension(_AUTHORITY_USE, critical=True), self.key), key)

    def leaf(self, leaf: Leaf, *, until: datetime | None = None) -> Pair:
        """A node's certificate and key; it expires at that moment, and by default when no testbed is left to use it."""
        key = KINDS[leaf.key]()
        also = [*map(x509.IPAddress, leaf.addresses), *map(_general, leaf.names)]
        builder = _builder(leaf.subject, self.certificate.subject, key, self.key, until=until)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(also), critical=False)
        builder = builder.add_extension(_LEAF_USE, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([USAGES[leaf.usage]]), critical=False)
        return _sign(builder, self.key), key

    def revoke(self, *certificates: x509.Certificate, until: datetime | None = None) -> x509.CertificateRevocationList:
        """This authority's CRL, naming these certificates (or none).

        Its `nextUpdate` is that moment; by default it is valid as long as any certificate here.
        """
        now = _now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _HOUR)
            .next_update(until or now + _LIFE + _DAY)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            # A later CRL must have a greater number to replace an earlier one (RFC 5280, 5.2.3).
            .add_extension(x509.CRLNumber(time.time_ns()), critical=False)
        )
        for certificate in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, digest(self.key))


@dataclass(frozen=True)
class Pki:
    """All of a testbed's certificates, by node."""

    plan: Plan
    root: Authority
    intermediate: Authority
    issued: Mapping[str, Pair]

    @classmethod
    def make(cls, plan: Plan) -> Pki:
        """Make every key and certificate of a plan anew."""
        root = Authority.root(plan.root, plan.key)
        intermediate = root.intermediate(plan.intermediate, plan.key)
        return cls(plan, root, intermediate, {leaf.node: intermediate.leaf(leaf) for leaf in plan.leaves})

    def write(self, folder: Path) -> None:
        """Write a tree for each node of the plan below `folder`, and the signing keys below `folder/authorities`."""
        crls = {"root": self.root.revoke(), "intermediate": self.intermediate.revoke()}
        for node, (certificate, key) in self.issued.items():
            tree = folder / node
            make_tree(tree)
            write_key(tree / "private" / f"{node}.pem", key)
            write_public(tree / "x509" / f"{node}.pem", certificate)
            for name, authority in (("root", self.root), ("intermediate", self.intermediate)):
                write_public(tree / "x509ca" / f"{name}.pem", authority.certificate)
                write_public(tree / "x509crl" / f"{name}.pem", crls[name])
        for name, authority in (("root", self.root), ("intermediate", self.intermediate)):
            home = folder / "authorities"
            home.mkdir(mode=0o700, exist_ok=True)
            write_key(home / f"{name}.key.pem", authority.key)
            write_public(home / f"{name}.pem", authority.certificate)


def authority_of(folder: Path, name: str) -> Authority:
    """Read an authority (`root` or `intermediate`) that `Pki.write` left below `folder`."""
    home = folder / "authorities"
    key = serialization.load_pem_private_key((home / f"{name}.key.pem").read_bytes(), None)
    if not isinstance(key, PrivateKey):
        raise BadInput(
            str(home),
            name,
            type(key).__name__,
            f"one of: {', '.join(KINDS)}",
            "take the testbed down, then bring it up again",
        )
    return Authority(x509.load_pem_x509_certificate((home / f"{name}.pem").read_bytes()), key)


def make_tree(tree: Path) -> None:
    """The folders swanctl reads; only the owner may look into `private`."""
    for name in FOLDERS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "private").chmod(0o700)


def write_key(path: Path, key: PrivateKey) -> None:
    """A private key as PEM, never readable by others, not even for a moment."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # A new file: one that stands there may have another mode, or be open elsewhere.
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def write_public(path: Path, thing: x509.Certificate | x509.CertificateRevocationList) -> None:
    """A certificate or a CRL as PEM."""
    path.write_bytes(thing.public_bytes(serialization.Encoding.PEM))


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# No testbed is older.
_LIFE = 30 * _DAY
_AUTHORITY_USE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
_LEAF_USE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _now() -> datetime:
    return datetime.now(UTC)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    issuer_key: PrivateKey,
    *,
    until: datetime | None = None,
) -> x509.CertificateBuilder:
    """The common fields of certificates. Valid from an hour ago, since clocks differ; or for a day, if that is over."""
    began, ends = _now() - _HOUR, until or _now() + _LIFE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began if began < ends else ends - _DAY)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _general(name: str) -> x509.GeneralName:
    """A name as a subjectAltName (RFC 5280, 4.2.1.6)."""
    return x509.RFC822Name(name) if "@" in name else x509.DNSName(name)


def _sign(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    return builder.sign(key, digest(key))
