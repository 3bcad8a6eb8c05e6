"""The agent's protocol, spoken by a fake node (see scripts/node/agent)."""

from __future__ import annotations

import base64
import errno
import json
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from tests.fake_network import commands
from tests.fake_network.stack import FakeNode
from tests.fake_network.vici import SOCKET, Session
from tunnelbed.host.shell import Completed

if TYPE_CHECKING:
    from tests.fake_network.network import FakeNetwork

EPOCH = 1_700_000_000.0


class Conversation:
    """A stream to one node: requests are done as they are sent, answers wait until they are received."""

    def __init__(self, network: FakeNetwork, node: FakeNode) -> None:
        self.network, self.node = network, node
        self.watched = False
        # How many frames the next `sync` says were lost.
        self.lost = 0
        self._listening: dict[int, tuple[str, ...]] = {}
        self._sockets: dict[int, Session] = {}
        self._said: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._received = self._closed = False

    # As `engines.Stream`.

    def send(self, data: bytes) -> None:
        """Do what the lines ask."""
        if self._closed:
            raise BrokenPipeError
        self.network.clock.asked += 1
        self.network.workers.arrive()
        with self.network.lock:
            for line in data.splitlines():
                self._do(json.loads(line))

    def receive(self) -> bytes:
        """Whatever was said since the last call, at least a line; empty at the end."""
        with self._changed:
            self._received = True
            self._changed.notify_all()
            while not self._said and not self._closed:
                self._changed.wait()
            self._received = False
            said = b"".join(self._said)
            self._said.clear()
            return said

    def close(self) -> None:
        """End it."""
        self.network.closed(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drained(self) -> None:
        """Return once whoever receives has been through everything that was said."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._received and not self._said), 10)

    # What the node says.

    def frame(self, name: str, kind: int, hardware: int, at: float, data: bytes) -> None:
        """A frame was seen."""
        if self.watched:
            text = base64.b64encode(data).decode()
            self._say({"on": name, "kind": kind, "type": hardware, "at": EPOCH + at, "data": text})

    def traced(self, line: str) -> None:
        """A line of a firewall's trace."""
        for number, command in self._listening.items():
            if command == ("nft", "monitor", "trace"):
                self._say({"of": number, "line": line})

    def _say(self, message: dict[str, Any]) -> None:
        with self._changed:
            self._said.append(json.dumps(message).encode() + b"\n")
            self._changed.notify_all()

    def _do(self, request: dict[str, Any]) -> None:
        number = request["id"]
        said: dict[str, object]
        try:
            done = self._asked(request)
        except OSError as wrong:
            said = {"error": f"{type(wrong).__name__}: {wrong}"}
        else:
            if isinstance(done, Iterator):
                self._go_on(number, done)
                return
            said = {"ok": done}
        self.network.move()
        self._say({"id": number, **said})

    def _go_on(self, number: int, steps: Iterator[float | Completed]) -> None:
        """A command that takes its time: it says how many seconds until its next step, and at last how it ended."""
        step = next(steps)
        self.network.move()
        if isinstance(step, Completed):
            self._say({"id": number, "ok": _ended(step)})
        else:
            self.network.clock.later(step, lambda: self._go_on(number, steps))

    def _asked(self, request: dict[str, Any]) -> object:
        match request["do"]:
            case "watch" | "unwatch":
                self.watched = request["do"] == "watch"
                return 0
            case "sync":
                lost, self.lost = self.lost, 0
                return lost
            case "link":
                self.network.transmit(self.node, request["on"], base64.b64decode(request["data"]))
                return True
            case "ip":
                data = base64.b64decode(request["data"])
                self.node.send(IP(data) if data[0] >> 4 == 4 else IPv6(data))
                return True
            case "clock":
                return EPOCH + self.network.clock.now()
            case "run":
                done = commands.run(self.network, self.node, request["argv"])
                return _ended(done) if isinstance(done, Completed) else done
            case "listen":
                self._listening[number := request["id"]] = tuple(request["argv"])
                return number
            case "connect" | "send" | "close":
                return self._talk(request["do"], request)
            case "hush":
                self._listening.pop(request["of"])
                return True
        raise ValueError(f"the fake agent does not know {request['do']}")

    def _talk(self, what: str, request: dict[str, Any]) -> int:
        """Open the socket of the node's charon, write to it, or close it."""
        if what == "connect":
            charon = self.network.charons.get(self.node.name)
            if request["path"] != SOCKET or charon is None or not charon.answers:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            self._sockets[number := int(request["id"])] = Session(charon)
            return number
        number = int(request["of"])
        if what == "close":
            self._sockets.pop(number, None)
        elif number not in self._sockets:
            raise ConnectionError("the other side has closed it")
        else:
            for answer in self._sockets[number].hear(base64.b64decode(request["data"])):
                self.network.move()
                self._say({"of": number, "data": base64.b64encode(answer).decode()})
        return number

    def hang_up(self) -> None:
        """The node's charon has ended, and its sockets with it."""
        for number in self._sockets:
            self._say({"of": number, "data": ""})
        self._sockets.clear()


def _ended(done: Completed) -> dict[str, object]:
    return {"status": done.status, "out": done.stdout, "err": done.stderr}
