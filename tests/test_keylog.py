"""Keys from charon's log: what both gateways of a tunnel wrote when they made it, kept in data/."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_charon import as_sent
from tunnelbed.vpn.strongswan import keylog, sas
from tunnelbed.vpn.strongswan.keylog import EspKey, IkeKeys, Keys

DATA = Path(__file__).parent / "data"
A, S = "172.26.26.26", "172.28.28.28"
# AES-GCM as gateways agree on it by themselves: no key of its own for integrity.
GCM = """\
09[ENC] <site-a|3> parsed CREATE_CHILD_SA request 2 [ N(REKEY_SA) SA No KE TSi TSr ]
09[CHD] <site-a|3>   using AES_GCM_16 for encryption
09[CHD] <site-a|3> encryption initiator key => 20 bytes @ 0x7fbcac02d090
09[CHD] <site-a|3>    0: 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F  ................
09[CHD] <site-a|3>   16: 41 42 20 43                                      AB C
09[CHD] <site-a|3> encryption responder key => 20 bytes @ 0x7fbcac02db30
09[CHD] <site-a|3>    0: 10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F  ................
09[CHD] <site-a|3>   16: 44 45 20 46                                      DE F
09[CHD] <site-a|3> adding inbound ESP SA
09[CHD] <site-a|3>   SPI 0x88135675, src 172.26.26.26 dst 172.28.28.28
09[CHD] <site-a|3> registering outbound ESP SA
09[CHD] <site-a|3>   SPI 0x433c3dc3, src 172.28.28.28 dst 172.26.26.26
"""
# One IKE_SA that takes another's place: nothing looks for a NAT then.
REKEYED = """\
01[IKE] <cloud|3> Sk_ei secret => 4 bytes @ 0x7fe278017990
01[IKE] <cloud|3>    0: AC 01 40 F2                                      ..@.
01[IKE] <cloud|3> Sk_er secret => 4 bytes @ 0x7fe2780179b4
01[IKE] <cloud|3>    0: 56 D4 CA 60                                      V..`
"""


def said(name: str) -> Keys:
    """The keys in one of the logs."""
    return keylog.keys((DATA / f"{name}.log").read_text())


def test_who_asked_and_who_answered_tell_the_same_keys() -> None:
    asked, answered = said("keys-a"), said("keys-s")
    assert set(asked.esp) == set(answered.esp)
    assert asked.ike == answered.ike
    assert (len(asked.esp), len(asked.ike)) == (2, 1)
    both = asked + answered
    assert (len(both.esp), len(both.ike)) == (2, 1)


def test_each_direction_has_its_spi_and_its_own_keys() -> None:
    to_a, to_s = said("keys-a").esp
    assert (to_a.spi, to_a.source, to_a.target) == (0x48ADE961, S, A)
    assert (to_s.spi, to_s.source, to_s.target) == (0x531650A4, A, S)
    assert {(key.cipher, key.hash) for key in (to_a, to_s)} == {("AES_CBC", "HMAC_SHA2_256_128")}
    # Gateway A asked, so that what it sends has the initiator's.
    assert to_s.key.hex().startswith("3d98aae7")
    assert to_s.hash_key.hex().startswith("113670e5")
    assert to_a.key.hex().startswith("f96ce013")
    assert {len(key.key) for key in (to_a, to_s)} == {32}


def test_an_ike_sa_has_both_spis_and_the_keys_of_each_side() -> None:
    (ike,) = said("keys-s").ike
    assert (ike.initiator_spi, ike.responder_spi) == ("8f9a8283145262c0", "ebd12c1954400073")
    assert (ike.cipher, ike.hash) == ("AES_CBC_256", "HMAC_SHA2_384_192")
    assert ike.initiator.hex().startswith("5cd43d82")
    assert ike.responder.hex().startswith("779db060")
    assert ike.initiator_hash.hex().startswith("4129bbf9")
    assert [len(key) for key in (ike.initiator, ike.responder_hash)] == [32, 48]


def test_what_a_row_shows_as_text_is_no_part_of_the_key() -> None:
    inbound, outbound = keylog.keys(GCM).esp
    initiator = bytes(range(16)) + b"AB C"
    responder = bytes(range(16, 32)) + b"DE F"
    assert inbound == EspKey(0x88135675, A, S, "AES_GCM_16", initiator)
    assert outbound == EspKey(0x433C3DC3, S, A, "AES_GCM_16", responder)


def test_an_ike_sa_that_took_another_s_place_has_its_spis_from_the_list() -> None:
    assert keylog.keys(REKEYED).ike == ()
    spis = {"initiator-spi": "0102030405060708", "responder-spi": "1112131415161718"}
    proposal = {"encr-alg": "AES_GCM_16", "encr-keysize": "256", "prf-alg": "PRF_HMAC_SHA2_384"}
    raw = [as_sent({"cloud": {"uniqueid": 3, "version": 2, "state": "ESTABLISHED", **spis, **proposal}})]
    (ike,) = keylog.keys(REKEYED, sas.tunnels(raw)).ike
    assert (ike.initiator_spi, ike.responder_spi, ike.cipher, ike.hash) == (
        "0102030405060708",
        "1112131415161718",
        "AES_GCM_16_256",
        "",
    )
    assert (ike.initiator, ike.responder) == (bytes.fromhex("ac0140f2"), bytes.fromhex("56d4ca60"))


def test_keys_that_nobody_told_are_none() -> None:
    assert keylog.keys("") == Keys()
    only_spis = "\n".join(line for line in GCM.splitlines() if " key => " not in line and ": " not in line)
    assert keylog.keys(only_spis) == Keys()


def test_wireshark_is_told_in_its_own_words(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert keylog.write(said("keys-a") + keylog.keys(GCM), folder) == []
    first, _, gcm, _ = (folder / "esp_sa").read_text().splitlines()
    assert first.startswith(f'"IPv4","{S}","{A}","0x48ade961","AES-CBC [RFC3602]","0xf96ce013')
    assert '"HMAC-SHA-256-128 [RFC4868]","0x4b1365c1' in first
    assert gcm == (
        f'"IPv4","{A}","{S}","0x88135675","AES-GCM with 16 octet ICV [RFC4106]",'
        '"0x000102030405060708090a0b0c0d0e0f41422043","NULL",""'
    )
    (row,) = (folder / "ikev2_decryption_table").read_text().splitlines()
    words = row.split(",")
    assert words[:2] == ["8f9a8283145262c0", "ebd12c1954400073"]
    assert words[4] == '"AES-CBC-256 [RFC3602]"'
    assert words[7] == '"HMAC_SHA2_384_192 [RFC4868]"'
    assert [len(words[at]) for at in (2, 3, 5, 6)] == [64, 64, 96, 96]


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keylog.write(said("keys-a"), folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "esp_sa").stat().st_mode & 0o077 == 0


def test_ipv6_is_said_to_be(tmp_path: Path) -> None:
    keylog.write(Keys((EspKey(1, "2001:db8::1", "2001:db8::2", "AES_GCM_16", b"x" * 36),)), tmp_path)
    assert (tmp_path / "esp_sa").read_text().startswith('"IPv6","2001:db8::1","2001:db8::2","0x00000001",')


@pytest.mark.parametrize(
    ("found", "unknown"),
    [
        (Keys((EspKey(1, A, S, "CAMELLIA_CBC", b"x" * 32, "AES_XCBC_96", b"y"),)), ["AES_XCBC_96", "CAMELLIA_CBC"]),
        (Keys((), (IkeKeys("01", "02", "CHACHA20_POLY1305", "", b"x", b"y"),)), ["CHACHA20_POLY1305"]),
    ],
)
def test_a_cipher_that_wireshark_has_no_name_for_is_told_and_left_out(
    tmp_path: Path, found: Keys, unknown: list[str]
) -> None:
    assert keylog.write(found, tmp_path) == unknown
    assert (tmp_path / "esp_sa").read_text() == (tmp_path / "ikev2_decryption_table").read_text() == ""
