"""What each worker of a campaign does next, and which verdicts count.

Mutants are handed out one by one, each with the units in the order in which they are likely to notice it: whatever a
worker learns, the next mutant of any worker profits from. A verdict counts once two things are shown:

- The unit that noticed holds without a mistake. That is proven once for all workers, by the first it occurs to.
- Nothing is left of the mutants before. That is shown by each worker after every `BATCH` mutants. If something was
  left, the mutants of that batch are tried again, each with such a proof right after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tunnelbed.errors import TunnelbedError
from tunnelbed.mutation import Mutant
from tunnelbed.mutation.equivalent import Reason
from tunnelbed.mutation.experience import Experience
from tunnelbed.mutation.verdicts import EQUIVALENT, KILLED, Verdict
from tunnelbed.mutation.worker import (
    Answer,
    Failed,
    Inspect,
    Inspected,
    Order,
    Progress,
    Prove,
    Proven,
    Ready,
    Tried,
    Try,
)

# So many mutants are judged until a worker shows that nothing is left of them; to show it takes as long as one.
BATCH = 8

Keep = Callable[[Iterable[Verdict]], None]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """The mutants of a scenario, and why some of them are equivalent."""

    name: str
    mutants: Sequence[Mutant]
    reasons: Sequence[Reason] = ()


@dataclass
class Hand:
    """What the campaign knows of one worker: its verdicts that do not count yet, and what it is about to prove."""

    batch: list[Verdict] = field(default_factory=list)
    # A mutant tried a second time: whatever it leaves behind, nothing was left before it.
    alone: bool = False
    proving: str = ""


class Dispatcher:
    """Decides what a worker does next, and which verdicts count. It knows no processes."""

    def __init__(self, work: Work, experience: Experience, keep: Keep, tell: Tell) -> None:
        self.experience, self.keep, self.tell = experience, keep, tell
        self._name, self._reasons, mutants = work.name, work.reasons, work.mutants
        self._mutants = {mutant.name: mutant for mutant in mutants}
        # Those nobody knows take longest, and shall not be what everybody waits for at the end.
        self._waiting = sorted(mutants, key=lambda mutant: experience.knows(mutant.name))
        self._again: deque[Mutant] = deque()
        # The sort of each mutant that a worker is at.
        self._tried_now: dict[str, str] = {}
        self._proven: set[str] = set()
        self._being_proven: set[str] = set()
        # Verdicts that wait for another worker to prove the unit that noticed.
        self._unproven: list[Verdict] = []
        self._told = 0
        self.units: tuple[str, ...] = ()

    def _begin(self, ready: Ready) -> None:
        """The first testbed is up: its units are known, and with its data plane what is equivalent there."""
        if not ready.units:
            raise TunnelbedError(f"no feature has the tag @scenario.{self._name}: nothing can be verified; write one")
        self.units = ready.units
        for mutant in tuple(self._waiting):
            if reason := next((reason for reason in self._reasons if reason.covers(mutant, ready.plane)), None):
                self._waiting.remove(mutant)
                self.tried(Hand(), Tried(verdict := Verdict(mutant.name, EQUIVALENT, reason.because)))
                self.keep([verdict])

    def hear(self, hand: Hand, said: Answer) -> None:
        """Take a message of a worker."""
        match said:
            case Ready():
                if not self.units:
                    self._begin(said)
            case Tried():
                self.tried(hand, said)
            case Proven():
                self.proven(hand, said)
            case Inspected():
                self.inspected(hand, said)
            case Progress():
                self.tell(said.text)
            case Failed():
                raise TunnelbedError(said.why)

    def next(self, hand: Hand) -> Order | None:
        """What a worker does next; None when there is nothing left for it."""
        for verdict in (*hand.batch, *self._unproven):
            if self._lacks_proof(verdict) and verdict.unit not in self._being_proven:
                hand.proving = verdict.unit
                self._being_proven.add(verdict.unit)
                return Prove(verdict.unit)
        more = self._waiting or self._again
        if hand.batch and (hand.alone or len(hand.batch) >= BATCH or not self._waiting):
            return Inspect()
        if not more:
            return None
        # What is tried again is a batch of its own.
        hand.alone = bool(self._again and not hand.batch)
        mutant = self._again.popleft() if hand.alone else self._take()
        self._tried_now[mutant.name] = mutant.operator
        return Try(mutant, self.experience.order(self.units, mutant.name))

    def _take(self) -> Mutant:
        """The next mutant; of a kind that no worker is trying now: what notices one often notices the others."""
        others = (mutant for mutant in self._waiting if mutant.operator not in self._tried_now.values())
        mutant = next(others, self._waiting[0])
        self._waiting.remove(mutant)
        return mutant

    def tried(self, hand: Hand, done: Tried) -> None:
        """A worker has a verdict, which does not count yet."""
        self._told += 1
        verdict = done.verdict
        self._tried_now.pop(verdict.mutant, None)
        self.tell(f"{self._told:3}/{len(self._mutants)} {line(verdict)}")
        self.experience.seconds.update(done.seconds)
        if verdict.unit:
            self.experience.learn(verdict.mutant, verdict.unit)
        hand.batch.append(verdict)

    def proven(self, hand: Hand, done: Proven) -> None:
        """A unit holds without a mistake; if only on a testbed made anew, something had been left on the old one."""
        hand.proving = ""
        self._proven.add(done.unit)
        if not done.sound and not hand.alone:
            self._unsound(hand, f"{done.unit} did not hold without a mistake")
        waited, self._unproven = self._unproven, []
        self._count(waited)

    def inspected(self, hand: Hand, done: Inspected) -> None:
        """Nothing was left of a worker's mutants, so that its verdicts count; or something was."""
        if done.left and not hand.alone:
            self._unsound(hand, done.left)
        self._count(hand.batch)
        hand.batch, hand.alone = [], False

    def _count(self, verdicts: Iterable[Verdict]) -> None:
        """Keep these verdicts, those aside whose unit is still to be proven."""
        lacking = [verdict for verdict in verdicts if self._lacks_proof(verdict)]
        self._unproven += lacking
        self.keep([verdict for verdict in verdicts if verdict not in lacking])

    def _unsound(self, hand: Hand, left: str) -> None:
        """What noticed something since the last inspection may have noticed what was left: that is tried again."""
        doubtful = [verdict for verdict in hand.batch if verdict.outcome == KILLED]
        self.tell(f"trying {len(doubtful)} mutants again, since one left a change behind: {left}")
        self._told -= len(doubtful)
        self._again.extend(self._mutants[verdict.mutant] for verdict in doubtful)
        hand.batch = [verdict for verdict in hand.batch if verdict not in doubtful]

    def _lacks_proof(self, verdict: Verdict) -> bool:
        return verdict.outcome == KILLED and verdict.unit not in self._proven


def line(verdict: Verdict) -> str:
    """A verdict in a line."""
    why = f" ({verdict.place})" if verdict.place else ""
    return f"{verdict.outcome:10} {verdict.seconds:5.1f} s  {verdict.mutant}{why}"
