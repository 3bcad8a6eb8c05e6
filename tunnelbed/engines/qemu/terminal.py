"""A command on a node, with this terminal: `python -m tunnelbed.engines.qemu.terminal FOLDER NODE COMMAND...`.

Where standard input and output are a terminal, the command gets one too; otherwise bytes go as they are. Ends with the
command's own status.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

from tunnelbed.engines.qemu.conversation import PIECE, Conversation
from tunnelbed.engines.qemu.supervisor_client import SupervisorClient
from tunnelbed.errors import NodeFailed


def main(words: list[str]) -> int:
    """Run the command, and return its status."""
    folder, node, *argv = words
    person = os.isatty(0) and os.isatty(1)
    try:
        stream = SupervisorClient(Path(folder)).run(node, argv, _size() if person else None)
    except NodeFailed as wrong:
        print(f"tunnelbed: {wrong}", file=sys.stderr)  # noqa: T201 (a command)
        return 2
    with _raw() if person else contextlib.nullcontext():
        if person:
            # Blocked in every thread, and so kept for the one that waits for it. A handler would run in this thread,
            # wherever that is: perhaps just where it holds the lock that `resize` needs.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
            threading.Thread(target=_hand_on_size, args=(stream,), daemon=True).start()
        threading.Thread(target=_hand_in, args=(stream,), daemon=True).start()
        told = 0
        while data := stream.receive():
            _write(1, data)
            _write(2, stream.errors[told:])
            told = len(stream.errors)
        _write(2, stream.errors[told:])
    if stream.status is None:
        print(f"tunnelbed: {node}: the VM stopped; see `invoke status`", file=sys.stderr)  # noqa: T201
        return 2
    return stream.status


def _hand_in(stream: Conversation) -> None:
    """Hand on what is typed."""
    with contextlib.suppress(OSError):
        while data := os.read(0, PIECE):
            stream.send(data)
        stream.end()


def _hand_on_size(stream: Conversation) -> None:
    """Send the terminal's size each time it changes."""
    with contextlib.suppress(OSError):
        while True:
            signal.sigwait({signal.SIGWINCH})
            stream.resize(*_size())


def _size() -> tuple[int, int]:
    size = os.get_terminal_size(1)
    return size.lines, size.columns


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Every key is the command's, Ctrl-C too."""
    kept = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, kept)


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
