"""How long a scenario takes and what it costs, against plain Compose in the same run.

The floor is `docker compose up` of the same stack on the same networks with nodes that only sleep: what any tool on
Docker pays. Ours is the command a person types, from start to end. Only ratios compare across machines.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from tunnelbed import shell
from tunnelbed.engines import Progress, compose
from tunnelbed.engines.docker import DockerEngine
from tunnelbed.errors import BadInput
from tunnelbed.testbed import Options, Testbed

# The paper's Table 1: fresh boot with Docker Compose, and the peak of memory, averaged over its three testbeds.
PAPER_BOOT_SECONDS, PAPER_MEMORY_MB = 75.0, 278.0
POSITIVE = re.compile(r"(can reach|gets a pong from|and is seen there as)")
NEGATIVE = re.compile(r"(cannot reach|gets no pong|does not reach)")


@dataclass(frozen=True)
class Measured:
    """One quantity over several runs, in `unit`."""

    name: str
    unit: str
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.runs)

    @property
    def spread(self) -> str:
        """The least and the most."""
        return f"{min(self.runs):.3g} to {max(self.runs):.3g}"


def measure(bed: Testbed, invoke: Sequence[str], runs: int, progress: Progress) -> Sequence[Measured]:
    """Measure a scenario that is not up, `runs` times; `invoke` is the command to prefix a task with."""
    engine = bed.engine
    if not isinstance(engine, DockerEngine):
        raise BadInput("--engine", "", engine.name, "docker", "plain Compose is the floor that is measured against")
    if bed.is_up():
        raise BadInput(
            "bench", bed.name, "up", "down, since coming up is measured", f"`invoke down --scenario {bed.name}`"
        )
    found: dict[str, list[float]] = {}
    for number in range(1, runs + 1):
        progress(f"run {number} of {runs}: plain Compose, sleeping nodes")
        _add(found, "plain `docker compose up`", _floor(bed, engine))
        named = ("--scenario", bed.scenario.name)
        progress(f"run {number} of {runs}: `invoke up`")
        _add(found, "`invoke up`", _timed([*invoke, "up", *named]))
        _add(found, "peak memory of all nodes, up", _peak_memory(bed))
        progress(f"run {number} of {runs}: a second `invoke up`")
        _add(found, "a second `invoke up`", _timed([*invoke, "up", *named]))
        progress(f"run {number} of {runs}: `invoke verify`")
        _add(found, "`invoke verify`, already up", _timed([*invoke, "verify", *named]))
        _add(found, "peak memory of all nodes, with agents", _peak_memory(bed))
        for step, seconds in _expectations(Path("reports") / "verify" / f"{bed.scenario.name}.json"):
            _add(found, step, seconds)
        progress(f"run {number} of {runs}: `invoke down`")
        _add(found, "`invoke down`", _timed([*invoke, "down", *named]))
        progress(f"run {number} of {runs}: the whole acceptance run, up and down included")
        _add(found, "`invoke verify`, from nothing to nothing", _timed([*invoke, "verify", *named]))
    return [Measured(name, "MB" if "memory" in name else "s", tuple(values)) for name, values in found.items()]


def together(scenarios: Sequence[str], invoke: Sequence[str], runs: int, progress: Progress) -> Sequence[Measured]:
    """Measure all scenarios, none of them up: coming up one after another and at once, and proven in both ways."""
    found: dict[str, list[float]] = {}
    for number in range(1, runs + 1):
        for name, jobs in (("one after another", 1), ("at once", len(scenarios))):
            progress(f"run {number} of {runs}: {', '.join(scenarios)} come up {name}")
            began = time.monotonic()
            with ThreadPoolExecutor(max_workers=jobs) as pool:
                list(pool.map(lambda scenario: _timed([*invoke, "up", "--scenario", scenario]), scenarios))
            _add(found, f"`invoke up` of {len(scenarios)}, {name}", time.monotonic() - began)
            _timed([*invoke, "down"])
            progress(f"run {number} of {runs}: and are proven {name}, from nothing to nothing")
            _add(found, f"`invoke verify --jobs {jobs}`", _timed([*invoke, "verify", "--jobs", str(jobs)]))
    return [Measured(name, "s", tuple(values)) for name, values in found.items()]


def write(name: str, found: Sequence[Measured], folder: Path) -> str:
    """Write every run as JSON and the table as Markdown; the table."""
    table = markdown(name, found)
    every = json.dumps({"name": name, "measured": [asdict(one) for one in found]}, indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".json", every), (".md", table)):
        (folder / f"{name}{suffix}").write_text(text + "\n", encoding="utf-8")
    return table


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


def _floor(bed: Testbed, engine: DockerEngine) -> float:
    """Seconds plain Compose takes for the stack's networks and nodes that only sleep; all of it is removed again."""
    bed.state.mkdir(parents=True, exist_ok=True)
    try:
        plan = bed.plan(Options(), lambda _: None)
        files = list(engine.render(plan, engine.make_parents(plan, lambda _: None)))
        sleep = {"entrypoint": ["sleep", "infinity"], "command": []}
        asleep = bed.state / "asleep.yaml"
        asleep.write_text(yaml.safe_dump({"services": dict.fromkeys(bed.scenario.nodes, sleep)}), encoding="utf-8")
        if plan.keys:
            for node in bed.scenario.nodes:
                (plan.keys / node).mkdir(parents=True, exist_ok=True)
        words = ("up", "--detach", "--no-build", "--pull", "never")
        return _timed(compose.command(bed.project, *words, files=[*files, asleep]))
    finally:
        engine.stop(bed.project, bed.state)
        shutil.rmtree(bed.state, ignore_errors=True)
        with contextlib.suppress(OSError):
            bed.state.parent.rmdir()


def _timed(command: Sequence[str]) -> float:
    """Seconds a command takes that must succeed."""
    began = time.monotonic()
    shell.run(command)
    return time.monotonic() - began


def _peak_memory(bed: Testbed) -> float:
    """The sum of the nodes' peaks in MB, page cache included, as their cgroups counted (cgroup v2, else v1)."""
    look = "cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
    said = [bed.engine.run(bed.project, node, ["sh", "-c", look]).stdout for node in bed.scenario.nodes]
    return sum(map(int, said)) / 1e6


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


def _add(found: dict[str, list[float]], name: str, value: float) -> None:
    found.setdefault(name, []).append(value)
