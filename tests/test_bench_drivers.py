from __future__ import annotations

from pathlib import Path

import pytest

from tunnelbed.bench import drivers
from tunnelbed.bench.traffic import RTT, Transfer, percentile, transferred
from tunnelbed.topology.compose_file import load


def test_what_arrived_counts_not_what_was_sent() -> None:
    said = {
        "end": {
            "sum_sent": {"bits_per_second": 9e9, "bytes": 9e9},
            "sum_received": {"bits_per_second": 4e6, "bytes": 2.5e9},
        }
    }
    assert transferred(said) == Transfer(4.0, 2.5)


def test_every_answer_of_a_ping_has_its_round_trip() -> None:
    said = """\
64 bytes from 10.2.0.2: icmp_seq=1 ttl=62 time=0.058 ms
64 bytes from 10.2.0.2: icmp_seq=2 ttl=62 time=12 ms
rtt min/avg/max/mdev = 0.058/6.0/12/5 ms
"""
    assert RTT.findall(said) == ["0.058", "12"]


@pytest.mark.parametrize(("share", "least"), [(1, 1), (50, 5), (90, 9), (91, 10), (99, 10), (100, 10)])
def test_a_percentile_is_one_of_the_values(share: float, least: int) -> None:
    assert percentile(list(range(1, 11)), share) == least


def test_the_three_networks_are_scenarios_that_differ_in_what_is_compared(tmp_path: Path) -> None:
    drivers.write(tmp_path)
    tunnel, routed, neighbours = (load(name, tmp_path) for name in (drivers.TUNNEL, drivers.ROUTED, drivers.NEIGHBOURS))
    assert routed.networks.keys() == tunnel.networks.keys()
    assert [node.addresses for node in routed.nodes.values()] == [node.addresses for node in tunnel.nodes.values()]
    assert {file.name for file in routed.configs.rglob("*") if file.is_file()} == {"ip.batch"}
    assert {node.command for node in routed.nodes.values()} == {("rest",)}
    assert set(neighbours.nodes) == {drivers.SENDER, drivers.RECEIVER}
    assert len(neighbours.networks) == 1
    for scene in (tunnel, routed, neighbours):
        receiver = scene.nodes[drivers.RECEIVER].addresses[0]
        assert scene.nodes[drivers.SENDER].check[-1] == str(receiver)
