"""What is a packet of strongSwan's: ESP by the SPIs that daemons list, IKE by its header, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.conftest import MAC
from tunnelbed.observe.kinds import STRAY, kind, kinds
from tunnelbed.vpn.api import Carried, Kind, Listed
from tunnelbed.vpn.strongswan import wire

SPI = 0xC0FFEE01
LISTED = Listed({SPI}, {4500})
KEEPALIVE = Carried(Kind.KEEPALIVE, "IKE", routine=True)


def header(exchange: int = 34, version: int = 0x20, length: int = 40) -> bytes:
    """IKE's header (RFC 7296, 3.1) and twelve octets."""
    return b"\x01" * 16 + bytes([46, version, exchange, 8]) + b"\0" * 4 + length.to_bytes(4, "big") + b"\0" * 12


def udp(payload: bytes, sport: int = 4500, dport: int = 4500) -> Packet:
    """As it comes off the wire."""
    return IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=sport, dport=dport) / Raw(payload)))


def esp(spi: int, payload: bytes = b"x" * 40) -> bytes:
    return spi.to_bytes(4, "big") + b"\0\0\0\1" + payload


def classify(packet: Packet) -> Carried | None:
    return wire.classify(packet, LISTED)


@pytest.mark.parametrize(
    "packet",
    [
        IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / Raw(esp(SPI)))),
        IPv6(bytes(IPv6(src="2001:db8::1", dst="2001:db8::2", nh=50) / Raw(esp(SPI)))),
        Ether(bytes(Ether(dst=MAC) / IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / Raw(esp(SPI)))),
        udp(esp(SPI)),
        udp(esp(SPI), sport=61234),
    ],
    ids=["IPv4", "IPv6", "Ethernet", "UDP", "UDP behind a NAT"],
)
def test_esp_of_a_listed_spi_is_data_of_that_tunnel(packet: Packet) -> None:
    found = classify(packet)
    assert found == Carried(Kind.DATA, "ESP", SPI, unit="SPI")
    assert str(found) == "ESP SPI c0ffee01"
    assert kind(packet, classify) == "ESP"


def test_esp_that_nobody_lists_is_no_tunnel_s() -> None:
    packet = IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / Raw(esp(0xBAD))))
    assert classify(packet) is None
    assert kind(packet, classify) == STRAY
    assert "ESP" in kinds(packet, classify)


def test_clear_text_on_ike_s_ports_is_neither_esp_nor_ike() -> None:
    for port in (500, 4500):
        packet = udp(b"GET / HTTP/1.1 and so on, in clear", dport=port)
        assert classify(packet) is None
        assert kind(packet, classify) == f"UDP port {port}"


def test_esp_in_udp_that_nobody_lists_is_no_tunnel_s() -> None:
    assert classify(udp(esp(0xC0FFEE02))) is None


def test_a_later_fragment_has_no_spi() -> None:
    packet = IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=50, frag=100) / Raw(esp(SPI))))
    assert classify(packet) is None


@pytest.mark.parametrize(("exchange", "routine"), [(34, False), (35, False), (36, False), (37, True), (43, False)])
@pytest.mark.parametrize("port", [500, 4500])
def test_ike_is_known_on_both_its_ports_with_its_exchange(exchange: int, routine: bool, port: int) -> None:  # noqa: FBT001 # a table
    marker = wire.NO_ESP_MARKER if port == 4500 else b""
    expected = Carried(Kind.HANDSHAKE, "IKE", routine=routine)
    assert classify(udp(marker + header(exchange), port, port)) == expected


@pytest.mark.parametrize(
    "payload",
    [
        header(exchange=99),
        header(version=0x50),
        header(length=41),
        header(length=28),
        b"\0" * 8 + header()[8:],
        header()[:27],
        b"",
    ],
    ids=["exchange", "version", "too long", "too short", "no SPI", "cut", "empty"],
)
def test_what_does_not_parse_as_ike_is_none(payload: bytes) -> None:
    assert classify(udp(payload, 500, 500)) is None
    assert classify(udp(wire.NO_ESP_MARKER + payload)) is None


def test_ike_of_version_1_is_ike() -> None:
    assert classify(udp(header(exchange=2, version=0x10), 500, 500)) == Carried(Kind.HANDSHAKE, "IKE")
    assert classify(udp(header(exchange=34, version=0x10), 500, 500)) is None


def test_the_first_fragment_of_ike_is_ike() -> None:
    whole = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=500, dport=500, len=8 + 2000) / Raw(header(length=2000))
    assert classify(IP(bytes(whole))) == Carried(Kind.HANDSHAKE, "IKE")


def test_a_nat_keepalive_is_one_octet_and_no_more() -> None:
    assert classify(udp(b"\xff")) == KEEPALIVE
    assert classify(udp(b"\xff\xff")) is None
    assert classify(udp(b"\xff", 53, 53)) is None


@pytest.mark.parametrize("packet", [Ether() / ARP(), IP() / TCP(dport=4500), IPv6() / UDP(dport=53)])
def test_everything_else_is_nobody_s(packet: Packet) -> None:
    assert classify(packet) is None


@given(st.binary(max_size=80), st.sampled_from([500, 4500, 53]))
def test_whatever_comes_by_udp_is_judged_without_an_error(payload: bytes, port: int) -> None:
    found = wire.classify(udp(payload, port, port), Listed())
    assert found is None or found.kind is not Kind.DATA


def test_esp_is_recognised_where_scapy_has_dissected_it() -> None:
    assert classify(IP(src="192.0.2.1", dst="192.0.2.2") / ESP(spi=SPI, seq=1, data=b"x" * 30))
