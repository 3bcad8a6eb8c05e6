"""A generated scenario with more and more sites: what each further site costs, ours against plain Compose.

Within one run, and for each number of sites, both baselines and `invoke up` take turns (see `baseline`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tunnelbed.bench import baseline, machine
from tunnelbed.bench.measured import Results, Runs, Series
from tunnelbed.bench.phases import DOWN, MB, NODES_MEMORY, UP, VERIFICATION
from tunnelbed.bench.stopwatch import timed
from tunnelbed.bench.subjects import DOCKER, PLAIN, Subject
from tunnelbed.engines import Progress
from tunnelbed.errors import BadInput
from tunnelbed.host import shell
from tunnelbed.testbed.testbed import open_testbed
from tunnelbed.topology import scaffold
from tunnelbed.topology.compose_file import load

BY_HAND = Subject("plain Compose and a loop of checks", "docker")


@dataclass(frozen=True)
class Asked:
    """Which numbers of sites to measure, in so many `runs`, of which `proofs` go on to every sentence.

    `invoke` is the command to prefix a task with.
    """

    sites: Sequence[int]
    invoke: Sequence[str]
    runs: int
    proofs: int


def sites(chosen: str) -> Sequence[int]:
    """The numbers in `2,8,32`, least first; raises `BadInput`."""
    try:
        return sorted({int(word) for word in chosen.split(",")})
    except ValueError as wrong:
        raise BadInput("--growth", "", repr(chosen), "numbers of sites, such as 2,8,32", "correct it") from wrong


def measure(asked: Asked, progress: Progress) -> Iterator[Results]:
    """Measure every size, each in a folder of its own; all that was found by then, after each life of each."""
    facts = {
        **machine.conditions(),
        "runs": f"{asked.runs}, {min(asked.proofs, asked.runs)} of them with every sentence",
    }
    found: dict[tuple[int, Subject], Runs] = {}
    with tempfile.TemporaryDirectory(prefix="tunnelbed-growth-") as scratch:
        root = Path(scratch)
        for count in asked.sites:
            scaffold.make(_name(count), root, sites=count)
        for number, count in product(range(1, asked.runs + 1), asked.sites):
            for subject in (PLAIN, BY_HAND, DOCKER):
                progress(f"run {number} of {asked.runs}: {count} sites, {subject.name}")
                runs = found.setdefault((count, subject), Runs())
                if subject is DOCKER:
                    _ours(root, count, asked, runs, proven=number <= asked.proofs)
                else:
                    _plain(root, count, runs, awake=subject is BY_HAND)
                series = [Series(str(n), of.name, kept.measured()) for (n, of), kept in found.items()]
                yield Results(facts, tuple(series))


def _plain(root: Path, count: int, found: Runs, *, awake: bool) -> None:
    bed = open_testbed(load(_name(count), root), root, "docker")
    with baseline.ready(bed, awake=awake) as (rising, falling):
        found.add(UP, timed(rising))
        found.add(NODES_MEMORY, bed.engine.usage(bed.project).peak_memory / MB, "MB")
        found.add(DOWN, timed(falling))


def _ours(root: Path, count: int, asked: Asked, found: Runs, *, proven: bool) -> None:
    """One life by the commands a person types."""
    bed = open_testbed(load(_name(count), root), root, "docker")
    words = ("--scenario", bed.scenario.name, "--path", str(root))
    try:
        found.add(UP, timed([*asked.invoke, "up", *words]))
        found.add(NODES_MEMORY, bed.engine.usage(bed.project).peak_memory / MB, "MB")
        if proven:
            found.add(VERIFICATION, timed([*asked.invoke, "verify", *words]))
        found.add(DOWN, timed([*asked.invoke, "down", *words]))
    except BaseException:
        shell.run([*asked.invoke, "down", *words], check=False)
        raise


def _name(count: int) -> str:
    return f"sites-{count}"
