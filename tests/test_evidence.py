"""Evidence is values: a person reads it as text, a program as JSON, and both see the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast, get_args

from scapy.layers.inet import ICMP, IP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether

from tests.conftest import MAC, Checkout
from tests.fake_charon import tunnel
from tunnelbed.checks.unmet import LAST_LOG_LINES, Unmet, unmet
from tunnelbed.engines.agents import Agents, Frame
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.observe import evidence, evidence_json, evidence_text
from tunnelbed.observe.pcapng import ETHERNET
from tunnelbed.observe.recording import Recording
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

PATH = evidence.PacketPath(
    (
        evidence.PathStep("client", "out", "10.1.0.3 > 192.0.2.2  ICMP echo-request", "inside", 0.0),
        evidence.PathStep("gateway", "rule", "inet filter forward: policy drop"),
    ),
    "dropped by the firewall of gateway: inet filter forward: policy drop",
    answered=False,
    cause="dropped by the firewall of gateway: inet filter forward: policy drop",
)
EVERY = (
    PATH,
    evidence.Packets((evidence.SeenPacket(61.5, "client", "inside", "out", "Ether / IP / ICMP", sealed=False),)),
    evidence.CaptureFile(Path("reports/x.pcapng")),
    evidence.LogTail("gateway", ("ready", "no more")),
    evidence.FirewallTrace("gateway", ("inet filter forward policy drop",)),
    evidence.NodeState("client", "running", (evidence.Section("routes", ("default via 10.1.0.1",)),)),
    evidence.Text(("TCP: 80",)),
)


def test_a_failure_says_what_was_expected_and_seen_then_why_then_all_evidence() -> None:
    assert str(Unmet("a pong", "no answer", EVERY)).splitlines() == [
        "expected: a pong",
        "seen:     no answer",
        "cause:    dropped by the firewall of gateway: inet filter forward: policy drop",
        "path of another such packet:",
        "        ms  node     way   network  packet",
        "      0.00  client   out   inside  10.1.0.3 > 192.0.2.2  ICMP echo-request",
        "            gateway  rule  inet filter forward: policy drop",
        "  dropped by the firewall of gateway: inet filter forward: policy drop",
        "last packets:",
        "  01.500000 client       out inside          Ether / IP / ICMP",
        "capture:  reports/x.pcapng",
        "log of gateway:",
        "  ready",
        "  no more",
        "trace:",
        "  inet filter forward policy drop",
        "client: running",
        "  routes:",
        "    default via 10.1.0.1",
        "TCP: 80",
    ]


def test_where_no_path_shows_a_cause_none_is_said() -> None:
    answered = evidence.PacketPath((), "answered after 1.00 ms; no ESP anywhere", answered=True)
    failed = Unmet("no pong", "a pong", [answered])
    assert failed.cause == ""
    assert "cause:" not in str(failed)


def test_json_has_each_kind_of_evidence_with_all_its_fields() -> None:
    plain = json.loads(json.dumps(evidence_json.plain(EVERY)))
    assert [one["kind"] for one in plain] == [
        "path",
        "packets",
        "capture",
        "log",
        "firewall trace",
        "node state",
        "text",
    ]
    assert plain[0]["cause"] == PATH.cause
    assert plain[0]["steps"][0] == {
        "node": "client",
        "event": "out",
        "what": "10.1.0.3 > 192.0.2.2  ICMP echo-request",
        "network": "inside",
        "at": 0.0,
        "sealed": False,
    }
    assert plain[1]["seen"][0] == {
        "at": 61.5,
        "node": "client",
        "network": "inside",
        "direction": "out",
        "summary": "Ether / IP / ICMP",
        "sealed": False,
    }
    assert plain[2] == {"kind": "capture", "path": "reports/x.pcapng"}


def test_whoever_adds_a_kind_of_evidence_renders_it() -> None:
    assert set(evidence_json.KINDS) == set(get_args(evidence.Evidence)) == {type(one) for one in EVERY}
    assert all(evidence_text.lines([one]) for one in EVERY)


def test_a_failure_keeps_what_was_seen_and_logged_by_then(checkout: Checkout) -> None:
    checkout.configure("gateway/swanctl.conf", "")
    engine = FakeEngine()
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, engine)
    bed.captures = checkout.root / "captures"
    bed.up(Options(), lambda _: None)
    # Its daemon has listed this SPI, and does not answer any more.
    bed.daemons.remember([tunnel(9, 10)])
    said = [f"line {number}" for number in range(9)]
    engine.words["gateway"] = "\n".join(said)
    recording = Recording(cast("Agents", None), {})
    for at, packet in enumerate(
        (IP(src="10.1.0.3") / ICMP(), IP() / ESP(spi=9, data=b"x"), IP() / ESP(spi=8, data=b"x"))
    ):
        data = bytes(Ether(dst=MAC) / packet)
        recording.hear(Frame("gateway", "outside", outgoing=True, hardware=ETHERNET, at=float(at), data=data))
    failed = unmet(bed, "a pong", "no answer", recording, ["gateway", "gateway"], lambda packet: ICMP in packet)
    engine.words["gateway"] = "undone"
    packets, capture, log = failed.evidence
    assert isinstance(packets, evidence.Packets)
    assert [(seen.node, seen.direction, seen.sealed) for seen in packets.seen] == [
        ("gateway", "out", False),
        ("gateway", "out", True),
        ("gateway", "out", False),
    ]
    assert isinstance(capture, evidence.CaptureFile)
    assert capture.path.is_file()
    assert log == evidence.LogTail("gateway", tuple(said[-LAST_LOG_LINES:]))
    assert failed.recording is recording
