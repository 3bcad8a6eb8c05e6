"""Proposals: as a sentence says them, and as charon reports them."""

from __future__ import annotations

import pytest

from tunnelbed.errors import BadInput
from tunnelbed.vpn.strongswan import proposals


@pytest.mark.parametrize(
    ("proposal", "keywords"),
    [
        ("AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384", "aes256gcm16-prfsha384-ecp384"),
        ("AES_CBC-128/HMAC_SHA2_256_128", "aes128-sha256"),
    ],
)
def test_a_proposal_is_said_in_the_keywords_of_swanctl_conf(proposal: str, keywords: str) -> None:
    assert proposals.keywords(proposal) == keywords
    assert proposals.reported(keywords) == proposal


def test_what_nobody_can_say_is_said_by_nobody() -> None:
    assert proposals.keywords("TWOFISH_CBC-256/HMAC_SHA1_96") == ""
    with pytest.raises(BadInput, match="proposal: aes256-rot13: found rot13, expected one of: aes128gcm16"):
        proposals.reported("aes256-rot13")


@pytest.mark.parametrize(
    ("found", "wanted", "first", "agrees"),
    [
        ("AES_GCM_16-256/ECP_384", "AES_GCM_16-256/ECP_384", False, True),
        ("AES_GCM_16-256", "AES_GCM_16-256/ECP_384", True, True),
        ("AES_GCM_16-256", "AES_GCM_16-256/ECP_384", False, False),
        ("AES_GCM_16-128", "AES_GCM_16-256/ECP_384", True, False),
        ("AES_CBC-128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048", "AES_CBC-128/HMAC_SHA1_96/MODP_2048", False, True),
        ("", "AES_GCM_16-256", True, False),
    ],
)
def test_a_first_child_has_no_exchange_of_its_own_and_ike_may_leave_its_prf_out(
    found: str,
    wanted: str,
    first: bool,  # noqa: FBT001 # a table
    agrees: bool,  # noqa: FBT001
) -> None:
    assert proposals.agrees(found, wanted, first_child=first) is agrees
