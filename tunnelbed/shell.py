"""The one door through which commands leave.

Every command is a list of arguments, logged as one line that can be pasted into a terminal.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
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
    log.info("%s", shlex.join(command))
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
