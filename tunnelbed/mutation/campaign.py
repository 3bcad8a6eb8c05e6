"""All mutants of a scenario, judged by several workers at once, and what came of it."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tunnelbed.errors import TunnelbedError
from tunnelbed.model import Scenario
from tunnelbed.mutation import Mutant, Sources
from tunnelbed.mutation import equivalent as equivalence
from tunnelbed.mutation.mutants import mutants
from tunnelbed.mutation.verdicts import KILLED, SURVIVED, Ledger, Verdict, digest
from tunnelbed.mutation.worker import Job, Prover, work
from tunnelbed.testbed import Options

# Below the scenario's root: where mutated testbeds have their files, and where verdicts are kept.
GROUNDS = ".mutants"
KEPT = Path("reports") / "mutation"
# So many mutants are judged in the time that proving every unit takes.
FEW = 20


@dataclass(frozen=True)
class Campaign:
    """What is to be tried: an operator's mutants or all, a sample of them or all, in so many testbeds at once."""

    scenario: Scenario
    root: Path
    options: Options
    operator: str = ""
    sample: int = 0
    jobs: int = 1
    doubting: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class Outcome:
    """The verdicts on the mutants chosen, in their order."""

    files: Sources
    mutants: tuple[Mutant, ...]
    verdicts: tuple[Verdict, ...]

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
    reasons = equivalence.read(scene.configs, mutants(scene))
    files = [scene.stack, *(path for path in scene.configs.rglob("*") if path.is_file()), *code]
    about = digest(files, {"doubting": str(campaign.doubting), "data plane": campaign.options.data_plane})
    ledger = Ledger(campaign.root / KEPT / f"{scene.name}.jsonl", about)
    left = [mutant for mutant in wanted if mutant.name not in ledger.verdicts]
    if campaign.fresh or not left:
        ledger.forget(mutant.name for mutant in wanted)
        left = list(wanted)
    elif len(left) < len(wanted):
        tell(f"{len(wanted) - len(left)} of {len(wanted)} were judged before: going on")
    jobs = [
        Job(
            scene,
            campaign.root / GROUNDS / f"{scene.name}-{number}",
            campaign.options,
            reasons,
            prover,
            campaign.doubting,
            len(left) > FEW,
        )
        for number in range(1, min(max(campaign.jobs, 1), max(len(left), 1)) + 1)
    ]
    _judge(jobs, left, ledger, tell)
    judged = tuple(ledger.verdicts[mutant.name] for mutant in wanted)
    return Outcome(Sources(scene), wanted, judged)


def _judge(jobs: Sequence[Job], left: Sequence[Mutant], ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Let workers judge mutants, and keep what they prove."""
    context = multiprocessing.get_context("spawn")
    waiting: Any = context.Queue()
    answers: Any = context.Queue()
    for mutant in left:
        waiting.put(mutant)
    waiting.put(None)
    workers: list[BaseProcess] = [context.Process(target=work, args=(job, waiting, answers)) for job in jobs]
    with _interruptible(workers):
        told = 0
        complaints = []
        ended = 0
        while ended < len(workers):
            what, said = _answer(answers, workers)
            if what == "judged":
                told += 1
                tell(_line(told, len(left), said))
            elif what == "proven":
                ledger.add(said)
            elif what == "failed":
                complaints.append(said)
            elif what == "progress":
                tell(said)
            ended += what == "done"
    if complaints:
        raise TunnelbedError(complaints[0])


def _answer(answers: Any, workers: Sequence[BaseProcess]) -> tuple[str, Any]:  # noqa: ANN401 # a queue
    """The next answer; a worker that was killed gives none, and must not be waited for."""
    while True:
        try:
            return answers.get(timeout=1.0)  # type: ignore[no-any-return] # a queue of pairs
        except queue.Empty:
            if any(worker.exitcode not in (None, 0) for worker in workers):
                raise TunnelbedError("a worker was killed; run it again: what was judged is kept") from None


@contextmanager
def _interruptible(workers: Sequence[BaseProcess]) -> Iterator[None]:
    """Workers run inside; interrupted, by a key or SIGTERM, we wait until each has taken its testbed down."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    for worker in workers:
        worker.start()
    try:
        yield
    except BaseException:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        raise
    finally:
        for worker in workers:
            worker.join()
        signal.signal(signal.SIGTERM, before)


def _line(number: int, count: int, verdict: Verdict) -> str:
    why = f" ({verdict.place})" if verdict.place else ""
    return f"{number:3}/{count} {verdict.outcome:10} {verdict.seconds:5.1f} s  {verdict.mutant}{why}"
