"""A scenario's life in phases, on each subject in turn within each run: up, proven, down, and what that cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tunnelbed.bench import baseline, environment, expectations, machine, tunnels
from tunnelbed.bench.measured import Results, Runs, Series
from tunnelbed.bench.stopwatch import timed
from tunnelbed.bench.subjects import PLAIN, Subject, is_emulated
from tunnelbed.engines import Progress, Usage
from tunnelbed.errors import BadInput
from tunnelbed.host import shell, waiting
from tunnelbed.testbed.testbed import Testbed, open_testbed
from tunnelbed.topology.compose_file import load

MB = 1e6
BUILD, UP, TUNNELS, FIRST = "environment build", "up", "tunnels established", "first expectation green"
VERIFICATION, DOWN = "full verification", "down"
NODES_MEMORY, MACHINE_MEMORY = "peak memory, nodes", "peak memory, whole machine"
NODES_CPU, MACHINE_CPU = "CPU until up, nodes", "CPU until up, whole machine"


@dataclass(frozen=True)
class Asked:
    """What to measure, in so many `runs`; `builds` of them make the environment anew, `proofs` go on to all features.

    They do so on the engines `proved`. `invoke` is the command to prefix a task with.
    """

    root: Path
    scenarios: Sequence[str]
    subjects: Sequence[Subject]
    invoke: Sequence[str]
    runs: int
    builds: int
    proofs: int
    proved: Sequence[str]


def measure(asked: Asked, progress: Progress) -> Iterator[Results]:
    """Measure scenarios of which none is up; all that was found by then, after each life of each.

    Within one run plain Compose and all subjects take turns, so that what disturbs the machine disturbs each of them.
    """
    proving = dict.fromkeys(subject.engine for subject in asked.subjects if subject.engine in asked.proved)
    builds, proofs = min(asked.builds, asked.runs), min(asked.proofs, asked.runs) if proving else 0
    on = f" on {' and '.join(proving)}" if proofs else ""
    runs = f"{asked.runs}; {builds} of them with the environment built anew, {proofs} with every sentence proven{on}"
    facts = {**machine.conditions(), "runs": runs}
    found: dict[tuple[str, Subject], Runs] = {}
    emulated = set()
    for number in range(1, asked.runs + 1):
        engines = dict.fromkeys(subject.engine for subject in asked.subjects) if number <= builds else ()
        built = {engine: environment.build(engine, progress) for engine in engines}
        for name, subject in product(asked.scenarios, (PLAIN, *asked.subjects)):
            progress(f"run {number} of {asked.runs}: {name}, {subject.name}")
            kept = found.setdefault((name, subject), Runs())
            if subject is PLAIN:
                _plain(_bed(name, asked, subject), kept)
            else:
                if subject.engine in built:
                    kept.add(BUILD, built[subject.engine])
                # An engine that emulates lets everything wait longer; the next one in turn shall not.
                with waiting.own_patience():
                    proven = number <= proofs and subject.engine in proving
                    said = _life(name, subject, asked, kept, proven=proven)
                facts[subject.name] = ", ".join(f"{key} {value}" for key, value in said.items())
                emulated |= {subject} if is_emulated(said) else set()
            series = [Series(where, of.name, all_.measured(), of in emulated) for (where, of), all_ in found.items()]
            yield Results(facts, tuple(series))


def _bed(name: str, asked: Asked, subject: Subject) -> Testbed:
    """A scenario's testbed on a subject's engine; it must not be up on any."""
    if open_testbed(load(name, asked.root), asked.root).is_up():
        raise BadInput("bench", name, "up", "down: the start is measured", f"`invoke down --scenario {name}`")
    return open_testbed(load(name, asked.root), asked.root, subject.engine)


def _plain(bed: Testbed, found: Runs) -> None:
    """One life of nodes that only sleep."""
    with baseline.ready(bed) as (rising, falling), machine.Meter() as meter:
        found.add(UP, timed(rising))
        meter.stop()
        usage = bed.engine.usage(bed.project)
        found.add(DOWN, timed(falling))
    _add_cost(found, usage, meter)
    found.add(NODES_MEMORY, usage.peak_memory / MB, "MB")
    found.add(MACHINE_MEMORY, meter.peak_memory / MB, "MB")


def _life(name: str, subject: Subject, asked: Asked, found: Runs, *, proven: bool) -> Mapping[str, str]:
    """One life on an engine, by the commands a person types; what the engine says of itself meanwhile."""
    _bed(name, asked, subject)
    words = ("--scenario", name, "--path", str(asked.root))
    try:
        with machine.Meter() as whole:
            with machine.Meter() as boot:
                began = time.time()
                found.add(UP, rising := timed([*asked.invoke, "up", *words, *subject.words]))
            # Opened now: what runs the nodes says who carries out their instructions.
            bed = open_testbed(load(name, asked.root), asked.root)
            costs = [bed.engine.usage(bed.project)]
            facts = bed.engine.describe()
            found.add(TUNNELS, tunnels.established(bed) - began)
            found.add(FIRST, rising + expectations.first_green(bed.scenario, asked.root))
            if proven:
                found.add(VERIFICATION, timed([*asked.invoke, "verify", *words]))
                for kind, seconds in expectations.by_kind(Path("reports") / "verify" / f"{name}.json"):
                    found.add(kind, seconds)
            costs.append(bed.engine.usage(bed.project))
        found.add(DOWN, timed([*asked.invoke, "down", *words]))
    except BaseException:
        shell.run([*asked.invoke, "down", *words], check=False)
        raise
    _add_cost(found, costs[0], boot)
    # A node that a fault restarted counts from there on: the greater sum is nearer to the truth.
    found.add(NODES_MEMORY, max(cost.peak_memory for cost in costs) / MB, "MB")
    found.add(MACHINE_MEMORY, whole.peak_memory / MB, "MB")
    return facts


def _add_cost(found: Runs, usage: Usage, meter: machine.Meter) -> None:
    """What it cost to come up."""
    found.add(NODES_CPU, usage.cpu_seconds)
    found.add(MACHINE_CPU, meter.cpu_seconds)
