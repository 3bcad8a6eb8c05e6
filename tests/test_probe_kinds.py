"""A kind of probe is one file: whoever names, sends, traces or counts packets finds it there."""

from __future__ import annotations

import importlib
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, cast

import parse
import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP

from tests.conftest import MAC, Checkout
from tunnelbed import vpn
from tunnelbed.checks import confidentiality, firewall, packet_trace
from tunnelbed.engines.agents import Agents, Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput
from tunnelbed.observe import kinds, packet_words, probes
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.probes import Question, SpokenProbe, registry
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

if TYPE_CHECKING:
    pass

SCTP_FILE = '''\
"""The first packet of an SCTP association."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck
from scapy.packet import Packet

from tunnelbed.observe.probes.probe import Question, at, checked, header, quoted
from tunnelbed.topology.model import Address

INITIATE_TAG = 16  # octets into the packet (RFC 9260, 3.3.2)


@dataclass(frozen=True)
class SctpInit(Question):
    """An INIT; its tag is its mark."""

    said = "SCTP port {port}"
    port: int
    tag: int = field(default_factory=lambda: 1 + secrets.randbelow(2**32 - 1))

    @classmethod
    def of(cls, port: int) -> Self:
        return cls(checked(port))

    @classmethod
    def names(cls, packet: Packet) -> Sequence[str]:
        if SCTP not in packet:
            return ()
        return tuple(f"SCTP port {port}" for port in (packet[SCTP].dport, packet[SCTP].sport))

    @property
    def name(self) -> str:
        return f"SCTP port {self.port}"

    def packet(self, source: Address, target: Address) -> Packet:
        return header(source, target) / SCTP(sport=40000, dport=self.port) / SCTPChunkInit(init_tag=self.tag)

    def asks(self, packet: Packet) -> bool:
        return SCTPChunkInit in packet and packet[SCTPChunkInit].init_tag == self.tag

    def answers(self, packet: Packet) -> bool:
        return SCTPChunkInitAck in packet and packet[SCTP].tag == self.tag

    def shows(self, packet: Packet) -> bool:
        return self.asks(packet) or self.answers(packet)

    def nft_asks(self, version: int) -> str:
        del version
        return f"meta l4proto sctp {at(INITIATE_TAG, self.tag.to_bytes(4, 'big'))}"

    def nft_answers(self, version: int) -> str:
        del version
        return f"meta l4proto sctp {at(4, self.tag.to_bytes(4, 'big'))}"

    def nft_quotes(self, version: int) -> str:
        return quoted(version, 4, bytes(4))
'''
HERE, THERE = ip_address("10.1.0.3"), ip_address("192.0.2.2")


@pytest.fixture
def sctp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more file among the probes, and nothing else."""
    (tmp_path / "sctp_init.py").write_text(SCTP_FILE, encoding="utf-8")
    monkeypatch.setattr(probes, "__path__", [*probes.__path__, str(tmp_path)])
    importlib.invalidate_caches()


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    return Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())


@pytest.mark.usefixtures("sctp")
def test_a_new_kind_is_known_to_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "steps")
    nouns = importlib.import_module("nouns")
    slots = {"Node": nouns.parse_node, "Nodes": nouns.parse_nodes, "Kind": nouns.parse_kind, "Kinds": nouns.parse_kinds}
    said = parse.parse(
        "{a:Nodes} can reach {b:Nodes} on {kind:Kind}", "client A1 can reach gateway B on SCTP port 36412", slots
    )
    assert registry.answerable(said["kind"]).name == "SCTP port 36412"
    said = parse.parse("only {kinds:Kinds} cross", "only IKE, ESP and SCTP port 36412 cross", slots)
    kinds.check(said["kinds"], vpn.words())
    with pytest.raises(BadInput, match=r"SCTP port N"):
        kinds.check(["GRE"])


@pytest.mark.usefixtures("sctp")
def test_a_new_kind_is_told_by_its_name_where_it_crosses(bed: Bed) -> None:
    probe = registry.probe("SCTP port 36412")
    packet = Ether(bytes(Ether(dst=MAC) / probe.packet(HERE, THERE)))
    assert kinds.kind(packet) == "SCTP port 36412"
    assert kinds.kinds(packet) == {"SCTP port 36412", "SCTP port 40000"}
    recording = Recording(cast("Agents", None), {})
    recording.hear(Frame("client", "outside", outgoing=True, hardware=ETHERNET, at=1.0, data=bytes(packet)))
    confidentiality.crosses(bed, recording, bed.scenario.networks["outside"], "SCTP port 36412")


@pytest.mark.usefixtures("sctp")
def test_a_new_kind_is_sent_through_firewalls() -> None:
    probe = firewall.probe_of("SCTP port 36412")
    expected = f"ip saddr {HERE} ip daddr {THERE} meta l4proto sctp @th,128,32 0x"
    assert firewall._match(probe.packet(HERE, THERE), probe).startswith(expected)


@pytest.mark.usefixtures("sctp")
def test_a_new_kind_is_traced(bed: Bed) -> None:
    wanted = packet_trace.asked(bed, "client", "server", "SCTP port 36412")
    packet = wanted.make().packet(HERE, THERE)
    assert packet[SCTP].dport == 36412
    assert len(wanted.make().nft_matches(4)) == 3
    assert packet_words.describe(packet).startswith("10.1.0.3 > 192.0.2.2  SCTP port 36412")


@pytest.mark.usefixtures("sctp")
def test_what_is_isolated_is_so_from_a_new_kind_too() -> None:
    names = {kind.of(8080).name for kind in registry.questions()}
    assert names == {"ping", "SCTP port 8080", "TCP port 8080", "UDP port 8080"}


def test_no_kind_is_left_behind() -> None:
    assert [kind.said for kind in registry.kinds()] == ["ESP", "ICMP", "TCP port {port}", "UDP port {port}"]


@pytest.mark.parametrize("said", ["TCP port 0", "TCP port 65536", "UDP port 70000"])
def test_a_port_that_cannot_be_is_told_in_a_line(said: str) -> None:
    for refuses in (registry.probe, firewall.probe_of, lambda said: kinds.check([said])):
        with pytest.raises(BadInput, match=r"port: found \d+, expected 1 to 65535; correct the port"):
            refuses(said)


@pytest.mark.parametrize("said", ["ESP", "UDP port 53"])
def test_what_nobody_answers_cannot_be_waited_for(said: str) -> None:
    with pytest.raises(BadInput, match=r"expected one that is answered: ICMP or TCP port N"):
        registry.answerable(said)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", registry.kinds(), ids=lambda kind: kind.said)
def test_what_nftables_compares_stands_in_the_packet_where_it_looks(kind: type[SpokenProbe], version: int) -> None:
    """`@th,OFFSET,LENGTH VALUE`, in bits, from the transport header on; of an error, from ICMP's on."""
    probe = kind.of(80)
    ends = (HERE, THERE) if version == 4 else (ip_address("2001:db8::1"), ip_address("2001:db8::9"))
    header = 20 if version == 4 else 40
    asked = bytes(probe.packet(*ends))
    assert _compared(probe.nft_asks(version), asked[header:])
    assert kind.names(Ether(bytes(Ether(dst=MAC) / (IP if version == 4 else IPv6)(asked))))[0].startswith(kind.said[:3])
    if isinstance(probe, Question):
        assert _compared(probe.nft_quotes(version), bytes(8) + asked)


def _compared(expression: str, transport: bytes) -> bool:
    place, value = expression.split(" @th,")[1].split(" ")
    offset, length = (int(bits) // 8 for bits in place.split(","))
    return transport[offset : offset + length] == bytes.fromhex(value.removeprefix("0x"))
