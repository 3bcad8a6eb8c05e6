"""A sentence that does not hold is explained by the packet's own path where that shows the cause, else by another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_network.beds import brought_up
from tunnelbed.checks import packet_trace, reachability
from tunnelbed.checks.unmet import Unmet
from tunnelbed.observe.evidence import PacketPath
from tunnelbed.observe.probes import Ping
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology.compose_file import load

HOME = Path(__file__).parents[1]


def path_of_failure(bed: Bed, source: str, target: str) -> tuple[Unmet, PacketPath]:
    bed.patience = 2.0
    nodes = bed.scenario.node(source), bed.scenario.node(target)
    with pytest.raises(Unmet) as raised, packet_trace.explained(bed, *nodes):
        reachability.reaches(bed, *nodes, Ping())
    first = raised.value.evidence[0]
    assert isinstance(first, PacketPath)
    return raised.value, first


def test_a_neighbour_that_is_not_there_is_seen_on_the_packet_s_own_path(tmp_path: Path) -> None:
    with brought_up(load("site-to-site", HOME), tmp_path) as (bed, _):
        bed.node("client-a2").run(["ip", "link", "set", "intranet_a", "down"], check=True)
        bed.absent.add(("client-a2", "intranet_a"))
        failed, path = path_of_failure(bed, "client-a1", "client-a2")
    assert path.traced is False
    assert path.cause.startswith("client-a1 asks on intranet_a who has 10.1.0.4: no answer")
    assert f"cause:    {path.cause}\npath of the packet:\n" in str(failed)


def test_a_rule_that_drops_it_is_found_by_one_more_packet(tmp_path: Path) -> None:
    with brought_up(load("site-to-site", HOME), tmp_path) as (bed, _):
        rule = "insert rule inet filter forward icmp type echo-request drop"
        bed.node("gateway-a").run(["nft", *rule.split()], check=True)
        failed, path = path_of_failure(bed, "client-a1", "server-s1")
    assert path.traced is True
    assert path.cause == "dropped by the firewall of gateway-a: inet filter forward: icmp type echo-request drop"
    assert "path of another such packet:\n" in str(failed)


def test_a_refusal_by_the_sender_s_kernel_is_told(tmp_path: Path) -> None:
    with brought_up(load("site-to-site", HOME), tmp_path) as (bed, _):
        bed.node("client-a1").run(["ip", "route", "del", "default"], check=True)
        failed, path = path_of_failure(bed, "client-a1", "server-s1")
    assert failed.seen.startswith("no answer; client-a1 does not send it: ")
    assert path.cause.startswith("client-a1 does not send it: ")
