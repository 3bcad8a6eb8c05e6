"""A command that Docker runs in a container, and the conversation with it."""

from __future__ import annotations

import socket
import struct
from typing import Any


class ExecStream:
    """One exec's conversation.

    The engine prefixes each piece of output with a header of 8 bytes: which stream, 3 zero bytes, the length in network
    order (Docker Engine API, "Attach to a container", stream format).
    """

    def __init__(self, attached: Any) -> None:  # noqa: ANN401 # docker-py's own wrapper, of no public type
        self.wrapper = attached
        self.socket: socket.socket = getattr(attached, "_sock", attached)
        # docker-py's 60 s are for its own requests; a conversation may be silent for as long as nobody asks.
        self.socket.settimeout(None)
        self.errors = b""
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """As `Stream.send`."""
        self.socket.sendall(data)

    def end(self) -> None:
        """Send the end of input."""
        self.socket.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """As `Stream.receive`; what came on the error stream is kept in `errors`."""
        while True:
            kind, data = self._piece()
            if kind != _STDERR:
                return data
            self.errors += data

    def all(self) -> tuple[bytes, bytes]:
        """Output and errors until the end."""
        output = b"".join(iter(self.receive, b""))
        return output, self.errors

    def close(self) -> None:
        """As `Stream.close`."""
        self.socket.close()
        # The response lies around the wrapper: closed after it, Python 3.13 would complain of that on the terminal.
        if response := getattr(self.wrapper, "_response", None):
            response.close()
        self.wrapper.close()

    def _piece(self) -> tuple[int, bytes]:
        header = self._exactly(8)
        if not header:
            return 0, b""
        kind, length = struct.unpack(">BxxxL", header)
        return kind, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self.socket.recv(65536)
            if not data:
                return b""
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


_STDERR = 2
