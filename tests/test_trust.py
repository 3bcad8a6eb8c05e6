"""Refusals: each is recognised in what charon 6.0.1 writes, and in no other."""

from __future__ import annotations

import re

import pytest

from tunnelbed.faults.credentials import REFUSALS
from tunnelbed.vpn.strongswan.control import overlay
from tunnelbed.vpn.strongswan.sas import Connection, connections

SAID = {
    "certificate revoked": "13[CFG] <s|24> certificate was revoked on Nov 23 02:06:45 UTC 2026, reason: unspecified",
    "certificate not known to be good": (
        "13[CFG] <s|27> constraint check failed: RULE_CRL_VALIDATION is FAILED, but requires at least GOOD"
    ),
    "certificate expired": "16[CFG] <s|30> subject certificate invalid (valid from Nov 21 2026 to Nov 23 2026)",
    "certificate of an unknown authority": '13[CFG] <s|36> no issuer certificate found for "C=FI, CN=Site A"',
    "identity unknown": "13[CFG] <39> no matching peer config found",
    "no common proposal": "14[IKE] <45> received proposals unacceptable",
}
LISTED = (
    "list-conn event {cloud {local_addrs=[192.0.2.1] remote_addrs=[192.0.2.2] version=IKEv2 "
    "local-1 {id=C=FI, O=X, CN=Site A class=public key certs=[C=FI, O=X, CN=Site A]} "
    "children {web {mode=TUNNEL local-ts=[10.1.0.0/16]} mail {mode=TUNNEL}}}}\nlist-conns reply {}\n"
)


@pytest.mark.parametrize("why", REFUSALS)
def test_a_refusal_is_known_by_charon_s_words_for_it_alone(why: str) -> None:
    assert [name for name, line in SAID.items() if re.search(REFUSALS[why].said, line)] == [why]


def test_connections_are_read_with_their_addresses_and_children() -> None:
    asked = ((("10.1.0.0/16",), ()), ((), ()))
    whose = ("C=FI, O=X, CN=Site A",)
    assert connections(LISTED) == (Connection("cloud", ("192.0.2.1",), ("192.0.2.2",), ("web", "mail"), whose, asked),)


def test_other_settings_stand_after_a_node_s_own_in_each_connection_and_child() -> None:
    text = overlay(connections(LISTED), "proposals = x", "esp_proposals = y")
    expected = (
        "include /run/tunnelbed/swanctl/swanctl.conf connections { cloud { proposals = x children { "
        "web { esp_proposals = y } mail { esp_proposals = y } } } }"
    )
    assert " ".join(text.split()) == expected
    assert overlay([], "x", "y", "overlay-1.conf").startswith("include overlay-1.conf\n")
