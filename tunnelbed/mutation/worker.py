"""One testbed in a process of its own, which carries out requests: try a mutant, prove, show that nothing is left.

A mutant is *killed* when a unit fails with it and fails again: what a busy machine brings about does not come twice.
That the failure is the mistake's doing takes two more things, which the campaign asks of its workers: the same unit
holds without a mistake (`Prove`), and nothing of an earlier mutant was left (`Inspect`).
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from tunnelbed.errors import TunnelbedError
from tunnelbed.mutation import Mutant
from tunnelbed.mutation.sandbox import Refused, Sandbox
from tunnelbed.mutation.verdicts import INVALID, SURVIVED, Failure, Verdict
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Scenario

# Seconds until something that must work is given up. A tunnel is there in 0.2 s; people give it 10.
PATIENCE = 2.0
ENDING = (signal.SIGINT, signal.SIGTERM)


class Prover(Protocol):
    """Who proves a testbed: features, in units that can be run in any order."""

    @property
    def units(self) -> Sequence[str]:
        """The units' names."""

    def prove(self, bed: Testbed, unit: str) -> Failure | None:
        """Run one unit; the first sentence of it that does not hold."""


@dataclass(frozen=True)
class Job:
    """What a worker begins with: the scenario, a folder of its own, how to bring a testbed up, and who proves it."""

    scenario: Scenario
    folder: Path
    options: Options
    prover: Callable[[Scenario], Prover]


@dataclass(frozen=True)
class Try:
    """Make this mistake and prove these units, in this order, until one fails."""

    mutant: Mutant
    units: tuple[str, ...]


@dataclass(frozen=True)
class Prove:
    """Prove one unit without any mistake."""

    unit: str


@dataclass(frozen=True)
class Inspect:
    """Show that nothing is left of the mutants so far."""


@dataclass(frozen=True)
class Ready:
    """The testbed is up: who does ESP there, and the units there are."""

    plane: str
    units: tuple[str, ...]


@dataclass(frozen=True)
class Tried:
    """The verdict on a mutant, and the seconds that each unit took which held."""

    verdict: Verdict
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Proven:
    """The unit holds without a mistake; not `sound`: only on a testbed made anew."""

    unit: str
    sound: bool


@dataclass(frozen=True)
class Inspected:
    """Whether something was left of the mutants so far, and what; it is gone now."""

    left: str


@dataclass(frozen=True)
class Progress:
    """What a person may want to read meanwhile."""

    text: str


@dataclass(frozen=True)
class Failed:
    """The worker cannot go on."""

    why: str


Order = Try | Prove | Inspect
Answer = Ready | Tried | Proven | Inspected | Progress | Failed


def work(job: Job, campaign: Connection[Any, Any]) -> None:
    """Carry out the campaign's requests until None or the end of the pipe; then remove the testbed."""
    # Asked to stop, by a person or by CI, it takes its testbed down first. Nothing may interrupt that in turn.
    for number in ENDING:
        signal.signal(number, _stop)
    try:
        with _sandbox(job, campaign) as sandbox:
            judge = Judge(sandbox, job.prover(job.scenario))
            plane = next((status.data_plane for status in sandbox.bed.status() if status.data_plane), "")
            campaign.send(Ready(plane, tuple(judge.prover.units)))
            while (told := campaign.recv()) is not None:
                campaign.send(judge.do(told))
    except (KeyboardInterrupt, EOFError):
        pass
    except Exception as wrong:  # noqa: BLE001 # whatever it is, the person at the other end must hear of it
        expected = isinstance(wrong, TunnelbedError)
        campaign.send(Failed(str(wrong) if expected else f"{type(wrong).__name__}: {wrong}"))
    campaign.close()


class Judge:
    """Judges mutants in one sandbox."""

    def __init__(self, sandbox: Sandbox, prover: Prover) -> None:
        self.sandbox, self.prover = sandbox, prover

    def do(self, told: Order) -> Tried | Proven | Inspected:
        """One thing that a campaign can ask for."""
        match told:
            case Try():
                return self.tried(told.mutant, told.units)
            case Prove():
                return self.proven(told.unit)
            case Inspect():
                return self.inspected()

    def tried(self, mutant: Mutant, units: Sequence[str]) -> Tried:
        """What becomes of one mutant."""
        began = time.monotonic()
        held: dict[str, float] = {}
        try:
            verdict = self._judged(mutant, units, held)
        except Refused as refused:
            verdict = Verdict(mutant.name, INVALID, str(refused))
        return Tried(replace(verdict, seconds=time.monotonic() - began), held)

    def _judged(self, mutant: Mutant, units: Sequence[str], held: dict[str, float]) -> Verdict:
        """The verdict; `held` gets the seconds of each unit that held. Raises `Refused`."""
        self._become(mutant)
        why = ""
        unsaid: dict[str, Failure] = {}
        for unit in units:
            asked = time.monotonic()
            failure = self.prover.prove(self.sandbox.bed, unit)
            if failure and failure.said:
                if again := self._fails_again(mutant, unit):
                    return Verdict.killed(mutant.name, again, unit)
                why = f"{unit} failed once, and held when it was asked again"
            elif failure:
                # Every sentence held. Another unit's may not, which says better what is wrong.
                unsaid[unit] = failure
                self._become(mutant)
            held[unit] = time.monotonic() - asked
        for unit in unsaid:
            if again := self._fails_again(mutant, unit):
                return Verdict.killed(mutant.name, again, unit)
        return Verdict(mutant.name, SURVIVED, why)

    def _fails_again(self, mutant: Mutant, unit: str) -> Failure | None:
        """The result of a failed unit on a fresh testbed with this mistake alone."""
        self._become(mutant)
        return self.prover.prove(self.sandbox.bed, unit)

    def proven(self, unit: str) -> Proven:
        """A unit holds on the scenario as it is; raises `TunnelbedError` where it fails even on a fresh testbed."""
        failure: Failure | None = None
        for sound in (True, False):
            try:
                self.sandbox.become(None)
                failure = self.prover.prove(self.sandbox.bed, unit)
            except Refused as refused:
                failure = Failure(unit, "the testbed comes up", str(refused))
            if failure is None:
                return Proven(unit, sound)
            self.sandbox.up()
        assert failure  # noqa: S101 # else it was proven
        raise TunnelbedError(
            f"`{failure.sentence}` ({failure.place}) does not hold on the unchanged scenario: {failure.seen}; "
            f"correct that first"
        )

    def inspected(self) -> Inspected:
        """Nothing is left of the mutants so far, or it is now."""
        try:
            self.sandbox.become(None)
            left = self.sandbox.left()
        except (Refused, TunnelbedError, OSError) as wrong:
            left = str(wrong)
        if left:
            self.sandbox.up()
        return Inspected(left)

    def _become(self, mutant: Mutant) -> None:
        """Make the mistake; what refuses it may be what the mutant before left behind, so it is tried twice."""
        try:
            self.sandbox.become(mutant)
        except Refused as refused:
            self.sandbox.progress(f"{mutant.name}: again on a new testbed, since {refused}")
            self.sandbox.up()
            self.sandbox.become(mutant)


@contextlib.contextmanager
def _sandbox(job: Job, campaign: Connection[Any, Any]) -> Iterator[Sandbox]:
    """A testbed that is up, and gone afterwards whatever happens."""
    sandbox = Sandbox(job.scenario, job.folder, job.options, PATIENCE, lambda text: campaign.send(Progress(text)))
    try:
        sandbox.up()
        yield sandbox
    finally:
        _ignore_interruptions()
        sandbox.close()


def _stop(*_: object) -> None:
    """The first interruption ends the work."""
    _ignore_interruptions()
    raise KeyboardInterrupt


def _ignore_interruptions() -> None:
    """A second one would leave half of a testbed behind."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
