"""A command at a terminal of its own (a pty), and what a person sees and types there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HOME = Path(__file__).parent.parent
SECONDS = 120.0
# The terminal becomes that of the session, so that Ctrl-C typed there is a signal; then the command itself.
OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Typist:
    """Types at a command, and waits for what it shows."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process, self._terminal = process, terminal
        self.raw = ""
        self._looked = 0

    @property
    def shown(self) -> str:
        """All that was shown, without control codes."""
        return CONTROL.sub("", self.raw).replace("\r\n", "\n")

    def sees(self, text: str) -> str:
        """Wait until this is shown, after what was waited for before; what was shown up to it."""
        end = time.monotonic() + SECONDS
        while text not in self.shown[self._looked :]:
            assert time.monotonic() < end, self.shown
            assert self._reads(), f"ended without {text!r}: {self.shown}"
        until = self.shown.index(text, self._looked) + len(text)
        before, self._looked = self.shown[self._looked : until], until
        return before

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def ends(self) -> int:
        """Wait for the end; the exit code."""
        end = time.monotonic() + SECONDS
        while self._reads():
            assert time.monotonic() < end, self.shown
        return self.process.wait(timeout=SECONDS)

    def _reads(self) -> bool:
        """Read what comes within a second; whether more may come."""
        if not select.select([self._terminal], [], [], 1.0)[0]:
            return True
        try:
            text = os.read(self._terminal, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.raw += text.decode(errors="replace")
        return bool(text)


@contextlib.contextmanager
def typing(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Typist]:
    """Run a command in a session whose terminal we hold."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, *command],
        cwd=folder,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(HOME), **(env or {})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Typist(process, ours)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=SECONDS)
        os.close(ours)
