"""The time a command takes that a person could type."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tunnelbed.host import shell


def timed(command: Sequence[str]) -> float:
    """Seconds a command takes that must succeed; raises `CommandFailed`."""
    began = time.monotonic()
    shell.run(command)
    return time.monotonic() - began
