"""The one door through which commands leave.

Every command is a list of arguments, logged as one line that can be pasted into a terminal.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunnelbed.errors import CommandFailed

log = logging.getLogger("tunnelbed.shell")


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
    log.info("%s", quoted(command))
    try:
        done = subprocess.run(
            list(command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as missing:
        raise CommandFailed(command, 127, f"{command[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(command, None, f"stopped after {timeout:g} s") from late
    completed = Completed(tuple(command), done.returncode, done.stdout, done.stderr)
    if check and done.returncode != 0:
        raise CommandFailed(command, done.returncode, completed.output)
    return completed


def follow(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a long command and yield each line as it is said, both streams in their order.

    Raises `CommandFailed`, with all that was said, when it is not installed or ends with a status other than 0.
    The command ends with the iteration: whoever stops early stops it too.
    """
    log.info("%s", shlex.join(command))
    said: list[str] = []
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            text=True,
            errors="replace",
        )
    except FileNotFoundError as missing:
        raise CommandFailed(command, 127, f"{command[0]} is not installed") from missing
    with process:
        try:
            for line in process.stdout or ():
                said.append(line)
                yield line.rstrip()
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise CommandFailed(command, process.returncode, "".join(said))
