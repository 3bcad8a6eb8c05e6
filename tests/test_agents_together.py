"""Conversations with nodes, opened by several threads at the same time, and after one has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fake_network import FakeNetwork
from tests.fake_network.conversation import Conversation
from tests.fake_network.pairs import Pair
from tunnelbed.engines.agents import Agent, Agents
from tunnelbed.errors import NodeFailed
from tunnelbed.host import waiting

THREADS = 4


class Counted(FakeNetwork):
    """A fake network that counts conversations, and opens none before everybody has asked, if told to wait."""

    def __init__(self, root: Path) -> None:
        super().__init__(Pair(root).load())
        self.opened: list[Conversation] = []
        self.slowly = threading.Event()
        self.slowly.set()
        self.refuses = 0

    def open(self, project: str, node: str, command: Sequence[str]) -> Conversation:  # type: ignore[override]
        self.slowly.wait(10)
        if self.refuses:
            self.refuses -= 1
            raise NodeFailed(node, "does not run", "bring the testbed up first")
        self.opened.append(super().open(project, node, command))
        return self.opened[-1]


@pytest.fixture
def network(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


@pytest.fixture
def agents(network: Counted) -> Iterator[Agents]:
    made = Agents(network, "project")
    yield made
    made.close()


def test_four_threads_that_want_the_same_conversation_open_one(network: Counted, agents: Agents) -> None:
    network.slowly.clear()
    with ThreadPoolExecutor(THREADS) as pool:
        found = [pool.submit(agents.on, "host-a") for _ in range(THREADS)]
        network.slowly.set()
        assert len({id(one.result()) for one in found}) == 1
    assert len(network.opened) == 1


def test_conversations_with_several_nodes_are_one_each(network: Counted, agents: Agents) -> None:
    names = tuple(network.nodes)
    seen: list[str] = []
    agents.each(names, lambda agent: seen.append(agent.node))
    agents.each(names, Agent.sync)
    assert sorted(seen) == sorted(names)
    assert len(network.opened) == len(names)


def test_a_conversation_that_has_ended_is_opened_anew(network: Counted, agents: Agents) -> None:
    first = agents.on("host-a")
    network.opened[0].close()
    waiting.until(lambda: first.ended, 5.0, "the end of the conversation")
    second = agents.on("host-a")
    second.sync()
    assert second is not first
    assert len(network.opened) == 2


def test_a_node_that_restarts_is_spoken_to_anew(network: Counted, agents: Agents) -> None:
    agents.on("gateway-a").sync()
    agents.forget("gateway-a")
    network.restart("project", "gateway-a")
    agents.on("gateway-a").sync()
    assert len(network.opened) == 2


def test_who_cannot_be_reached_is_tried_again_by_the_next_who_asks(network: Counted, agents: Agents) -> None:
    network.refuses = 1
    with pytest.raises(NodeFailed, match="host-a: does not run"):
        agents.on("host-a")
    agents.on("host-a").sync()


def test_all_who_wait_are_told_why_a_conversation_cannot_be_opened(network: Counted, agents: Agents) -> None:
    network.refuses = THREADS
    network.slowly.clear()
    with ThreadPoolExecutor(THREADS) as pool:
        found = [pool.submit(agents.on, "host-a") for _ in range(THREADS)]
        network.slowly.set()
        assert all(isinstance(one.exception(), NodeFailed) for one in found)
    network.refuses = 0
    agents.on("host-a").sync()


def test_requests_of_several_threads_get_their_own_answers(agents: Agents) -> None:
    agent = agents.on("host-a")
    names = ["lo", "intranet_a"] * 10

    def mac(name: str) -> str:
        return agent.run(["cat", f"/sys/class/net/{name}/address"]).stdout

    agent.run(["ip", "address", "add", "10.99.0.1/32", "dev", "lo"], check=True)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(mac, names))
    assert len(set(found)) == 2
    assert found == [found[0], found[1]] * 10
