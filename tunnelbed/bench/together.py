"""Scenarios at once against scenarios in turn: coming up, and being proven."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tunnelbed.bench.measured import Measured, Runs
from tunnelbed.bench.stopwatch import timed
from tunnelbed.engines import Progress


def measure(scenarios: Sequence[str], invoke: Sequence[str], runs: int, progress: Progress) -> Sequence[Measured]:
    """Measure scenarios, none of them up; `invoke` is the command to prefix a task with."""
    found = Runs()
    for number in range(1, runs + 1):
        for name, jobs in (("one after another", 1), ("at once", len(scenarios))):
            progress(f"run {number} of {runs}: {', '.join(scenarios)} come up {name}")
            began = time.monotonic()
            with ThreadPoolExecutor(max_workers=jobs) as pool:
                list(pool.map(lambda scenario: timed([*invoke, "up", "--scenario", scenario]), scenarios))
            found.add(f"`invoke up` of {len(scenarios)}, {name}", time.monotonic() - began)
            timed([*invoke, "down"])
            progress(f"run {number} of {runs}: and are proven {name}, from nothing to nothing")
            found.add(f"`invoke verify --jobs {jobs}`", timed([*invoke, "verify", "--jobs", str(jobs)]))
    return found.measured()
