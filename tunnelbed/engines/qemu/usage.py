"""What a process of this machine has taken so far, as the kernel counts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Taken:
    """The most memory a process has had, how much of its own is mapped from files (bytes), and its time (seconds)."""

    peak: int
    shared: int
    seconds: float


def of(process: int) -> Taken:
    """What a process has taken; raises `OSError` where there is none."""
    folder = Path("/proc") / str(process)
    sizes = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in (folder / "status").read_text(encoding="utf-8").splitlines()
        if line.endswith(" kB")
    }
    # The second field, a name in parentheses, may hold anything; utime and stime are the 14th and 15th (proc(5)).
    fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Taken(sizes["VmHWM"], sizes["RssFile"], ticks / os.sysconf("SC_CLK_TCK"))
