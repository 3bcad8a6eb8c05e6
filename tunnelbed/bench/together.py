"""Scenarios at once against scenarios in turn: coming up, and being proven."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tunnelbed.bench import machine
from tunnelbed.bench.measured import Results, Runs, Series
from tunnelbed.bench.stopwatch import timed
from tunnelbed.engines import Progress
from tunnelbed.errors import BadInput
from tunnelbed.host import shell
from tunnelbed.testbed.testbed import open_testbed
from tunnelbed.topology.compose_file import load, names


def measure(root: Path, invoke: Sequence[str], runs: int, progress: Progress) -> Results:
    """Measure all scenarios of a folder, none of them up; `invoke` is the command to prefix a task with."""
    scenarios = names(root)
    for name in scenarios:
        if open_testbed(load(name, root), root).is_up():
            raise BadInput("bench", name, "up", "down: the start is measured", f"`invoke down --scenario {name}`")
    where = ("--path", str(root))
    facts = {**machine.conditions(), "runs": str(runs)}
    forms = {"one after another": (1, Runs()), "at once": (len(scenarios), Runs())}
    for number in range(1, runs + 1):
        for name, (jobs, found) in forms.items():
            progress(f"run {number} of {runs}: {', '.join(scenarios)} come up {name}")
            began = time.monotonic()
            try:
                with ThreadPoolExecutor(max_workers=jobs) as pool:
                    list(pool.map(lambda scenario: timed([*invoke, "up", "--scenario", scenario, *where]), scenarios))
                found.add("up", time.monotonic() - began)
            finally:
                for each in scenarios:
                    shell.run([*invoke, "down", "--scenario", each, *where], check=False)
            progress(f"run {number} of {runs}: and are verified {name}, with start and stop")
            found.add("proven, from nothing to nothing", timed([*invoke, "verify", "--jobs", str(jobs), *where]))
    every = ", ".join(scenarios)
    return Results(facts, tuple(Series(every, name, found.measured()) for name, (_, found) in forms.items()))
