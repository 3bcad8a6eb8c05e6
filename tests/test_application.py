"""What the application's requests are known by."""

from __future__ import annotations

import secrets

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from tunnelbed.checks.application import LONG, MARK, Request


@pytest.mark.parametrize("at", [0, 1, MARK, 1000, LONG - 2 * MARK])
def test_a_long_text_is_known_by_any_piece_of_it_that_a_packet_carries(at: int) -> None:
    request = Request(token=secrets.token_hex(LONG // 2))
    piece = request.token[at : at + 2 * MARK - 1].encode()
    assert request.shows(IP() / TCP() / Raw(b"GET /" + piece))
    assert not request.shows(IP() / TCP() / Raw(secrets.token_hex(LONG // 2).encode()))
