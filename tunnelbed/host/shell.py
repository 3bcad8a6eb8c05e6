"""The one door through which commands leave.

Every command is a list of arguments, logged as one line that can be pasted into a terminal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from tunnelbed.errors import CommandFailed

log = logging.getLogger("tunnelbed.host.shell")
# A command that goes on by itself, as `start` returns it.
Process = subprocess.Popen[bytes]
# Seconds that a command has to end when asked to.
PATIENCE = 5.0


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: we end as by Ctrl-C, but what we started has not heard of it, as it does from a terminal."""


def heed_signals() -> None:
    """From now on SIGTERM raises `Terminated`, once, unless Ctrl-C came before: nothing disturbs the clearing up.

    So does SIGHUP, of a terminal that is closed, unless whoever started us has us ignore it (nohup(1)). SIGINT raises
    `KeyboardInterrupt` each time; a person who presses Ctrl-C again does not want to wait for the clearing up.
    """
    ending = False

    def end(number: int, _: object) -> None:
        nonlocal ending
        first, ending = not ending, True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if first:
            raise Terminated

    signal.signal(signal.SIGTERM, end)
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


@dataclass(frozen=True)
class Completed:
    """What a command said, as text, and how it ended."""

    command: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """All it said, the error stream last."""
        return "\n".join(part for part in (self.stdout.strip(), self.stderr.strip()) if part)


def quoted(command: Sequence[str]) -> str:
    """A command as a line for a terminal."""
    return shlex.join(command)


def run(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> Completed:
    """Run a command to its end and return what it said.

    `env` is added to this process's environment; `timeout` is in seconds. With `check`, a status other than 0
    raises `CommandFailed`; a command that is not installed or outlives `timeout` always does.
    """
    with _started(command, env, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as late:
            raise CommandFailed(command, None, f"stopped after {timeout:g} s") from late
    completed = Completed(tuple(command), process.returncode, out, err)
    if check and process.returncode != 0:
        raise CommandFailed(command, process.returncode, completed.output)
    return completed


def follow(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a long command and yield each line as it is said, both streams in their order.

    Raises `CommandFailed`, with all that was said, when it is not installed or ends with a status other than 0.
    The command ends with the iteration: whoever stops early stops it too.
    """
    said: list[str] = []
    with _started(command, env, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        for line in process.stdout or ():
            said.append(line)
            yield line.rstrip()
    if process.returncode != 0:
        raise CommandFailed(command, process.returncode, "".join(said))


def start(
    command: Sequence[str], *, fds: Sequence[int] = (), stdin: int = subprocess.DEVNULL, output: IO[bytes] | None = None
) -> Process:
    """Start a command that goes on by itself, apart from this terminal, and return it.

    It inherits the descriptors `fds` and `stdin` and no other: no lock of ours. What it says goes to `output`.
    """
    log.info("%s &", quoted(command))
    said = output or subprocess.DEVNULL
    try:
        return subprocess.Popen(
            list(command), stdin=stdin, stdout=said, stderr=said, pass_fds=fds, start_new_session=True
        )
    except OSError as refused:
        raise CommandFailed(command, 126, f"{command[0]}: {refused.strerror}") from refused


@contextlib.contextmanager
def _started(
    command: Sequence[str], env: Mapping[str, str] | None, *, stdin: int, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A command that runs within a `with`, at whose end it has ended: by itself, or stopped where the body fails."""
    log.info("%s", quoted(command))
    try:
        process = subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(env or {})},
            text=True,
            errors="replace",
            # A lock that the caller lets be inherited stays held until the command has ended, even without the caller.
            close_fds=False,
        )
    except FileNotFoundError as missing:
        raise CommandFailed(command, 127, f"{command[0]} is not installed") from missing
    except OSError as refused:
        raise CommandFailed(command, 126, f"{command[0]}: {refused.strerror}") from refused
    with process:
        try:
            yield process
        except BaseException:
            # Asked first, so that it can leave its work in order: what it began at an engine goes on without it.
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
