"""All mutants of a scenario, judged by several workers at once, and what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tunnelbed.mutation import Mutant, Sources, worker_pool
from tunnelbed.mutation import equivalent as equivalence
from tunnelbed.mutation.dispatcher import Dispatcher, Work
from tunnelbed.mutation.experience import Experience, note, noticed, noticed_beside
from tunnelbed.mutation.mutants import mutants
from tunnelbed.mutation.verdicts import KILLED, SURVIVED, Ledger, Verdict, digest
from tunnelbed.mutation.worker import Job, Prover
from tunnelbed.testbed.options import Options
from tunnelbed.topology.model import Scenario

# Below the scenario's root: where mutated testbeds have their files, and where verdicts are kept.
SANDBOXES = ".mutants"
KEPT = Path("reports") / "mutation"
JOBS_PER_PROCESSOR = 3


@dataclass(frozen=True)
class Campaign:
    """What is to be tried: an operator's mutants or all, a sample of them or all, in so many testbeds at once.

    With `doubting`, what is said to be equivalent is tried, and nothing else. `note` keeps what noticed which mistake.
    """

    scenario: Scenario
    root: Path
    options: Options
    operator: str = ""
    sample: int = 0
    jobs: int = 0
    doubting: bool = False
    fresh: bool = False
    note: bool = False


@dataclass(frozen=True)
class Outcome:
    """The verdicts on the mutants chosen, in their order; the names of those judged now, and the seconds it took."""

    files: Sources
    mutants: tuple[Mutant, ...]
    verdicts: tuple[Verdict, ...]
    now: frozenset[str] = frozenset()
    seconds: float = 0.0

    def of(self, *outcomes: str) -> tuple[Verdict, ...]:
        """The verdicts with one of these outcomes."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome in outcomes)

    @property
    def score(self) -> float:
        """Of the mutants that features could notice, the part they did notice; 1 where there was none."""
        tried = self.of(KILLED, SURVIVED)
        return len(self.of(KILLED)) / len(tried) if tried else 1.0


def chosen(campaign: Campaign) -> tuple[Mutant, ...]:
    """The mutants a campaign is about."""
    found = mutants(campaign.scenario, campaign.operator)
    if campaign.doubting:
        reasons = equivalence.read(campaign.scenario.configs, mutants(campaign.scenario))
        found = tuple(m for m in found if any(replace(reason, plane="").covers(m, "") for reason in reasons))
    if 0 < campaign.sample < len(found):
        # Spread evenly, so that every sort of mistake has its turn.
        found = tuple(found[index * len(found) // campaign.sample] for index in range(campaign.sample))
    return found


def run(
    campaign: Campaign, prover: Callable[[Scenario], Prover], code: Iterable[Path], tell: Callable[[str], None]
) -> Outcome:
    """Judge every mutant chosen; those judged before an interruption are not judged again.

    `code` is what judges, in files: verdicts of other code do not count. Raises `TunnelbedError` where the unmutated
    testbed does not come up or does not hold.
    """
    wanted = chosen(campaign)
    scene = campaign.scenario
    every = mutants(scene)
    reasons = equivalence.read(scene.configs, every)
    files = [scene.stack, *(path for path in scene.configs.rglob("*") if path.is_file()), *code]
    about = digest(
        files,
        {
            "doubting": str(campaign.doubting),
            "engine": campaign.options.engine,
            "data plane": campaign.options.data_plane,
        },
    )
    ledger = Ledger(campaign.root / KEPT / f"{scene.name}.jsonl", about)
    left = [mutant for mutant in wanted if mutant.name not in ledger.verdicts]
    if campaign.fresh or not left:
        ledger.forget(mutant.name for mutant in wanted)
        left = list(wanted)
    elif len(left) < len(wanted):
        tell(f"{len(wanted) - len(left)} of {len(wanted)} have a verdict from an interrupted run: continuing")
    work = Work(scene.name, left, () if campaign.doubting else reasons)
    latest = {} if campaign.fresh else ledger.noticed
    experience = Experience({**noticed_beside(scene), **noticed(scene), **latest})
    dispatcher = Dispatcher(work, experience, ledger.add, tell)
    jobs = [
        Job(scene, campaign.root / SANDBOXES / f"{scene.name}-{number}", campaign.options, prover)
        for number in range(1, min(campaign.jobs or at_once(), len(left)) + 1)
    ]
    began = time.monotonic()
    worker_pool.judge(jobs, dispatcher)
    took = time.monotonic() - began
    if campaign.note:
        known = [mutant.name for mutant in every]
        tell(f"wrote {note(scene, ledger.verdicts.values(), known).relative_to(campaign.root)}")
    verdicts = tuple(ledger.verdicts[mutant.name] for mutant in wanted)
    return Outcome(Sources(scene), wanted, verdicts, frozenset(mutant.name for mutant in left), took)


def at_once() -> int:
    """How many testbeds keep this machine busy: most of their time they wait."""
    return JOBS_PER_PROCESSOR * (os.cpu_count() or 1)
