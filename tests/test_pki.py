"""Certificates: what the chain, its extensions and its revocation lists say, and who may read the keys."""

from __future__ import annotations

import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.conftest import Checkout
from tunnelbed.errors import BadInput
from tunnelbed.vpn import pki
from tunnelbed.vpn.pki import Pki

GOOD = """\
root: C=FI, O=Example, CN=Root CA
intermediate: C=FI, O=Example, CN=Intermediate CA
leaves:
  gateway: {subject: "C=FI, O=Example, CN=Gateway A", address: 192.0.2.1, usage: client}
  server: {subject: "C=FI, O=A\\\\, B, CN=S", address: "2001:db8::2", usage: server}
"""
NODES = ("gateway", "client", "server")


@pytest.fixture
def plan(checkout: Checkout) -> pki.Plan:
    checkout.configure("pki.yaml", GOOD)
    return pki.read(checkout.root / "configs/tiny/pki.yaml", NODES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    path = tmp_path_factory.mktemp("pki") / "pki.yaml"
    path.write_text(GOOD)
    return Pki.make(pki.read(path, NODES))


def every_certificate(made: Pki) -> list[x509.Certificate]:
    return [made.root.certificate, made.intermediate.certificate, *(pair[0] for pair in made.issued.values())]


def test_a_plan_keeps_each_name_as_written(plan: pki.Plan) -> None:
    gateway, server = plan.leaves
    assert [part.value for part in gateway.subject] == ["FI", "Example", "Gateway A"]
    assert (gateway.node, gateway.addresses, gateway.usage) == ("gateway", (IPv4Address("192.0.2.1"),), "client")
    assert server.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "A, B"


@pytest.mark.parametrize(
    ("old", "new", "key", "found"),
    [
        ("root: C=FI, O=Example, CN=Root CA", "", "root", "nothing"),
        ("root: C=FI", "root: C=Finland", "root", "'C=Finland, O=Example, CN=Root CA'"),
        ("root: C=FI, O=Example, CN=Root CA", "root: [a]", "root", "['a']"),
        ("CN=Intermediate CA", "Intermediate CA", "intermediate", "'C=FI, O=Example, Intermediate CA'"),
        ("192.0.2.1", "192.0.2.256", "leaves.gateway.address", "'192.0.2.256'"),
        ("address: 192.0.2.1, ", "", "leaves.gateway.address", "nothing"),
        ("usage: client", "usage: both", "leaves.gateway.usage", "'both'"),
        ("usage: client", "usage: [client]", "leaves.gateway.usage", "['client']"),
        ("  gateway:", "  gatewax:", "leaves.gatewax", "a certificate for gatewax"),
        ("  gateway:", "  ../../x:", "leaves.../../x", "a certificate for ../../x"),
        ("usage: client", "usage: client, dns: x.example", "leaves.gateway.dns", "an unknown key"),
        ("usage: client", "usage: client, key: dsa", "leaves.gateway.key", "'dsa'"),
        ("usage: client", "usage: client, name: a b", "leaves.gateway.name", "'a b'"),
        ("usage: client", "usage: client, name: '*.*.example'", "leaves.gateway.name", "'*.*.example'"),
        ("address: 192.0.2.1", "address: [192.0.2.1, x]", "leaves.gateway.address", "'x'"),
        ("root:", "lifetime: 3\nroot:", "lifetime", "an unknown key"),
        ("leaves:\n", "leaves: [\n", "", "line"),
        ("leaves:", "leaves: none\nx-old:", "leaves", "'none'"),
        (GOOD, "", "", "nothing"),
        ("intermediate:", "root:", "", "the key root is there twice (line 2)"),
    ],
)
def test_a_plan_that_cannot_be_used_is_answered_with_its_key(
    checkout: Checkout, old: str, new: str, key: str, found: str
) -> None:
    assert old in GOOD
    checkout.configure("pki.yaml", GOOD.replace(old, new))
    with pytest.raises(BadInput) as wrong:
        pki.read(checkout.root / "configs/tiny/pki.yaml", NODES)
    assert (wrong.value.where, wrong.value.key) == ("configs/tiny/pki.yaml", key)
    assert found in str(wrong.value.found)


def test_a_plan_that_cannot_be_read_says_why(checkout: Checkout) -> None:
    checkout.configure("pki.yaml/x", "")
    with pytest.raises(BadInput, match=r"^configs/tiny/pki.yaml: found Is a directory, expected a file that can be"):
        pki.read(checkout.root / "configs/tiny/pki.yaml", NODES)


@pytest.mark.parametrize("node", ["gateway", "server"])
def test_the_chain_of_a_leaf_verifies_up_to_the_root_and_no_further(made: Pki, node: str) -> None:
    leaf = made.issued[node][0]
    leaf.verify_directly_issued_by(made.intermediate.certificate)
    made.intermediate.certificate.verify_directly_issued_by(made.root.certificate)
    made.root.certificate.verify_directly_issued_by(made.root.certificate)
    with pytest.raises((InvalidSignature, ValueError)):
        leaf.verify_directly_issued_by(made.root.certificate)


def test_a_verifier_of_the_web_s_rules_believes_the_server_by_its_address(made: Pki) -> None:
    address = x509.IPAddress(ip_address("2001:db8::2"))
    store = Store([made.root.certificate])
    verifier = PolicyBuilder().store(store).build_server_verifier(address)
    chain = verifier.verify(made.issued["server"][0], [made.intermediate.certificate])
    assert chain == [made.issued["server"][0], made.intermediate.certificate, made.root.certificate]
    with pytest.raises(VerificationError):
        verifier.verify(made.issued["gateway"][0], [made.intermediate.certificate])


def test_a_chain_from_another_testbed_is_not_believed(made: Pki, plan: pki.Plan) -> None:
    other = Pki.make(plan)
    with pytest.raises((InvalidSignature, ValueError)):
        other.issued["gateway"][0].verify_directly_issued_by(made.intermediate.certificate)


def test_everything_is_p_384_with_sha_512(made: Pki) -> None:
    for certificate in every_certificate(made):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp384r1"
        assert isinstance(certificate.signature_hash_algorithm, hashes.SHA512)
    assert isinstance(made.root.revoke().signature_hash_algorithm, hashes.SHA512)


def test_no_key_and_no_serial_number_is_used_twice(made: Pki) -> None:
    certificates = every_certificate(made)
    assert len({certificate.serial_number for certificate in certificates}) == len(certificates)
    keys = [certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier) for certificate in certificates]
    assert len({key.value.digest for key in keys}) == len(certificates)


def test_the_intermediate_may_issue_leaves_and_a_leaf_nothing(made: Pki) -> None:
    def limits(certificate: x509.Certificate) -> tuple[bool, bool, int | None]:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        return found.critical, found.value.ca, found.value.path_length

    assert limits(made.root.certificate) == (True, True, 1)
    assert limits(made.intermediate.certificate) == (True, True, 0)
    assert limits(made.issued["gateway"][0]) == (True, False, None)


def test_authorities_sign_certificates_and_leaves_sign_messages(made: Pki) -> None:
    for certificate in every_certificate(made):
        use = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        is_authority = certificate in (made.root.certificate, made.intermediate.certificate)
        assert use.critical
        assert (use.value.key_cert_sign, use.value.crl_sign) == (is_authority, is_authority)
        assert use.value.digital_signature is not is_authority


def test_a_leaf_says_which_end_it_is(made: Pki) -> None:
    def usages(node: str) -> list[x509.ObjectIdentifier]:
        return list(made.issued[node][0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    assert usages("gateway") == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert usages("server") == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_leaf_s_address_is_its_only_alternative_name(made: Pki) -> None:
    names = made.issued["gateway"][0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.IPAddress(ip_address("192.0.2.1"))]


def test_each_certificate_names_its_issuer_s_key(made: Pki) -> None:
    chain = [made.issued["gateway"][0], made.intermediate.certificate, made.root.certificate]
    for child, parent in zip(chain, [*chain[1:], chain[-1]], strict=True):
        issuer = child.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert issuer == parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert child.issuer == parent.subject


def test_a_fresh_certificate_is_valid_for_clocks_that_are_slightly_off(made: Pki) -> None:
    now = datetime.now(UTC)
    for certificate in every_certificate(made):
        assert certificate.not_valid_before_utc <= now - timedelta(minutes=50)
        assert certificate.not_valid_after_utc >= now + timedelta(days=29)


def test_an_expired_leaf_differs_from_a_good_one_in_its_time_only(made: Pki) -> None:
    leaf = made.plan.leaves[0]
    expired, _ = made.intermediate.leaf(leaf, until=datetime.now(UTC) - timedelta(hours=1))
    good = made.issued["gateway"][0]
    assert expired.not_valid_after_utc < datetime.now(UTC)
    assert expired.not_valid_before_utc < expired.not_valid_after_utc
    expired.verify_directly_issued_by(made.intermediate.certificate)
    assert expired.subject == good.subject
    assert [found.oid for found in expired.extensions] == [found.oid for found in good.extensions]


def test_what_expires_at_a_moment_is_good_until_then(made: Pki) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    leaf, _ = made.intermediate.leaf(made.plan.leaves[0], until=soon)
    listed = made.intermediate.revoke(until=soon)
    assert (leaf.not_valid_after_utc, listed.next_update_utc) == (soon, soon)
    assert leaf.not_valid_before_utc < datetime.now(UTC)
    assert listed.last_update_utc < datetime.now(UTC)


def test_a_revocation_list_names_what_is_revoked_and_nothing_else(made: Pki) -> None:
    gateway, server = made.issued["gateway"][0], made.issued["server"][0]
    listed = made.intermediate.revoke(gateway)
    assert listed.get_revoked_certificate_by_serial_number(gateway.serial_number)
    assert listed.get_revoked_certificate_by_serial_number(server.serial_number) is None
    assert len(made.intermediate.revoke()) == 0


def test_a_revocation_list_is_its_authority_s_and_in_time(made: Pki) -> None:
    listed = made.intermediate.revoke()
    key = made.intermediate.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert listed.is_signature_valid(key)
    assert listed.issuer == made.intermediate.certificate.subject
    assert listed.last_update_utc < datetime.now(UTC)
    assert listed.next_update_utc is not None
    assert listed.next_update_utc > datetime.now(UTC) + timedelta(days=1)


def test_a_later_revocation_list_has_a_greater_number(made: Pki) -> None:
    def number() -> int:
        return made.root.revoke().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    first = number()
    assert number() > first


def test_each_node_gets_its_own_key_and_no_other(made: Pki, tmp_path: Path) -> None:
    made.write(tmp_path)
    for node in ("gateway", "server"):
        tree = tmp_path / node
        assert [path.name for path in (tree / "private").iterdir()] == [f"{node}.pem"]
        key = serialization.load_pem_private_key((tree / "private" / f"{node}.pem").read_bytes(), None)
        leaf = x509.load_pem_x509_certificate((tree / "x509" / f"{node}.pem").read_bytes())
        assert key.public_key() == leaf.public_key()
        assert {path.name for path in (tree / "x509ca").iterdir()} == {"root.pem", "intermediate.pem"}
        assert {path.name for path in (tree / "x509crl").iterdir()} == {"root.pem", "intermediate.pem"}


def test_an_authority_is_read_back_and_issues_as_before(made: Pki, tmp_path: Path) -> None:
    made.write(tmp_path)
    again = pki.authority_of(tmp_path, "intermediate")
    leaf, _ = again.leaf(made.plan.leaves[0])
    leaf.verify_directly_issued_by(made.intermediate.certificate)


def test_writing_twice_leaves_the_same_files(made: Pki, tmp_path: Path) -> None:
    made.write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    made.write(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_key_is_readable_by_others_once_written(made: Pki, tmp_path: Path) -> None:
    made.write(tmp_path)
    keys = [path for path in tmp_path.rglob("*.pem") if b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in keys} == {0o700}


def test_no_key_is_readable_by_others_even_for_a_moment(made: Pki, tmp_path: Path) -> None:
    """With no umask, a key made with more rights than it ends with has to be narrowed: no file's mode changes."""
    narrowed: list[object] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "os.chmod" and not (isinstance(arguments[0], str) and Path(arguments[0]).is_dir()):
            narrowed.append(arguments[0])

    watching = True
    sys.addaudithook(watch)
    earlier = os.umask(0)
    try:
        made.write(tmp_path)
        (tmp_path / "public.pem").touch()
        (tmp_path / "public.pem").chmod(0o600)
    finally:
        watching = False
        os.umask(earlier)
    assert narrowed == [str(tmp_path / "public.pem")]
    keys = [path for path in tmp_path.rglob("*.pem") if b"PRIVATE KEY" in path.read_bytes()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_a_file_that_others_could_read_is_not_written_into(made: Pki, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.touch(mode=0o644)
    with path.open() as open_by_another:
        pki.write_key(path, made.root.key)
        assert open_by_another.read() == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


SEVERAL = """\
key: KIND
root: O=Example, CN=Root CA
intermediate: O=Example, CN=Intermediate CA
leaves:
  gateway:
    subject: O=Example, CN=Gateway
    address: [192.0.2.1, "2001:db8::1"]
    name: [vpn.example.org, "*.example.net", ops@example.org]
    usage: server
  client: {subject: "O=Example, CN=Client", name: client.example.org, usage: client, key: ecdsa-256}
"""


@pytest.mark.parametrize("kind", ["rsa-2048", "ed25519", "ecdsa-521"])
def test_certificates_have_several_names_and_keys_of_the_kind_that_is_asked_for(tmp_path: Path, kind: str) -> None:
    (tmp_path / "pki.yaml").write_text(SEVERAL.replace("KIND", kind))
    made = Pki.make(pki.read(tmp_path / "pki.yaml", NODES))
    (tmp_path / "keys").mkdir()
    made.write(tmp_path / "keys")
    gateway, client = (made.issued[node][0] for node in ("gateway", "client"))
    for certificate in (gateway, client):
        certificate.verify_directly_issued_by(made.intermediate.certificate)
    made.intermediate.certificate.verify_directly_issued_by(made.root.certificate)
    also = gateway.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert also.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.1"), ip_address("2001:db8::1")]
    assert also.get_values_for_type(x509.DNSName) == ["vpn.example.org", "*.example.net"]
    assert also.get_values_for_type(x509.RFC822Name) == ["ops@example.org"]
    assert type(gateway.public_key()) is type(made.root.certificate.public_key())
    assert isinstance(client.public_key(), ec.EllipticCurvePublicKey)
    again = pki.authority_of(tmp_path / "keys", "intermediate")
    assert again.revoke(gateway).get_revoked_certificate_by_serial_number(gateway.serial_number) is not None


def test_a_revocation_list_lasts_as_long_as_every_certificate(made: Pki) -> None:
    for authority in (made.root, made.intermediate):
        until = authority.revoke().next_update_utc
        assert until is not None
        assert all(until >= certificate.not_valid_after_utc for certificate in every_certificate(made))
