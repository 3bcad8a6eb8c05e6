"""Conversations with nodes: what they saw, by our clock, whatever theirs says."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tunnelbed.engines.agents import Agent, Frame
from tunnelbed.engines.docker.execs import ExecStream
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import CommandFailed, NodeFailed
from tunnelbed.host import waiting

LATE = 500.0


class Late:
    """A node whose clock is behind: it tells its time, and a frame as soon as it watches."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.lost = 0
        self._said: queue.Queue[bytes] = queue.Queue()

    def send(self, data: bytes) -> None:
        request = json.loads(data)
        self.asked.append(request["do"])
        now = time.time() - LATE
        if request["do"] == "watch":
            self._say({"on": "inside", "kind": 4, "type": 1, "at": now, "data": ""})
        answers = {"clock": now, "sync": self.lost}
        self._say({"id": request["id"], "ok": answers.get(request["do"], True)})

    def receive(self) -> bytes:
        return self._said.get()

    def close(self) -> None:
        self._said.put(b"")

    def _say(self, message: object) -> None:
        self._said.put(json.dumps(message).encode() + b"\n")


class Here:
    """The real agent, with this machine as its node."""

    def __init__(self) -> None:
        script = Path(__file__).parent.parent / "scripts/node/agent"
        self.process = subprocess.Popen(
            [sys.executable, "-IS", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin
        assert self.process.stdout
        self.asks, self.says = self.process.stdin, self.process.stdout

    def send(self, data: bytes) -> None:
        if self.asks.closed:
            raise BrokenPipeError("closed, as a socket would say it")
        self.asks.write(data)
        self.asks.flush()

    def receive(self) -> bytes:
        return os.read(self.says.fileno(), 65536)

    def close(self) -> None:
        self.asks.close()
        self.process.wait(10)


class OneNode(FakeEngine):
    """An engine with this node alone."""

    def __init__(self, node: Late | Here, *, own_clocks: bool) -> None:
        super().__init__()
        self.node, self.own_clocks = node, own_clocks

    def open(self, project: str, node: str, command: Sequence[str]) -> Late | Here:  # type: ignore[override]
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


def test_a_node_that_lost_frames_says_so_and_nothing_is_judged() -> None:
    node = Late()
    agent = Agent(OneNode(node, own_clocks=False), "project", "busy")
    agent.sync()
    node.lost = 3
    with pytest.raises(NodeFailed, match="busy: lost 3 captured frames: its buffer was full"):
        agent.sync()
    agent.close()


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (b"Traceback (most recent call last):\n", "JSONDecodeError: Expecting value"),
        (b'{"id": 99, "ok": 1}\n', "KeyError: 99"),
    ],
)
def test_a_message_that_is_none_ends_the_conversation_and_is_told(message: bytes, cause: str) -> None:
    node = Late()
    agent = Agent(OneNode(node, own_clocks=False), "project", "odd")
    node._said.put(message)
    waiting.until(lambda: agent.ended, 5.0, "the end of the conversation")
    with pytest.raises(NodeFailed, match=f"^odd: the connection to its agent ended by {cause}") as failed:
        agent.sync()
    assert failed.value.__cause__ is not None


def test_a_conversation_that_has_ended_is_not_waited_for() -> None:
    node = Late()
    agent = Agent(OneNode(node, own_clocks=False), "project", "late")
    agent.close()
    waiting.until(lambda: agent._ended, 5.0, "the end of the conversation")
    with pytest.raises(NodeFailed, match=r"^late: the connection to its agent ended; see `invoke status`"):
        agent.sync()


class Choosy(Late):
    """A node that answers when it has heard three requests to send, and sends nothing by `down`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, object]] = []

    def send(self, data: bytes) -> None:
        request = json.loads(data)
        if request["do"] != "link":
            super().send(data)
            return
        self.sent.append(request)
        if len(self.sent) == 3:
            for each in reversed(self.sent):
                refused = {"error": "OSError: [Errno 100] Network is down"} if each["on"] == "down" else {"ok": True}
                self._say({"id": each["id"], **refused})


def test_frames_are_sent_without_waiting_for_one_after_the_other() -> None:
    node = Choosy()
    agent = Agent(OneNode(node, own_clocks=False), "project", "quick")
    before = time.time()
    first, refused, last = agent.send_frames([("up", b"one"), ("down", b"two"), ("up", b"three")])
    assert [(each["on"], each["data"]) for each in node.sent] == [("up", "b25l"), ("down", "dHdv"), ("up", "dGhyZWU=")]
    # Of each, when the node's answer came, or why it did not send it.
    assert isinstance(first, float)
    assert isinstance(last, float)
    assert before <= last <= first <= time.time()
    assert isinstance(refused, CommandFailed)
    assert "Network is down" in str(refused)
    agent.close()


# Tells its process number and something more, and goes on.
TALKER = ("sh", "-c", "echo $$; echo more; exec sleep 60")


@pytest.fixture
def here() -> Iterator[Agent]:
    node = Here()
    agent = Agent(OneNode(node, own_clocks=False), "project", "here")
    yield agent
    agent.close()
    node.says.close()


def heard(lines: Sequence[str], count: int) -> Sequence[str]:
    return waiting.until(lambda: lines, 10.0, "what the command says", good=lambda said: len(said) == count)


def runs(process: str) -> bool:
    """Whether a process is there; one that has ended is a zombie until somebody waits for it."""
    state = Path("/proc", process, "stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_command_is_listened_to_while_the_body_runs_and_ended_then(here: Agent) -> None:
    with here.listen(TALKER) as lines, here.listen(["echo", "between"]) as others:
        process, more = heard(lines, 2)
        assert (more, list(heard(others, 1))) == ("more", ["between"])
        assert runs(process)
    assert not runs(process)


def test_a_command_ends_with_the_conversation(here: Agent) -> None:
    with contextlib.ExitStack() as stack:
        process, _ = heard(stack.enter_context(here.listen(TALKER)), 2)
        here.close()
        with pytest.raises(NodeFailed, match="the connection to its agent ended"):
            stack.close()
    waiting.until(lambda: not runs(process), 10.0, "the command to end")


def test_a_command_that_a_node_lacks_cannot_be_listened_to(here: Agent) -> None:
    with pytest.raises(CommandFailed, match="no-such-command"), here.listen(["no-such-command"]):
        pass


def test_a_conversation_may_be_silent_for_longer_than_a_request_to_the_engine_takes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)
        assert ExecStream(ours).socket.gettimeout() is None
