"""The whole machine while something is measured on it: processor time and memory, whoever took them.

It sees what no node's own count can: the engine, its helpers, the kernel. It means something only where nothing else
runs.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
# Seconds between two looks at the memory that is free: a process that lives shorter may be missed.
EVERY = 0.2
# Of the first line of /proc/stat (proc_stat(5)): idle and iowait are no work; guest is in user already.
IDLE, WORK = (3, 4), 8


class Meter:
    """What the machine spent from the beginning of a `with` until `stop`, or its end.

    `cpu_seconds` is processor time, `peak_memory` by how many bytes the memory available fell at most.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self.cpu_seconds = 0.0
        self.peak_memory = 0

    def __enter__(self) -> Self:
        self._busy, self._available = busy_seconds(self._proc), available_bytes(self._proc)
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Measure no further; a second time, do nothing."""
        if not self._ended.is_set():
            self._ended.set()
            self._looking.join()
            self.cpu_seconds = busy_seconds(self._proc) - self._busy
            self._note()

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            self._note()

    def _note(self) -> None:
        self.peak_memory = max(self.peak_memory, self._available - available_bytes(self._proc))


def busy_seconds(proc: Path = PROC) -> float:
    """Seconds that processors of this machine have worked since it was started, all of them together."""
    ticks = [int(word) for word in (proc / "stat").read_text().splitlines()[0].split()[1 : WORK + 1]]
    return sum(count for index, count in enumerate(ticks) if index not in IDLE) / TICKS


def available_bytes(proc: Path = PROC) -> int:
    """Memory that new processes could have, in bytes (proc_meminfo(5), MemAvailable): page cache counts as free."""
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    raise OSError(f"{proc}/meminfo has no MemAvailable; this needs Linux 3.14 or later")


def conditions(proc: Path = PROC) -> Mapping[str, str]:
    """What a reader must know of the machine to judge the figures."""
    models = [line for line in (proc / "cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    total = int((proc / "meminfo").read_text().split()[1]) / 1e6
    return {
        "processors": f"{len(os.sched_getaffinity(0))} x {model} ({platform.machine()})",
        "memory": f"{total:.1f} GB",
        "kernel": platform.release(),
        "load when it began": f"{os.getloadavg()[0]:.1f}",
    }
