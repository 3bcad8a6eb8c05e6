"""Links that lose packets: what nodes are told, that it is taken back, and a kernel that cannot do it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.conftest import Checkout
from tests.fake_network import FakeNetwork
from tunnelbed.errors import TunnelbedError
from tunnelbed.faults import links_and_nodes
from tunnelbed.host.shell import Completed
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

UNSUPPORTED = "Error: Could not process rule: Operation not supported"


class Nodes:
    """Nodes that write down what they are told, and refuse it where their kernel says something of it."""

    def __init__(self, checkout: Checkout, refusal: str = "") -> None:
        self.told: list[tuple[str, str]] = []
        scene = compose_file.load("tiny", checkout.root)
        network = FakeNetwork(scene)
        self.bed = Bed(scene, checkout.root, network)

        def answer(node: str, command: Sequence[str]) -> Completed:
            self.told.append((node, " ".join(command)))
            return Completed(tuple(command), 1 if refusal else 0, "", refusal)

        network.answers.append(answer)


def test_whoever_stands_in_a_network_loses_what_it_sends_there_until_it_is_over(checkout: Checkout) -> None:
    nodes = Nodes(checkout)
    with links_and_nodes.lossy(nodes.bed, nodes.bed.scenario.networks["outside"], 3):
        assert [node for node, _ in nodes.told] == ["gateway", "server"]
        assert all('device "outside"' in said and "numgen inc mod 3 == 2 drop" in said for _, said in nodes.told)
    *_, made, first, second = nodes.told
    table = made[1].split("table netdev ")[1].split()[0]
    assert {first, second} == {(node, f"nft delete table netdev {table}") for node in ("gateway", "server")}


def test_large_packets_are_large_by_either_ip_version(checkout: Checkout) -> None:
    nodes = Nodes(checkout)
    with links_and_nodes.narrow(nodes.bed, nodes.bed.scenario.networks["inside"], 1300):
        assert all("ip length > 1300 drop" in said and "ip6 length > 1260 drop" in said for _, said in nodes.told)


def test_a_link_that_is_down_already_loses_nothing_more(checkout: Checkout) -> None:
    nodes = Nodes(checkout)
    nodes.bed.absent.add(("gateway", "outside"))
    with links_and_nodes.lossy(nodes.bed, nodes.bed.scenario.networks["outside"], 3):
        assert [node for node, _ in nodes.told] == ["server"]


def test_a_kernel_that_cannot_lose_packets_is_told_what_it_lacks(checkout: Checkout) -> None:
    nodes = Nodes(checkout, UNSUPPORTED)
    with (
        pytest.raises(TunnelbedError, match="CONFIG_NETFILTER_EGRESS"),
        links_and_nodes.lossy(nodes.bed, nodes.bed.scenario.networks["outside"], 3),
    ):
        pytest.fail("nothing is lost, and the sentence goes on")
    assert "nft delete table" in nodes.told[-1][1]


def test_a_link_loses_nothing_more_though_a_node_restarted_meanwhile(checkout: Checkout) -> None:
    scene = compose_file.load("tiny", checkout.root)
    network = FakeNetwork(scene)
    bed = Bed(scene, checkout.root, network)

    def losing() -> list[str]:
        return [name for name, node in network.nodes.items() if node.rules.egress("outside")]

    with links_and_nodes.lossy(bed, scene.networks["outside"], 3):
        assert losing() == ["gateway", "server"]
        with links_and_nodes.restarted(bed, scene.node("gateway")):
            # What it was told went with it.
            assert losing() == ["server"]
    assert losing() == []
