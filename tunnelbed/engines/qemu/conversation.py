"""A conversation with one command on a node, in messages; scripts/vm/guest-agent is the other end and documents them.

Each message has a header of 9 bytes: which conversation, a letter, the length of what follows. The supervisor alone
changes the first: towards a person's command each connection is a conversation of its own, towards a machine all share
one port.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence

HEADER = struct.Struct(">IcI")
# Bytes that may be under way, unacknowledged, in either direction; as in the guest agent.
WINDOW = 1 << 17
PIECE = 1 << 15

RUN, INPUT, SIZE, CLOSE, ACKNOWLEDGE = b"R", b"I", b"S", b"C", b"A"
OUTPUT, ERRORS, EXIT, HELLO = b"O", b"E", b"X", b"H"


def message(number: int, what: bytes, data: bytes = b"") -> bytes:
    """One message, as it goes over a line."""
    return HEADER.pack(number, what, len(data)) + data


def asked(argv: Sequence[str], terminal: tuple[int, int] | None = None) -> bytes:
    """The content of a `RUN`: the command, and its terminal's rows and columns if it has one."""
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
        # Whether a thread reads just now: whoever else waits is told of what it brings.
        self._reads = False
        self._news, self._writing = threading.Condition(), threading.Lock()

    def send(self, data: bytes) -> None:
        """Write to the command's standard input."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self._until(lambda: self._unacknowledged + PIECE <= WINDOW)
            with self._news:
                self._unacknowledged += len(piece)
            with self._writing:
                self.connection.sendall(message(0, INPUT, piece))

    def end(self) -> None:
        """Send the end of input."""
        self._tell(INPUT)

    def resize(self, rows: int, columns: int) -> None:
        """Send the terminal's new size."""
        self._tell(SIZE, json.dumps({"terminal": [rows, columns]}).encode())

    def receive(self) -> bytes:
        """Whatever came from its standard output, at least a byte; empty at the end. Errors are kept in `errors`."""
        self._until(lambda: bool(self._heard))
        return self._heard.popleft() if self._heard else b""

    def all(self) -> tuple[bytes, bytes]:
        """Output and errors until the end."""
        output = b"".join(iter(self.receive, b""))
        return output, self.errors

    def close(self) -> None:
        """End the conversation; the command sees the end of its input."""
        # Whoever waits in `receive` wakes up; a descriptor that is only closed would leave it there.
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        finally:
            self.connection.close()

    def _until(self, so: Callable[[], bool]) -> None:
        """Return when it is so, or the end has come. One of the threads that wait reads, for all of them."""
        while True:
            with self._news:
                self._news.wait_for(lambda: so() or self._ended or not self._reads)
                if so() or self._ended:
                    return
                self._reads = True
            what, data = EXIT, b""
            try:
                what, data = self._one()
            finally:
                with self._news:
                    self._note(what, data)
                    self._reads = False
                    self._news.notify_all()
            if what in (OUTPUT, ERRORS):
                self._tell(ACKNOWLEDGE, str(len(data)).encode())

    def _one(self) -> tuple[bytes, bytes]:
        """The next message; at the end, one without the command's status."""
        header = self._exactly(HEADER.size)
        if not header:
            return EXIT, b""
        _, what, length = HEADER.unpack(header)
        return what, self._exactly(length)

    def _note(self, what: bytes, data: bytes) -> None:
        if what == ACKNOWLEDGE:
            self._unacknowledged -= int(data)
        elif what == EXIT:
            self.status = int(data) if data else None
            self._ended = True
        elif what == ERRORS:
            self.errors += data
        else:
            self._heard.append(data)

    def _tell(self, what: bytes, data: bytes = b"") -> None:
        """Send a message, which is lost if the command has ended meanwhile: its end comes by itself."""
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
