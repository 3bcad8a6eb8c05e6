"""Scenarios at once against scenarios in turn: coming up, and being proven."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tunnelbed.bench import machine
from tunnelbed.bench.measured import Results, Runs, Series
from tunnelbed.bench.stopwatch import timed
from tunnelbed.engines import Progress


def measure(scenarios: Sequence[str], invoke: Sequence[str], runs: int, progress: Progress) -> Results:
    """Measure scenarios, none of them up; `invoke` is the command to prefix a task with."""
    facts = {**machine.conditions(), "runs": str(runs)}
    forms = {"one after another": (1, Runs()), "at once": (len(scenarios), Runs())}
    for number in range(1, runs + 1):
        for name, (jobs, found) in forms.items():
            progress(f"run {number} of {runs}: {', '.join(scenarios)} come up {name}")
            began = time.monotonic()
            with ThreadPoolExecutor(max_workers=jobs) as pool:
                list(pool.map(lambda scenario: timed([*invoke, "up", "--scenario", scenario]), scenarios))
            found.add("up", time.monotonic() - began)
            timed([*invoke, "down"])
            progress(f"run {number} of {runs}: and are proven {name}, from nothing to nothing")
            found.add("proven, from nothing to nothing", timed([*invoke, "verify", "--jobs", str(jobs)]))
    every = ", ".join(scenarios)
    return Results(facts, tuple(Series(every, name, found.measured()) for name, (_, found) in forms.items()))
