"""One testbed and one mutant after the other: make the mistake, prove until something fails, go on to the next.

Runs in a process of its own, one a job. What it finds counts once every unit that noticed something is seen to hold on
the unmutated testbed, after every `BATCH` mutants: else the batch is judged again on a fresh testbed. (A mutant that
survived needs no such proof: everything held.)
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tunnelbed.errors import TunnelbedError
from tunnelbed.model import Scenario
from tunnelbed.mutation import Mutant
from tunnelbed.mutation.equivalent import Reason
from tunnelbed.mutation.ground import Ground, Refused
from tunnelbed.mutation.verdicts import EQUIVALENT, INVALID, KILLED, SURVIVED, Failure, Verdict
from tunnelbed.testbed import Options, Testbed

BATCH = 60
# Seconds until something that must work is given up. A tunnel is there in 0.2 s; people give it 10.
PATIENCE = 2.0


class Prover(Protocol):
    """Who proves a testbed: features, in units that can be run in any order."""

    @property
    def units(self) -> Sequence[str]:
        """The units' names."""

    def prove(self, bed: Testbed, unit: str) -> Failure | None:
        """Run one unit; the first sentence of it that does not hold."""


@dataclass(frozen=True)
class Job:
    """What a worker is told: the scenario, a folder of its own, how to bring a testbed up, and what is equivalent.

    With `doubting`, mutants said to be equivalent are tried too. With `proven` every unit is first proven to hold
    without a mistake; for a few mutants that takes longer than the mutants.
    """

    scenario: Scenario
    folder: Path
    options: Options
    reasons: tuple[Reason, ...]
    prover: Callable[[Scenario], Prover]
    doubting: bool = False
    proven: bool = True


@dataclass
class Experience:
    """Which units noticed what so far: those that notice most, for their time, are asked first."""

    seconds: dict[str, float]
    kills: Counter[tuple[str, ...]]

    def order(self, units: Sequence[str], mutant: Mutant) -> Sequence[str]:
        """The units, the most telling ones for such a mutant first."""
        node = mutant.place.split()[0]

        def worth(unit: str) -> tuple[float, ...]:
            counts = (self.kills[unit, mutant.operator, node], self.kills[unit, mutant.operator], self.kills[unit,])
            return (*(-count for count in counts), self.seconds[unit])

        return sorted(units, key=worth)

    def learn(self, unit: str, mutant: Mutant) -> None:
        """This unit noticed."""
        self.kills.update([(unit, mutant.operator, mutant.place.split()[0]), (unit, mutant.operator), (unit,)])


def work(job: Job, waiting: Any, answers: Any) -> None:  # noqa: ANN401 # multiprocessing's queues
    """Judge the mutants that wait until None comes; tell each verdict, and when a batch of them is proven."""
    # Asked to stop, by a person or by CI, it takes its testbed down first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _ground(job, answers) as ground:
            prover = job.prover(job.scenario)
            plane = next((status.data_plane for status in ground.bed.status() if status.data_plane), "")
            judge = Judge(job, ground, prover, plane, lambda verdict: answers.put(("judged", verdict)))
            judge.prove_unmutated(prover.units if job.proven else ())
            answers.put(("ready", judge.plane))
            while batch := _batch(waiting):
                answers.put(("proven", judge.judge(batch)))
    except KeyboardInterrupt:
        pass
    except Exception as wrong:  # noqa: BLE001 # whatever it is, the person at the other end must hear of it
        expected = isinstance(wrong, TunnelbedError)
        answers.put(("failed", str(wrong) if expected else f"{type(wrong).__name__}: {wrong}"))
    answers.put(("done", None))


class Judge:
    """Judges mutants on one ground."""

    def __init__(self, job: Job, ground: Ground, prover: Prover, plane: str, tell: Callable[[Verdict], None]) -> None:
        self.job, self.ground, self.prover, self.plane, self.tell = job, ground, prover, plane, tell
        self.experience = Experience({unit: float(index) for index, unit in enumerate(prover.units)}, Counter())
        # An ordered set: each unit that noticed a mistake of this batch.
        self.noticed: dict[str, None] = {}

    def prove_unmutated(self, units: Sequence[str]) -> None:
        """These units hold on the scenario as it is; raises `TunnelbedError` otherwise."""
        if not self.prover.units:
            name = self.job.scenario.name
            raise TunnelbedError(f"no feature has the tag @scenario.{name}: there is nothing to prove; write one")
        if failure := self._first_failure(units):
            raise TunnelbedError(
                f"without any mistake made, `{failure.sentence}` ({failure.place}) does not hold: {failure.seen}; "
                f"mend that first"
            )

    def judge(self, batch: Sequence[Mutant]) -> Sequence[Verdict]:
        """The verdicts on a batch, after which the units that noticed something are proven to hold without it."""
        for last in (False, True):
            self.noticed = {}
            verdicts = [self.verdict(mutant) for mutant in batch]
            try:
                self.ground.become(None)
                self.prove_unmutated(tuple(self.noticed))
            except (Refused, TunnelbedError):
                if last:
                    raise
                self.ground.up()
            else:
                break
        return verdicts

    def verdict(self, mutant: Mutant) -> Verdict:
        """What becomes of one mutant."""
        began = time.monotonic()
        reason = next((reason for reason in self.job.reasons if reason.covers(mutant, self.plane)), None)
        if reason and not self.job.doubting:
            verdict = Verdict(mutant.name, EQUIVALENT, reason.because)
        else:
            verdict = self._tried(mutant, began)
        self.tell(verdict)
        return verdict

    def _tried(self, mutant: Mutant, began: float) -> Verdict:
        try:
            self._become(mutant)
        except Refused as refused:
            return Verdict(mutant.name, INVALID, str(refused), seconds=time.monotonic() - began)
        units = self.experience.order(self.prover.units, mutant)
        failure = self._first_failure(units, mutant)
        took = time.monotonic() - began
        if failure is None:
            return Verdict(mutant.name, SURVIVED, seconds=took)
        return Verdict(mutant.name, KILLED, failure.sentence, failure.place, failure.seen, took)

    def _become(self, mutant: Mutant) -> None:
        """Make the mistake; what refuses it may be what the mutant before left behind, so it is tried twice."""
        try:
            self.ground.become(mutant)
        except Refused:
            self.ground.up()
            self.ground.become(mutant)

    def _first_failure(self, units: Sequence[str], mutant: Mutant | None = None) -> Failure | None:
        for unit in units:
            began = time.monotonic()
            if failure := self.prover.prove(self.ground.bed, unit):
                if mutant:
                    self.noticed[unit] = None
                    self.experience.learn(unit, mutant)
                return failure
            self.experience.seconds[unit] = time.monotonic() - began
        return None


@contextlib.contextmanager
def _ground(job: Job, answers: Any) -> Iterator[Ground]:  # noqa: ANN401 # a multiprocessing queue
    """A testbed that is up, and gone afterwards whatever happens."""
    ground = Ground(job.scenario, job.folder, job.options, PATIENCE, lambda text: answers.put(("progress", text)))
    try:
        ground.up()
        yield ground
    finally:
        # A second interruption would leave half of a testbed behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        ground.close()


def _batch(waiting: Any) -> Sequence[Mutant]:  # noqa: ANN401 # a multiprocessing queue
    """The next mutants to be judged together; none when there are no more."""
    batch: list[Mutant] = []
    while len(batch) < BATCH and (mutant := waiting.get()) is not None:
        batch.append(mutant)
    if len(batch) < BATCH:
        waiting.put(None)
    return batch
