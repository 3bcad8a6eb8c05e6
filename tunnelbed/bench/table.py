"""What was measured as Markdown, beside the paper's own figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from tunnelbed.bench.measured import Measured

# The paper's Table 1: fresh boot with Docker Compose, and the peak of memory, averaged over its three testbeds.
PAPER_BOOT_SECONDS, PAPER_MEMORY_MB = 75.0, 278.0


def markdown(name: str, found: Sequence[Measured]) -> str:
    """The figures as a table, each time with its ratio to the first one."""
    first = found[0]
    lines = [
        f"{name}: {platform.machine()}, {len(os.sched_getaffinity(0))} cores; medians of {len(first.runs)} runs.",
        "",
        "| what | median | least to most | against the first line |",
        "|---|---|---|---|",
    ]
    for one in found:
        ratio = f"{one.median / first.median:.2f}" if one.unit == "s" and "expectation" not in one.name else ""
        lines.append(f"| {one.name} | {one.median:.3g} {one.unit} | {one.spread} | {ratio} |")
    paper = f"{PAPER_BOOT_SECONDS:g} s from nothing to up, {PAPER_MEMORY_MB:g} MB at the peak"
    return "\n".join([*lines, "", f"The paper's own figures, on its own machine, a scenario: {paper}."])
