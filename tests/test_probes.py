"""Probes are known again, and what quotes them is not taken for them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.conftest import MAC
from tunnelbed.observe.probes import Datagram, Ping, Probe, TcpSyn

OLD = ip_address("192.0.2.1"), ip_address("192.0.2.9")
NEW = ip_address("2001:db8::1"), ip_address("2001:db8::9")
ERRORS = [
    (OLD, IP(dst="192.0.2.1") / ICMP(type=3, code=1)),
    (OLD, IP(dst="192.0.2.1") / ICMP(type=3, code=4, nexthopmtu=1400)),
    (NEW, IPv6(dst="2001:db8::1") / ICMPv6DestUnreach()),
    (NEW, IPv6(dst="2001:db8::1") / ICMPv6PacketTooBig(mtu=1400)),
]


@pytest.mark.parametrize("probe", [Ping(), TcpSyn(80), Datagram(53)], ids=lambda probe: probe.name)
@pytest.mark.parametrize(("pair", "error"), ERRORS)
def test_an_error_that_quotes_a_probe_is_neither_its_question_nor_its_answer(
    pair: tuple[object, object], error: Packet, probe: Probe
) -> None:
    source, target = pair
    asked = probe.packet(source, target)  # type: ignore[arg-type]
    assert probe.asks(Ether(bytes(Ether(dst=MAC) / asked)))
    crossed = Ether(bytes(Ether(dst=MAC) / error / asked))
    assert not probe.asks(crossed)
    assert not probe.answers(crossed)


@pytest.mark.parametrize("pair", [OLD, NEW])
def test_an_answer_to_a_ping_is_no_question(pair: tuple[object, object]) -> None:
    ping = Ping()
    answer = Ether(bytes(Ether(dst=MAC) / ping.answer(*pair)))  # type: ignore[arg-type]
    assert (ping.asks(answer), ping.answers(answer)) == (False, True)
