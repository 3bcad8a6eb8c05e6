"""The supervisor's client: ask it something, or let it join us to a command on a node.

A socket's path may have 107 bytes (unix(7)), and a testbed's folder may be anywhere: it is reached by an open folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunnelbed.engines.qemu.conversation import Conversation
from tunnelbed.engines.qemu.vm_supervisor import SOCKET
from tunnelbed.errors import NodeFailed


@dataclass(frozen=True)
class SupervisorClient:
    """The supervisor of one testbed; `folder` is what that supervisor was started with."""

    folder: Path

    def listen(self) -> socket.socket:
        """A socket that listens there, for a supervisor to inherit: who connects from now on waits for it."""
        listener = socket.socket(socket.AF_UNIX)
        with _address(self.folder) as address:
            listener.bind(address)
        # Only who may do what the testbed's owner may (its keys are there, too).
        (self.folder / SOCKET).chmod(0o600)
        listener.listen(128)
        return listener

    def connect(self) -> socket.socket | None:
        """A connection, or None if no supervisor listens."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            with _address(self.folder) as address:
                connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        return connection

    def ask(self, do: str, *, within: float | None = None, **said: object) -> Any:  # noqa: ANN401 # as JSON has it
        """What the supervisor answers, `within` seconds if given; None where there is none, or it ended meanwhile."""
        connection = self.connect()
        if connection is None:
            return None
        connection.settimeout(within)
        with connection, connection.makefile("rwb") as stream, contextlib.suppress(ConnectionError, TimeoutError):
            stream.write(json.dumps({"do": do, **said}).encode() + b"\n")
            stream.flush()
            if line := stream.readline():
                return json.loads(line)
        return None

    def run(self, node: str, argv: Sequence[str], terminal: tuple[int, int] | None = None) -> Conversation:
        """Start a command on a node; raises `NodeFailed` where the node is not up."""
        connection = self.connect()
        state = "not there"
        if connection:
            request = {"do": "run", "node": node, "argv": list(argv), "terminal": terminal}
            with contextlib.suppress(ConnectionError):
                connection.sendall(json.dumps(request).encode() + b"\n")
                state = _line(connection)
            if state == "running":
                return Conversation(connection)
            connection.close()
        raise NodeFailed(node, "does not run" if state == "not there" else f"is {state}", "bring the testbed up first")


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    held = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{held}/{SOCKET}"
    finally:
        os.close(held)


def _line(connection: socket.socket) -> str:
    """The state in the supervisor's answer; read byte by byte, since what follows belongs to the conversation."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            return "not there"
        line += byte
    return str(json.loads(line)["state"])
