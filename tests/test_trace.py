"""A packet's way, told from what was seen and heard of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, ip_address
from typing import cast

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from tests.conftest import MAC, Checkout
from tunnelbed.checks import packet_trace
from tunnelbed.checks.attempt import Attempt
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.agents import Agents, Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput
from tunnelbed.observe import evidence_text, nftrace
from tunnelbed.observe.packet_words import describe
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.probes import Datagram, Ping, TcpSyn
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file
from tunnelbed.vpn.api import Carried, Kind, Listed
from tunnelbed.vpn.strongswan import complaints, wire

CLIENT, INSIDE, OUTSIDE, SERVER = "10.1.0.3", "10.1.0.2", "192.0.2.1", "192.0.2.2"
MASQUERADED = (
    'inet filter forward rule iifname "inside" jump out (verdict jump out)',
    "inet filter out rule accept (verdict accept)",
    'ip nat postrouting rule oifname "outside" masquerade (verdict accept)',
)
DROPPED = ("ip nat prerouting policy accept", "inet filter forward policy drop")


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    """A client and a server, and a gateway between them; nothing of it is up."""
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


class Seen:
    """What was seen of a ping from the client to the server, a millisecond from line to line."""

    def __init__(self, bed: Bed, decided: Mapping[str, Sequence[Sequence[str]]], refused: str = "") -> None:
        self.bed, self.decided, self.refused, self.probe = bed, decided, refused, Ping()
        self.recording = Recording(cast("Agents", None), {})

    def at(self, node: str, way: str, network: str, packet: Packet, at: float | None = None) -> None:
        """A node saw a packet come or go."""
        at = len(self.recording.heard) / 1000 if at is None else at
        self.recording.hear(Frame(node, network, way == "out", ETHERNET, at, bytes(Ether(dst=MAC) / packet)))

    def asks(self, sender: str = CLIENT) -> Packet:
        return self.probe.packet(ip_address(sender), ip_address(SERVER))

    def attempt(self) -> Attempt:
        wanted = packet_trace.asked(self.bed, "client", "server")
        return Attempt(
            self.bed, wanted.source, wanted.target, self.probe, self.recording.sightings, self.decided, self.refused
        )


def ways(attempt: Attempt) -> list[tuple[str, str]]:
    return [(line.node, line.event) for line in attempt.steps()]


def test_a_packet_whose_sender_nat_changes_is_one_to_its_firewall(bed: Bed) -> None:
    seen = Seen(bed, {"gateway": [MASQUERADED, ()]})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("gateway", "in", "inside", seen.asks())
    seen.at("gateway", "out", "outside", seen.asks(OUTSIDE))
    seen.at("server", "in", "outside", seen.asks(OUTSIDE))
    seen.at("server", "out", "outside", seen.probe.answer(ip_address(SERVER), ip_address(OUTSIDE)))
    seen.at("gateway", "in", "outside", seen.probe.answer(ip_address(SERVER), ip_address(OUTSIDE)))
    seen.at("gateway", "out", "inside", seen.probe.answer(ip_address(SERVER), ip_address(CLIENT)))
    seen.at("client", "in", "inside", seen.probe.answer(ip_address(SERVER), ip_address(CLIENT)))
    seen.at("gateway", "out", "outside", IP() / ESP(spi=9))
    attempt = seen.attempt()
    assert attempt.heard_whole
    assert ways(attempt) == [
        ("client", "out"),
        *[("gateway", way) for way in ("in", "rule", "rule", "out")],
        *[("server", "in"), ("server", "out"), ("gateway", "in"), ("gateway", "out"), ("client", "in")],
    ]
    assert [line.what for line in attempt.steps() if line.event == "rule"] == [
        "inet filter forward > out: accept",
        'ip nat postrouting: oifname "outside" masquerade',
    ]
    assert attempt.outcome()[1]
    assert attempt.outcome()[0].startswith("answered after 7.00 ms; in clear on inside, outside; ")


def esp(spi: int) -> Packet:
    return IP(src=OUTSIDE, dst=SERVER) / ESP(spi=spi, data=b"x")


@pytest.fixture
def sealing(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """The same, where all ESP is tunnel data."""

    def classify(packet: Packet) -> Carried | None:
        return Carried(Kind.DATA, "ESP", packet[ESP].spi, unit="SPI") if ESP in packet else None

    monkeypatch.setattr(bed, "classify", classify)
    return bed


def test_tunnel_data_of_others_is_no_part_of_its_path(sealing: Bed) -> None:
    seen = Seen(sealing, {})
    answer = seen.probe.answer(ip_address(SERVER), ip_address(CLIENT))
    seen.at("client", "out", "inside", seen.asks())
    seen.at("gateway", "in", "inside", seen.asks())
    # Somebody's of another site, to the same far gateway.
    seen.at("other", "out", "outside", esp(7))
    seen.at("gateway", "out", "outside", esp(1))
    seen.at("far", "in", "outside", esp(7))
    seen.at("far", "in", "outside", esp(1))
    seen.at("far", "out", "cloud", seen.asks())
    seen.at("server", "in", "cloud", seen.asks())
    seen.at("server", "out", "cloud", answer)
    seen.at("far", "in", "cloud", answer)
    # And the answer to that.
    seen.at("far", "out", "outside", esp(8))
    seen.at("far", "out", "outside", esp(2))
    seen.at("other", "in", "outside", esp(8))
    seen.at("gateway", "in", "outside", esp(2))
    seen.at("gateway", "out", "inside", answer)
    seen.at("client", "in", "inside", answer)
    attempt = seen.attempt()
    assert [packet.packet[ESP].spi for packet in attempt.seen if ESP in packet.packet] == [1, 1, 2, 2]
    assert ("other", "out") not in ways(attempt)
    assert attempt.outcome()[0].endswith("in clear on inside; tunnel on outside")


def test_what_was_encrypted_and_lost_is_part_of_its_path(sealing: Bed) -> None:
    seen = Seen(sealing, {})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("gateway", "in", "inside", seen.asks())
    seen.at("other", "out", "outside", esp(7))
    seen.at("gateway", "out", "outside", esp(1))
    seen.at("far", "in", "outside", esp(7))
    assert ways(seen.attempt()) == [("client", "out"), ("gateway", "in"), ("gateway", "out")]


def test_a_firewall_that_was_not_heard_is_asked_again(bed: Bed) -> None:
    seen = Seen(bed, {"gateway": []})
    seen.at("gateway", "in", "inside", seen.asks())
    assert not seen.attempt().heard_whole


def test_a_frame_comes_in_behind_its_going_out_whatever_the_clocks(bed: Bed) -> None:
    seen = Seen(bed, {})
    seen.at("gateway", "in", "inside", seen.asks(), 5.0)
    seen.at("client", "out", "inside", seen.asks(), 5.001)
    assert [(line.node, line.at) for line in seen.attempt().steps()] == [("client", 0), ("gateway", 0)]


def test_where_a_packet_is_dropped_its_way_ends(bed: Bed) -> None:
    seen = Seen(bed, {"gateway": [DROPPED]})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("gateway", "in", "inside", seen.asks())
    attempt = seen.attempt()
    assert ways(attempt) == [("client", "out"), ("gateway", "in"), ("gateway", "rule")]
    assert attempt.outcome() == ("dropped by the firewall of gateway: inet filter forward: policy drop", False)


def test_what_its_own_firewall_drops_is_seen_nowhere(bed: Bed) -> None:
    attempt = Seen(bed, {"client": [("inet filter output policy drop",)]}, "[Errno 1]").attempt()
    assert ways(attempt) == [("client", "rule")]
    assert attempt.outcome() == ("dropped by the firewall of client: inet filter output: policy drop", False)
    assert Seen(bed, {}, "[Errno 101]").attempt().outcome() == ("client does not send it: [Errno 101]", False)
    path = Seen(bed, {}, "[Errno 101]").attempt().path("; inside is down at client")
    assert (path.cause, path.answered) == ("client does not send it: [Errno 101]; inside is down at client", False)
    assert evidence_text.path(path)[1:] == [path.cause]


def test_a_packet_that_is_lost_was_seen_last_somewhere(bed: Bed) -> None:
    seen = Seen(bed, {"gateway": [()]})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("gateway", "in", "inside", seen.asks())
    told, answered = seen.attempt().outcome()
    assert not answered
    assert (
        told == "last seen entering gateway by inside; no firewall dropped it; on gateway, see `ip route get 192.0.2.2`"
    )


def test_a_neighbour_that_nobody_is_is_told(bed: Bed) -> None:
    seen = Seen(bed, {})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("gateway", "in", "inside", seen.asks())
    seen.at("gateway", "out", "inside", ARP(op=1, pdst=CLIENT))
    seen.at("gateway", "in", "inside", ARP(op=2, psrc=CLIENT))
    seen.at("gateway", "out", "outside", ARP(op=1, pdst=SERVER))
    told, _ = seen.attempt().outcome()
    assert told == "gateway asks on outside who has 192.0.2.2: no answer; last seen entering gateway by inside"
    assert seen.attempt().plain_cause == "gateway asks on outside who has 192.0.2.2: no answer"


def test_a_gateway_without_a_tunnel_is_told_with_its_last_complaint() -> None:
    log = """\
2026-11-26T07:31:59.616 14[IKE] <peer|1> received AUTHENTICATION_FAILED notify error
2026-11-26T07:32:01.159 10[IKE] <peer|2> received NO_PROPOSAL_CHOSEN notify error
2026-11-26T07:32:03.988 14[CFG] vici terminate IKE_SA 'peer'
"""
    assert complaints.complaint(log) == "<peer|2> received NO_PROPOSAL_CHOSEN notify error"
    assert complaints.complaint("ready\n") == ""


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (
            [
                "16[IKE] <peer|1> received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built",
                "16[IKE] <peer|1> failed to establish CHILD_SA, keeping IKE_SA",
            ],
            "<peer|1> received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built",
        ),
        (
            [
                "14[IKE] <peer|1> received TS_UNACCEPTABLE notify, no CHILD_SA built",
                "13[IKE] <peer|1> retransmit 1 of request with message ID 7",
            ],
            "<peer|1> received TS_UNACCEPTABLE notify, no CHILD_SA built",
        ),
        (
            ["05[IKE] <peer|1> retransmit 3 of request with message ID 0", "06[IKE] <peer|1> sending DPD request"],
            "<peer|1> retransmit 3 of request with message ID 0",
        ),
        (
            [
                "05[IKE] <peer|1> giving up after 5 retransmits",
                "05[IKE] <peer|1> establishing IKE_SA failed, peer not responding",
            ],
            "<peer|1> establishing IKE_SA failed, peer not responding",
        ),
        (
            ["05[IKE] <b|1> tried 2 shared keys for 'b' - 'a', but MAC mismatched", "05[ENC] <b|1> generating"],
            "<b|1> tried 2 shared keys for 'b' - 'a', but MAC mismatched",
        ),
        (["05[IKE] <peer|1> received AUTH_LFT notify"], ""),
    ],
)
def test_what_explains_most_is_told_of_charon_s_complaints(log: list[str], why: str) -> None:
    assert complaints.complaint("\n".join(f"2026-11-26T07:32:01.159 {line}" for line in log)) == why


def test_who_has_it_and_says_nothing_is_told(bed: Bed) -> None:
    seen = Seen(bed, {})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("server", "in", "outside", seen.asks(OUTSIDE))
    assert seen.attempt().outcome() == (
        "it arrived, and server does not answer; on server, see `ip route get 192.0.2.1`",
        False,
    )


def test_an_error_is_told_with_who_sent_it(bed: Bed) -> None:
    seen = Seen(bed, {})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("client", "in", "inside", IP(src=INSIDE, dst=CLIENT) / ICMP(type=3, code=4, nexthopmtu=1400) / seen.asks())
    told = "gateway answers: ICMP dest-unreach (fragmentation-needed), MTU 1400"
    assert seen.attempt().outcome() == (told, False)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (IP(src=CLIENT, dst=SERVER) / ICMP(), "10.1.0.3 > 192.0.2.2  ICMP echo-request, 28 bytes, ttl 64"),
        (
            IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6EchoRequest(),
            "2001:db8::1 > 2001:db8::2  ICMPv6 Echo Request, 48 bytes, hop limit 64",
        ),
        (
            IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6PacketTooBig(mtu=1300),
            "2001:db8::1 > 2001:db8::2  ICMPv6 Packet Too Big, MTU 1300, 48 bytes, hop limit 64",
        ),
        (
            IP(src=CLIENT, dst=SERVER) / ESP(spi=0xC0FFEE, data=b"x"),
            "10.1.0.3 > 192.0.2.2  ESP SPI 00c0ffee, 29 bytes, ttl 64",
        ),
        (
            TcpSyn(80, from_port=40000).packet(ip_address(CLIENT), ip_address(SERVER)),
            "10.1.0.3 > 192.0.2.2  TCP 40000 > 80 S, 40 bytes, ttl 64",
        ),
        (
            Datagram(53).packet(ip_address(CLIENT), ip_address(SERVER)),
            "10.1.0.3 > 192.0.2.2  UDP port 53, 44 bytes, ttl 64",
        ),
    ],
)
def test_a_packet_is_described_as_it_crossed_a_wire(packet: Packet, expected: str) -> None:
    found = Ether(bytes(Ether(dst=MAC) / packet))
    assert describe(found, lambda one: wire.classify(one, Listed({0xC0FFEE}))) == expected


@pytest.mark.parametrize(("fail_fast", "to"), [(True, ip_address(SERVER)), (False, None)])
def test_a_failure_that_has_no_time_or_no_address_is_told_as_it_was(
    bed: Bed, *, fail_fast: bool, to: IPv4Address | None
) -> None:
    bed.fail_fast = fail_fast
    failed = Unmet("a pong", "nothing")
    with pytest.raises(Unmet) as raised, packet_trace.explained(bed, bed.scenario.node("client"), to):
        raise failed
    assert raised.value is failed


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("nobody", "server"), "tiny"),
        (("client", "nobody"), "tiny"),
        (("client", "client"), "--to"),
        (("client", "2001:db8::1"), "--to"),
        (("client", "server", "TCP port 70000"), "port"),
        (("client", "server", "UDP port 0"), "port"),
        (("client", "server", "TCP"), "kind of packet"),
        (("client", "server", "ESP"), "kind of packet"),
        (("client", "server", "", 20), "--size"),
        (("client", "server", "", 9000), "--size"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(bed: Bed, words: tuple[str, str], key: str) -> None:
    with pytest.raises(BadInput, match=r"found .*, expected ") as wrong:
        packet_trace.asked(bed, *words)
    assert wrong.value.where == key


def test_what_arrives_and_is_dropped_there_is_no_answer(bed: Bed) -> None:
    seen = Seen(bed, {"client": [(), ("inet filter input policy drop",)]})
    seen.at("client", "out", "inside", seen.asks())
    seen.at("client", "in", "inside", seen.probe.answer(ip_address(SERVER), ip_address(CLIENT)))
    attempt = seen.attempt()
    assert ways(attempt) == [("client", "out"), ("client", "in"), ("client", "rule")]
    assert attempt.outcome() == ("dropped by the firewall of client: inet filter input: policy drop", False)


def test_a_packet_that_a_rule_answers_ends_behind_the_answer_s_beginning() -> None:
    lines = [
        f"trace id 1 inet {nftrace.TABLE} arrives unknown rule handle 3 (verdict continue)",
        f"trace id 2 inet {nftrace.TABLE} leaves unknown rule handle 5 (verdict continue)",
        "trace id 2 inet filter output policy drop",
        "trace id 1 inet filter forward rule icmp type echo-request reject (verdict drop)",
    ]
    first, second = nftrace.passes(lines)
    assert first == ["inet filter forward rule icmp type echo-request reject (verdict drop)"]
    assert second == ["inet filter output policy drop"]


def test_a_packet_begins_where_it_is_recognised_though_its_number_is_used_again() -> None:
    mark = f"trace id 9 inet {nftrace.TABLE} arrives unknown rule handle 3 (verdict continue)"
    drop = "trace id 9 inet filter forward policy drop"
    packet = 'trace id 9 inet filter forward packet: iif "inside"'
    own = f"trace id 9 inet {nftrace.TABLE} arrives policy accept"
    found = nftrace.passes([drop, mark, own, packet, drop, mark, own])
    assert found == [["inet filter forward policy drop"], []]


def test_a_chain_that_speaks_again_was_returned_to() -> None:
    trace = [
        "inet filter forward rule jump a (verdict jump a)",
        "inet filter a rule counter (verdict continue)",
        "inet filter a rule goto b (verdict goto b)",
        "inet filter b rule return (verdict return)",
        "inet filter forward rule ct state new reject (verdict drop)",
    ]
    (last,) = nftrace.last_words(trace)
    assert last == nftrace.Decision("inet filter forward", "ct state new reject", drops=True)
    (last,) = nftrace.last_words(['inet filter input rule log prefix "drop: " accept (verdict accept)'])
    assert not last.drops
