"""A scenario's life in phases: up, proven, down, and what its nodes cost meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tunnelbed.bench import floor
from tunnelbed.bench.measured import Measured, Runs
from tunnelbed.bench.stopwatch import timed
from tunnelbed.engines import Progress
from tunnelbed.errors import BadInput
from tunnelbed.testbed import Testbed

POSITIVE = re.compile(r"(can reach|gets a pong from|and is seen there as)")
NEGATIVE = re.compile(r"(cannot reach|gets no pong|does not reach)")


def measure(bed: Testbed, invoke: Sequence[str], runs: int, progress: Progress) -> Sequence[Measured]:
    """Measure a scenario that is not up, `runs` times; `invoke` is the command to prefix a task with."""
    if bed.is_up():
        raise BadInput(
            "bench", bed.name, "up", "down, since coming up is measured", f"`invoke down --scenario {bed.name}`"
        )
    found = Runs()
    for number in range(1, runs + 1):
        progress(f"run {number} of {runs}: plain Compose, sleeping nodes")
        found.add("plain `docker compose up`", floor.up(bed))
        named = ("--scenario", bed.scenario.name)
        progress(f"run {number} of {runs}: `invoke up`")
        found.add("`invoke up`", timed([*invoke, "up", *named]))
        found.add("peak memory of all nodes, up", bed.engine.usage(bed.project).peak_memory / 1e6, "MB")
        progress(f"run {number} of {runs}: a second `invoke up`")
        found.add("a second `invoke up`", timed([*invoke, "up", *named]))
        progress(f"run {number} of {runs}: `invoke verify`")
        found.add("`invoke verify`, already up", timed([*invoke, "verify", *named]))
        found.add("peak memory of all nodes, with agents", bed.engine.usage(bed.project).peak_memory / 1e6, "MB")
        for step, seconds in _expectations(Path("reports") / "verify" / f"{bed.scenario.name}.json"):
            found.add(step, seconds)
        progress(f"run {number} of {runs}: `invoke down`")
        found.add("`invoke down`", timed([*invoke, "down", *named]))
        progress(f"run {number} of {runs}: the whole acceptance run, up and down included")
        found.add("`invoke verify`, from nothing to nothing", timed([*invoke, "verify", *named]))
    return found.measured()


def _expectations(report: Path) -> Sequence[tuple[str, float]]:
    """The time of each positive and negative expectation in behave's JSON report, in seconds."""
    found = []
    for feature in json.loads(report.read_text(encoding="utf-8")):
        for element in feature.get("elements", ()):
            for step in element["steps"]:
                if step.get("result", {}).get("status") != "passed":
                    continue
                seconds = step["result"]["duration"]
                if NEGATIVE.search(step["name"]):
                    found.append(("a negative expectation", seconds))
                elif POSITIVE.search(step["name"]):
                    found.append(("a positive expectation", seconds))
    return found
