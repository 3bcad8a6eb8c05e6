"""Conversations with nodes: what they saw, by our clock, whatever theirs says."""

from __future__ import annotations

import json
import queue
import socket
import time
from collections.abc import Sequence

import pytest

from tunnelbed import waiting
from tunnelbed.agents import Agent, Frame
from tunnelbed.engines.execs import ExecStream
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import NodeFailed

LATE = 500.0


class Late:
    """A node whose clock is behind: it tells its time, and a frame as soon as it watches."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._said: queue.Queue[bytes] = queue.Queue()

    def send(self, data: bytes) -> None:
        request = json.loads(data)
        self.asked.append(request["do"])
        now = time.time() - LATE
        if request["do"] == "watch":
            self._say({"on": "inside", "kind": 4, "type": 1, "at": now, "data": ""})
        self._say({"id": request["id"], "ok": now if request["do"] == "clock" else True})

    def receive(self) -> bytes:
        return self._said.get()

    def close(self) -> None:
        self._said.put(b"")

    def _say(self, message: object) -> None:
        self._said.put(json.dumps(message).encode() + b"\n")


class OneNode(FakeEngine):
    """An engine with this node alone."""

    def __init__(self, node: Late, *, own_clocks: bool) -> None:
        super().__init__()
        self.node, self.own_clocks = node, own_clocks

    def open(self, project: str, node: str, command: Sequence[str]) -> Late:  # type: ignore[override]
        return self.node


@pytest.mark.parametrize("own_clocks", [True, False])
def test_a_frame_has_our_time_where_nodes_have_clocks_of_their_own(*, own_clocks: bool) -> None:
    node = Late()
    agent = Agent(OneNode(node, own_clocks=own_clocks), "project", "late")
    seen: list[Frame] = []
    agent.watch(seen.append)
    agent.close()
    (frame,) = seen
    assert abs(time.time() - frame.at - (0 if own_clocks else LATE)) < 5
    # Where there is one clock, nobody is asked for the time.
    assert ("clock" in node.asked) is own_clocks


def test_a_conversation_that_has_ended_is_not_waited_for() -> None:
    node = Late()
    agent = Agent(OneNode(node, own_clocks=False), "project", "late")
    agent.close()
    waiting.until(lambda: agent._ended, 5.0, "the end of the conversation")
    with pytest.raises(NodeFailed, match=r"^late: the conversation with it ended; see `invoke status`"):
        agent.sync()


def test_a_conversation_may_be_silent_for_longer_than_a_request_to_the_engine_takes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)
        assert ExecStream(ours).socket.gettimeout() is None
