"""Traffic selectors as charon writes them, as files and sentences do, and which packets they take."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tunnelbed.checks import selectors
from tunnelbed.vpn.strongswan import sas


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10.2.0.0/24[tcp/http-alt]", "10.2.0.0/24[tcp/8080]"),
        ("10.2.0.0/24[udp/domain]", "10.2.0.0/24[udp/53]"),
        ("10.2.0.0/24[tcp/8080]", "10.2.0.0/24[tcp/8080]"),
        ("10.1.0.0/24[tcp]", "10.1.0.0/24[tcp]"),
        ("10.1.0.0/24[tcp/no-such-service]", "10.1.0.0/24[tcp/no-such-service]"),
        ("10.1.0.0/24", "10.1.0.0/24"),
    ],
)
def test_a_port_is_a_number(written: str, read: str) -> None:
    assert sas.selectors({"local-ts": [written.encode()]}, "local-ts") == (read,)


PING = IP(src="10.1.0.5", dst="10.2.0.5") / ICMP()
REQUEST = IP(src="10.1.0.5", dst="10.2.0.5") / TCP(sport=40000, dport=8080)
SIX = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / ICMPv6EchoRequest()


@pytest.mark.parametrize(
    ("local", "remote", "packet", "taken"),
    [
        ("10.1.0.0/24", "10.2.0.0/24", PING, True),
        ("10.1.0.0/24", "10.3.0.0/24", PING, False),
        ("10.1.0.0/24[tcp]", "10.2.0.0/24[tcp/8080]", REQUEST, True),
        ("10.1.0.0/24[tcp]", "10.2.0.0/24[tcp/8443]", REQUEST, False),
        ("10.1.0.0/24[tcp/40001]", "10.2.0.0/24[tcp]", REQUEST, False),
        ("10.1.0.0/24[tcp]", "10.2.0.0/24[tcp/8080]", PING, False),
        ("10.1.0.0/24[icmp]", "10.2.0.0/24[icmp]", PING, True),
        ("2001:db8:1::/64[ipv6-icmp]", "2001:db8:2::/64[ipv6-icmp]", SIX, True),
        ("10.1.0.0/24", "10.2.0.0/24", SIX, False),
        # Of what cannot be read, such as ranges, nothing is said: it may.
        ("10.1.0.0..10.1.0.9", "10.2.0.0/24", PING, True),
        ("10.1.0.0/24[tcp/8000-8999]", "10.2.0.0/24", REQUEST, True),
        ("10.1.0.0/24[icmp/8(0)]", "10.2.0.0/24", PING, True),
    ],
)
def test_a_packet_is_taken_by_its_addresses_protocol_and_ports(
    local: str, remote: str, packet: Packet, *, taken: bool
) -> None:
    found = selectors.traffic(packet)
    assert found
    assert selectors.take([((local,), (remote,))], found) is taken
    assert not selectors.take([], found)


def test_what_no_selector_takes_is_named_by_protocol_and_port() -> None:
    assert str(selectors.traffic(REQUEST)) == "TCP port 8080 from 10.1.0.5 to 10.2.0.5"
    assert str(selectors.traffic(PING)) == "ICMP from 10.1.0.5 to 10.2.0.5"
    assert str(selectors.traffic(SIX)) == "ICMPv6 from 2001:db8:1::5 to 2001:db8:2::5"
    assert selectors.traffic(Ether()) is None
