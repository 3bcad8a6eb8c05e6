"""charon's own protocol, vici, spoken from here: its socket is relayed by the node's agent.

    Charon(host).ask("version")

The messages are those of strongSwan's README for vici (src/libcharon/plugins/vici/README.md).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import TypeVar

import vici
from vici.exception import CommandException, SessionException

from tunnelbed.engines.agents import NodeSocket
from tunnelbed.errors import CommandFailed, NodeFailed, TunnelbedError
from tunnelbed.vpn.api import Host

SOCKET = "/run/charon.vici"
T = TypeVar("T")
# A message as it comes: sections, lists of bytes, and bytes.
Message = Mapping[str, object]


class NotListening(NodeFailed):
    """There is no charon on a node, or it has just ended."""


class Charon:
    """The conversations with one node's charon: one that stays open, and others for what takes its time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._kept: tuple[NodeSocket, vici.Session] | None = None

    def ask(self, command: str, message: Message | None = None) -> Message:
        """The answer to a command. Raises `NotListening`, or `CommandFailed` where charon refuses."""
        with self._asked(command) as session:
            found: Message = session.request(command, message)
            return found

    def listed(self, command: str, event: str, message: Message | None = None) -> list[Message]:
        """Everything that a command lists, an event each."""
        with self._asked(command) as session:
            return list(session.streamed_request(command, event, message))

    def greets(self, seconds: float) -> bool:
        """Whether charon answers a newcomer within so many seconds. Raises `NotListening` where it does not."""
        with self._errors("version"), self._opened() as opened:
            opened.settimeout(seconds)
            return bool(vici.Session(opened).request("version"))

    def wait(self, command: str, message: Message) -> bool:
        """Give a command that ends in its time, beside everything else; whether charon says that it succeeded."""
        with self._errors(command), self._opened() as opened, contextlib.suppress(CommandException):
            list(vici.Session(opened).streamed_request(command, "control-log", message))
            return True
        return False

    @contextlib.contextmanager
    def _asked(self, command: str) -> Iterator[vici.Session]:
        """The conversation that stays open; opened anew where charon, or the node, has ended it since."""
        with self._lock, self._errors(command):
            if self._kept and self._kept[0].ended:
                self._kept = None
            if self._kept is None:
                opened = self._host.connect(SOCKET)
                self._kept = opened, vici.Session(opened)
            try:
                yield self._kept[1]
            except CommandException:
                raise
            except BaseException:
                # What was left unread would be taken for the next answer.
                broken, self._kept = self._kept[0], None
                with contextlib.suppress(TunnelbedError):
                    broken.close()
                raise

    @contextlib.contextmanager
    def _opened(self) -> Iterator[NodeSocket]:
        opened = self._host.connect(SOCKET)
        try:
            yield opened
        finally:
            with contextlib.suppress(TunnelbedError):
                opened.close()

    @contextlib.contextmanager
    def _errors(self, command: str) -> Iterator[None]:
        """Convert errors of the vici library to those of this library."""
        try:
            yield
        except CommandException as refused:
            raise CommandFailed([command], 1, str(refused), self._host.name) from refused
        except (OSError, SessionException, CommandFailed) as gone:
            raise NotListening(self._host.name, f"charon does not answer: {gone}", "see `invoke logs`") from gone


def text(message: Message, key: str) -> str:
    """A value; empty where there is none."""
    value = message.get(key, b"")
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def number(message: Message, key: str, base: int = 10) -> int:
    """A number; 0 where there is none."""
    return int(text(message, key) or "0", base)


def texts(message: Message, key: str) -> tuple[str, ...]:
    """A list; empty where there is none."""
    value = message.get(key, ())
    return tuple(item.decode(errors="replace") for item in value) if isinstance(value, list) else ()


def sections(message: Message, key: str = "") -> dict[str, Message]:
    """The sections of a message, or of one section of it."""
    inner = message.get(key, {}) if key else message
    found = inner if isinstance(inner, Mapping) else {}
    return {name: said for name, said in found.items() if isinstance(said, Mapping)}
