"""A conversation with one command on a node, in messages; scripts/vm/doorman is the other end, and says what they mean.

Each message has a header of 9 bytes: which conversation, a letter, the length of what follows. The keeper alone changes
the first: towards a person's command each connection is a conversation of its own, towards a machine all share a port.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence

HEADER = struct.Struct(">IcI")
# Bytes that may be under way, unacknowledged, in either direction; as in the doorman.
WINDOW = 1 << 17
PIECE = 1 << 15

RUN, INPUT, SIZE, CLOSE, ACKNOWLEDGE = b"R", b"I", b"S", b"C", b"A"
OUTPUT, ERRORS, EXIT, HELLO = b"O", b"E", b"X", b"H"


def message(number: int, what: bytes, data: bytes = b"") -> bytes:
    """One message, as it goes over a line."""
    return HEADER.pack(number, what, len(data)) + data


def asked(argv: Sequence[str], terminal: tuple[int, int] | None = None) -> bytes:
    """What a `RUN` says: the command, and its terminal's rows and columns if it has one."""
    return json.dumps({"argv": list(argv), "terminal": terminal}).encode()


class Conversation:
    """One end of a conversation, over a connection of its own; a `tunnelbed.engines.Stream`.

    One thread may send while another receives.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.errors = b""
        # The command's exit status, once it has ended.
        self.status: int | None = None
        self._ended = False
        self._heard: deque[bytes] = deque()
        self._rest = b""
        self._unacknowledged = 0
        self._reading, self._writing = threading.Lock(), threading.Lock()

    def send(self, data: bytes) -> None:
        """Write to the command's standard input."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            while self._unacknowledged + len(piece) > WINDOW and not self._ended:
                self._take()
            with self._writing:
                self._unacknowledged += len(piece)
                self.connection.sendall(message(0, INPUT, piece))

    def end(self) -> None:
        """Say that no more input comes."""
        self._tell(INPUT)

    def resize(self, rows: int, columns: int) -> None:
        """Say that the terminal has another size."""
        self._tell(SIZE, json.dumps({"terminal": [rows, columns]}).encode())

    def receive(self) -> bytes:
        """Whatever came from its standard output, at least a byte; empty at the end. Errors are kept in `errors`."""
        while not self._heard and not self._ended:
            self._take(until_heard=True)
        return self._heard.popleft() if self._heard else b""

    def all(self) -> tuple[bytes, bytes]:
        """Output and errors until the end."""
        output = []
        while data := self.receive():
            output.append(data)
        return b"".join(output), self.errors

    def close(self) -> None:
        """End the conversation; the command sees the end of its input."""
        # Whoever waits in `receive` wakes up; a descriptor that is only closed would leave it there.
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        finally:
            self.connection.close()

    def _take(self, *, until_heard: bool = False) -> None:
        """Read one message, unless another thread has meanwhile brought what is waited for."""
        with self._reading:
            if self._ended or (until_heard and self._heard):
                return
            if not until_heard and self._unacknowledged + PIECE <= WINDOW:
                return
            header = self._exactly(HEADER.size)
            if not header:
                self._ended = True
                return
            _, what, length = HEADER.unpack(header)
            data = self._exactly(length)
            if what == ACKNOWLEDGE:
                with self._writing:
                    self._unacknowledged -= int(data)
            elif what == EXIT:
                self.status = int(data)
                self._ended = True
            else:
                if what == ERRORS:
                    self.errors += data
                else:
                    self._heard.append(data)
                self._tell(ACKNOWLEDGE, str(length).encode())

    def _tell(self, what: bytes, data: bytes = b"") -> None:
        """Say something that a command which has ended meanwhile need not hear: its end comes by itself."""
        with self._writing, contextlib.suppress(ConnectionError):
            self.connection.sendall(message(0, what, data))

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = b""
            with contextlib.suppress(ConnectionError):
                data = self.connection.recv(1 << 18)
            if not data:
                return b""
            self._rest += data
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
