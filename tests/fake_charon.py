"""charon, as far as vici goes: what it lists, what it is told, and a host on which it listens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from vici.protocol import FiniteStream, Message, Packet

from tunnelbed.engines.agents import NodeSocket
from tunnelbed.errors import CommandFailed
from tunnelbed.host.shell import Completed
from tunnelbed.vpn.api import Child, Tunnel

DATA = Path(__file__).parent / "data"
LISTS = {"list-sas": "list-sa", "list-conns": "list-conn"}


def recorded(name: str) -> list[dict[str, Any]]:
    """What a real charon listed, an event each: one of the answers in data/."""
    return [as_sent(event) for event in json.loads((DATA / f"{name}.json").read_text())]


def as_sent(value: Any) -> Any:  # noqa: ANN401 # a message, a list or a text
    """A message as it comes over the wire: every text is bytes."""
    if isinstance(value, Mapping):
        return {key: as_sent(inner) for key, inner in value.items()}
    return [as_sent(inner) for inner in value] if isinstance(value, list) else str(value).encode()


class FakeCharon:
    """Answers by vici: `lists` are the messages of each listing command, `refuses` the commands that fail."""

    def __init__(self, sas: Sequence[Mapping[str, Any]] = (), conns: Sequence[Mapping[str, Any]] = ()) -> None:
        self.lists: dict[str, Sequence[Mapping[str, Any]]] = {"list-sas": sas, "list-conns": conns}
        self.refuses: set[str] = set()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.opened: list[FakeSocket] = []
        self.listens = True

    def connect(self) -> FakeSocket:
        """A conversation. Raises as a node's agent does where nobody listens."""
        if not self.listens:
            raise CommandFailed(["agent"], 1, "ConnectionRefusedError: [Errno 111] Connection refused", "gateway")
        self.opened.append(FakeSocket(self))
        return self.opened[-1]

    def dies(self) -> None:
        """End every conversation and listen to nobody."""
        self.listens = False
        for opened in self.opened:
            opened.ended = True

    def answers(self, packet: bytes) -> Iterator[bytes]:
        """What it says to one packet."""
        kind, length = packet[0], packet[1]
        name, rest = packet[2 : 2 + length].decode(), packet[2 + length :]
        if kind in (Packet.EVENT_REGISTER, Packet.EVENT_UNREGISTER):
            yield bytes([Packet.EVENT_CONFIRM])
            return
        self.asked.append((name, _read(rest)))
        for event in self.lists.get(name, ()):
            said = LISTS[name].encode()
            yield bytes([Packet.EVENT, len(said)]) + said + Message.serialize(event)
        reply: dict[str, object] = {"success": "no", "errmsg": "refused"} if name in self.refuses else {}
        if name == "version":
            reply = {"daemon": "charon", "version": "6.0.1"}
        if name == "get-conns":
            reply = {"conns": [key for event in self.lists["list-conns"] for key in event]}
        yield bytes([Packet.CMD_RESPONSE]) + Message.serialize(reply)


class FakeSocket:
    """One conversation with it."""

    def __init__(self, charon: FakeCharon) -> None:
        self.charon, self.ended = charon, False
        self.closed = False
        self._buffer = b""

    def sendall(self, data: bytes) -> None:
        if self.ended:
            raise CommandFailed(["agent"], 1, "ConnectionError: the other side has closed it", "gateway")
        for packet in self.charon.answers(data[4:]):
            self._buffer += len(packet).to_bytes(4, "big") + packet

    def recv(self, most: int) -> bytes:
        found, self._buffer = self._buffer[:most], self._buffer[most:]
        return found

    def gettimeout(self) -> float | None:
        return None

    def settimeout(self, seconds: float | None) -> None:
        pass

    def close(self) -> None:
        self.closed = self.ended = True


class FakeHost:
    """A node with such a charon: commands are answered by `answer`, whatever is written is in `written`."""

    def __init__(self, charon: FakeCharon, name: str = "gateway") -> None:
        self.charon, self.name = charon, name
        self.ran: list[tuple[str, ...]] = []
        self.written: dict[str, str] = {}
        self.said = ""
        self.answer: Callable[[Sequence[str]], str] = lambda _: ""

    def run(self, command: Sequence[str], *, timeout: float = 30, check: bool = False) -> Completed:
        self.ran.append(tuple(command))
        return Completed(tuple(command), 0, self.answer(command), "")

    def write(self, path: str, text: str) -> None:
        self.written[path] = text

    def connect(self, path: str) -> NodeSocket:
        assert path == "/run/charon.vici"
        return cast("NodeSocket", self.charon.connect())

    def log(self, since: str = "") -> str:
        return self.said[int(since or 0) :]

    def mark(self) -> str:
        return str(len(self.said))


def _read(message: bytes) -> dict[str, str]:
    found = Message.deserialize(FiniteStream(message))
    return {key: value.decode() for key, value in found.items() if isinstance(value, bytes)}


def tunnel(spi_in: int, spi_out: int) -> Tunnel:
    """A tunnel that carries, with one child."""
    child = Child("child", "1", "INSTALLED", carries=True, local=(), remote=(), number_in=spi_in, number_out=spi_out)
    return Tunnel("tunnel", "1", "ESTABLISHED", True, None, None, 500, 500, "", "", False, (child,))  # noqa: FBT003 # values
