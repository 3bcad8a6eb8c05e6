"""What the kernel counts for a container: the peak of its memory and its processor time, by either sort of cgroup."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tunnelbed.engines import Usage
from tunnelbed.errors import EngineUnavailable

# Inside a container: version 2 (cgroup-v2.rst: memory.peak, cpu.stat), else version 1 (memory.rst, cpuacct.rst).
LOOK = (
    "sh",
    "-c",
    "cd /sys/fs/cgroup && cat memory.peak cpu.stat 2>&1 || cat memory/memory.max_usage_in_bytes cpuacct/cpuacct.usage",
)
# The peak in bytes; then either a table with microseconds, or nanoseconds.
_SECOND_VERSION = re.compile(r"(\d+)\n(?:.+\n)*?usage_usec (\d+)\n")
_FIRST_VERSION = re.compile(r"(\d+)\n(\d+)\n?$")


def total(said: Mapping[str, str]) -> Usage:
    """The sum over all nodes of the output of `LOOK` in each; raises `EngineUnavailable` where no peak is counted."""
    counted = [_counted(node, text) for node, text in said.items()]
    return Usage(sum(one.peak_memory for one in counted), sum(one.cpu_seconds for one in counted))


def _counted(node: str, said: str) -> Usage:
    if found := _SECOND_VERSION.match(f"{said}\n"):
        return Usage(int(found[1]), int(found[2]) / 1e6)
    if found := _FIRST_VERSION.search(said):
        return Usage(int(found[1]), int(found[2]) / 1e9)
    reason = (said.strip().splitlines() or ["no output"])[0]
    raise EngineUnavailable(
        f"the kernel reports no peak memory use for {node} ({reason}); it needs Linux 5.19 or later"
    )
