"""Packets counted by what they show: with a flood, with a tunnel that seals nothing, with what no daemon lists."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.conftest import MAC
from tests.fake_network.pairs import Pair
from tunnelbed.engines.agents import Frame
from tunnelbed.errors import NodeFailed
from tunnelbed.observe.carried import Carried
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.recording import MARKER
from tunnelbed.report.live import traffic
from tunnelbed.report.live.traffic import Traffic
from tunnelbed.vpn.api import Listed
from tunnelbed.vpn.strongswan import wire

SPI = 0xC0FFEE01
PING = IP(src="10.1.0.2", dst="10.2.0.2") / ICMP()
SEALED = bytes(range(64, 160))


class Watched:
    """Traffic of two sites, whose seconds a test counts."""

    def __init__(self, pair: Pair) -> None:
        self.now = 0.0
        self.listed = {SPI}
        self.asked = 0
        self.silent = False
        self.traffic = Traffic(pair.load(), self._classify, lambda: self.now)

    def _classify(self, packet: Packet) -> Carried | None:
        self.asked += 1
        if self.silent:
            raise NodeFailed("gateway-a", "does not answer", "see its log")
        return wire.classify(packet, Listed(self.listed, frozenset()))

    def sees(self, packet: Packet, network: str = "isp_link", *, sent: bool = True, at: float = 0) -> None:
        self.traffic.hear(Frame("gateway-a", network, sent, ETHERNET, at, bytes(Ether(dst=MAC, src=MAC) / packet)))

    def hears(self, data: bytes) -> None:
        self.traffic.hear(Frame("gateway-a", "isp_link", outgoing=True, hardware=ETHERNET, at=0, data=data))

    def counts(self, network: str = "isp_link") -> dict[str, int]:
        self.traffic.examine()
        return {form: count for form, count in self.traffic.counts()[network].items() if count}


def outer(spi: int, data: bytes = SEALED) -> Packet:
    return IP(src="192.0.2.1", dst="192.0.2.2") / ESP(spi=spi, seq=1, data=data)


def test_each_form_is_counted(pair: Pair) -> None:
    watched = Watched(pair)
    watched.sees(outer(SPI))
    watched.sees(outer(7))
    watched.sees(PING)
    watched.sees(ARP(pdst="192.0.2.2"))
    watched.sees(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4500, dport=4500) / Raw(b"\xff"))
    expected = {"sealed": 1, "unlisted": 1, "clear": 1, "neighbours": 1, "handshake": 1}
    assert watched.counts() == expected
    assert watched.counts("intranet_a") == {}


def test_data_in_udp_is_sealed_too(pair: Pair) -> None:
    watched = Watched(pair)
    for spi in (SPI, 7):
        body = spi.to_bytes(4, "big") + (1).to_bytes(4, "big") + SEALED
        watched.sees(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4500, dport=4500) / Raw(body))
    assert watched.counts() == {"sealed": 1, "unlisted": 1}


def test_a_tunnel_that_encrypts_nothing_is_in_clear(pair: Pair) -> None:
    watched = Watched(pair)
    watched.sees(outer(SPI, bytes(PING)))
    (line,) = watched.traffic.examine()
    assert (line.form, watched.counts()) == ("clear", {"clear": 1})
    assert "ESP SPI c0ffee01" in line.text


def test_a_packet_counts_where_its_sender_had_it(pair: Pair) -> None:
    watched = Watched(pair)
    watched.sees(PING, "intranet_a")
    watched.sees(PING, "intranet_a", sent=False)
    watched.sees(PING, "ipsec0")
    assert watched.counts("intranet_a") == {"clear": 1}


def test_markers_of_a_proof_are_no_traffic(pair: Pair) -> None:
    watched = Watched(pair)
    watched.hears(bytes(Ether(dst=MAC, src=MAC, type=MARKER)))
    assert watched.counts() == {}


def test_lines_are_in_the_order_of_time_and_say_what_crossed(pair: Pair) -> None:
    watched = Watched(pair)
    watched.sees(outer(SPI), at=2)
    watched.sees(PING, "intranet_a", at=1)
    lines = watched.traffic.examine()
    assert [(line.network, line.form) for line in lines] == [("intranet_a", "clear"), ("isp_link", "sealed")]
    assert lines[0].text.startswith("10.1.0.2 > 10.2.0.2  ICMP echo-request")
    assert lines[1].text.startswith("192.0.2.1 > 192.0.2.2  ESP SPI c0ffee01")
    assert [line["number"] for line in watched.traffic.last()] == [1, 2]


def test_a_flood_is_counted_and_few_lines_are_made_of_it(pair: Pair) -> None:
    watched = Watched(pair)
    for _ in range(traffic.WAITING + 500):
        watched.sees(outer(SPI))
    assert len(watched.traffic.examine()) == traffic.LINES
    # What did not fit is counted, and not said to be sealed.
    assert watched.counts() == {"sealed": traffic.WAITING, "unexamined": 500}
    # A flow is looked at once, aside from the lines about it.
    assert watched.asked <= 2 + 2 * traffic.LINES
    watched.now += 1
    watched.sees(outer(SPI))
    assert len(watched.traffic.examine()) == 1


def test_a_flood_of_flows_is_examined_as_far_as_there_is_time(pair: Pair) -> None:
    watched = Watched(pair)
    for port in range(1, 1001):
        watched.sees(IP(src="192.0.2.1", dst="192.0.2.2") / TCP(dport=port))
    assert watched.counts() == {"clear": traffic.EXAMINED, "unexamined": 1000 - traffic.EXAMINED}
    watched.now += 1
    watched.sees(IP(src="192.0.2.1", dst="192.0.2.2") / TCP(dport=1000))
    assert watched.counts()["clear"] == traffic.EXAMINED + 1


def test_what_no_daemon_lists_is_asked_for_again(pair: Pair) -> None:
    watched = Watched(pair)
    watched.sees(outer(7))
    assert watched.counts() == {"unlisted": 1}
    watched.listed = {7}
    watched.now += traffic.STRANGE
    watched.sees(outer(7))
    assert watched.counts() == {"unlisted": 1, "sealed": 1}


def test_a_daemon_that_does_not_answer_makes_nothing_sealed_or_clear(pair: Pair) -> None:
    watched = Watched(pair)
    watched.silent = True
    watched.sees(outer(SPI))
    assert watched.counts() == {"unexamined": 1}


def test_short_and_strange_frames_are_counted(pair: Pair) -> None:
    watched = Watched(pair)
    for data in (b"", b"\x02", b"\0" * 13, bytes(Ether(dst=MAC, src=MAC, type=0x0800)) + b"\x4f"):
        watched.hears(data)
    watched.sees(IPv6(dst="2001:db8::1"))
    assert sum(watched.counts().values()) == 5
