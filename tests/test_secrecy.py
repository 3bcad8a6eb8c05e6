"""What crossed a network, judged on frames made by hand: no traffic at all fails what says that some crossed."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.conftest import Checkout
from tunnelbed import scenario, secrecy
from tunnelbed.agents import Agents, Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.probes import Ping
from tunnelbed.recording import ETHERNET, Recording
from tunnelbed.testbed import Testbed as Bed
from tunnelbed.verdict import Unmet

ASKS_FOR_NEIGHBOUR = Ether() / ARP(psrc="192.0.2.1", pdst="192.0.2.2")
PING = Ether() / IP(src="192.0.2.1", dst="192.0.2.2") / ICMP()


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    return Bed(scenario.load("tiny", checkout.root), checkout.root, FakeEngine())


def recorded(bed: Bed, *packets: Packet) -> Recording:
    frames = [
        Frame("gateway", "outside", outgoing=True, hardware=ETHERNET, at=at, data=bytes(packet))
        for at, packet in enumerate(packets)
    ]
    return Recording(Agents(bed.engine, bed.project), {}, frames)


def test_where_nothing_crossed_what_had_to_cross_failed(bed: Bed) -> None:
    network = bed.scenario.networks["outside"]
    with pytest.raises(Unmet) as unmet:
        secrecy.crosses(bed, recorded(bed, ASKS_FOR_NEIGHBOUR), network, "ESP")
    assert (unmet.value.expected, unmet.value.seen) == ("ESP crosses outside", "nothing")
    with pytest.raises(Unmet) as unmet:
        secrecy.only_crosses(bed, recorded(bed, ASKS_FOR_NEIGHBOUR), [network], ["ESP", "IKE"])
    assert (unmet.value.expected, unmet.value.seen) == ("only ESP and IKE cross outside", "nothing")


def test_what_crossed_instead_is_told(bed: Bed) -> None:
    network = bed.scenario.networks["outside"]
    with pytest.raises(Unmet) as unmet:
        secrecy.crosses(bed, recorded(bed, PING, PING), network, "ESP")
    assert unmet.value.seen == "2 ICMP"


def test_where_nothing_crossed_no_text_was_kept_secret(bed: Bed) -> None:
    said = Ping()
    inside = Frame("client", "inside", outgoing=True, hardware=ETHERNET, at=0.0, data=bytes(PING / Raw(said.token)))
    seen = recorded(bed)
    seen.frames.append(inside)
    with pytest.raises(TunnelbedError, match="nothing was seen to cross outside"):
        secrecy.text_is_unreadable(bed, seen, [said], [bed.scenario.networks["outside"]])


def test_where_nobody_asked_no_text_was_kept_secret(bed: Bed) -> None:
    with pytest.raises(BadInput, match="found none, expected a request among what was sent last"):
        secrecy.text_is_unreadable(bed, recorded(bed, PING), [], [bed.scenario.networks["outside"]])
