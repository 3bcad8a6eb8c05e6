"""Forged ESP: what an attacker changes in a recorded packet and what stays."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.conftest import MAC
from tests.fake_network.beds import brought_up
from tests.fake_network.pairs import Pair
from tunnelbed.errors import BadInput
from tunnelbed.faults import esp_attacks


@pytest.fixture
def recorded() -> Packet:
    sent = Ether(dst=MAC) / IP(src="192.0.2.1", dst="192.0.2.2", proto=50)
    return Ether(bytes(sent / ESP(spi=0xC0FFEE01, seq=7, data=b"sealed" * 12)))


def test_a_replay_is_the_packet_to_the_last_byte(recorded: Packet) -> None:
    assert bytes(esp_attacks.again(recorded)) == bytes(recorded)


def test_a_forgery_is_a_later_packet_of_the_same_tunnel_with_other_content(recorded: Packet) -> None:
    made = Ether(bytes(esp_attacks.altered(recorded)))
    assert (made[IP].src, made[IP].dst, made[ESP].spi) == ("192.0.2.1", "192.0.2.2", 0xC0FFEE01)
    assert made[ESP].seq > recorded[ESP].seq
    assert len(made) == len(recorded)
    assert made[ESP].data != recorded[ESP].data


def test_a_packet_of_no_tunnel_differs_in_nothing_but_its_spi(recorded: Packet) -> None:
    made = Ether(bytes(esp_attacks.of_no_tunnel(recorded)))
    assert made[ESP].spi != recorded[ESP].spi
    made[ESP].spi = recorded[ESP].spi
    assert bytes(made) == bytes(recorded)


def test_what_was_recorded_is_never_changed(recorded: Packet) -> None:
    before = bytes(recorded)
    esp_attacks.altered(recorded)
    esp_attacks.of_no_tunnel(recorded)
    assert bytes(recorded) == before


def test_gateways_of_sites_without_clients_send_no_esp_that_could_be_recorded(pair: Pair) -> None:
    with brought_up(pair.load(), pair.root) as (bed, _):
        ends = bed.scenario.node("gateway-a"), bed.scenario.node("gateway-b")
        with pytest.raises(BadInput, match="expected gateways of a site with clients, on networks labelled"):
            esp_attacks.recorded_esp(bed, *ends)
