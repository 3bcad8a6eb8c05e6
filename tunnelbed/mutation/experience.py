"""Which proof is likely to notice a mistake: an order in which to ask, and never more than that.

What noticed which mistake is kept beside a scenario's features, in `features/NAME/noticed.json`: without it most of a
run's time goes into proofs that look elsewhere. The file decides no verdict: a proof that it names and that notices
nothing any more is followed by all others, and a mistake that it does not know is looked for where its like was
noticed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tunnelbed.mutation.verdicts import Verdict
from tunnelbed.topology.model import Scenario

FILE = "noticed.json"
# What tells one site from another in a place: `gateway-a`, `isp_link_a`, `client-b2`, and numbers.
OWN = re.compile(r"(?<=[-_])[a-z]\d?\b|\d+")

# How much it tells that a unit noticed the same, its like, another mistake at the same place, ...: see `_keys`.
WEIGHTS = (0, 64, 16, 8, 4, 1)
UNLIKELY = 0.1
# Seconds that any unit takes.
LEAST = 0.2


class Experience:
    """Which units noticed what so far, and how long each takes."""

    def __init__(self, noticed: Mapping[str, str]) -> None:
        self.seconds: dict[str, float] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()
        for mutant, unit in noticed.items():
            self.learn(mutant, unit)

    def learn(self, mutant: str, unit: str) -> None:
        """This unit noticed this mistake, each by its name."""
        self._counts.update((unit, *key) for key in _keys(mutant))

    def order(self, units: Sequence[str], mutant: str) -> tuple[str, ...]:
        """The units: first who noticed this very mistake, then who is likely to notice it soon.

        Likely is who noticed its like, the most alike first; soon is what takes little time.
        """
        keys = list(_keys(mutant))

        def worth(unit: str) -> tuple[float, float]:
            counts = [self._counts[(unit, *key)] for key in keys]
            likely = sum(weight * count / (count + 1) for weight, count in zip(WEIGHTS, counts, strict=True))
            return (-counts[0], -(likely + UNLIKELY) / (self.seconds.get(unit, self._usual) + LEAST))

        return tuple(sorted(units, key=worth))

    @property
    def _usual(self) -> float:
        """What a unit takes that never ran."""
        return sum(self.seconds.values()) / len(self.seconds) if self.seconds else 1.0

    def knows(self, mutant: str) -> bool:
        """Whether something noticed the very same mistake, or its like in another place."""
        same, alike, *_ = _keys(mutant)
        return any(key[1:] in (same, alike) for key in self._counts)


def noticed(scene: Scenario) -> dict[str, str]:
    """What is kept of earlier runs: for a mutant's name, the unit that noticed it. Nothing where it cannot be read."""
    return _kept(_path(scene))


def noticed_beside(scene: Scenario) -> dict[str, str]:
    """The same of the scenarios beside this one, whose mistakes and units are often called the same."""
    beside = sorted(scene.features.glob(f"*/{FILE}"))
    return {mutant: unit for path in beside if path != _path(scene) for mutant, unit in _kept(path).items()}


def note(scene: Scenario, verdicts: Iterable[Verdict], known: Iterable[str]) -> Path:
    """Keep what noticed which mistake, beside what is kept already of other mutants that there still are (`known`)."""
    there = set(known)
    kept = {mutant: unit for mutant, unit in noticed(scene).items() if mutant in there}
    for verdict in verdicts:
        kept.pop(verdict.mutant, None)
        if verdict.unit:
            kept[verdict.mutant] = verdict.unit
    by_unit: dict[str, list[str]] = {}
    for mutant, unit in sorted(kept.items()):
        by_unit.setdefault(unit, []).append(mutant)
    path = _path(scene)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(by_unit, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _path(scene: Scenario) -> Path:
    return scene.features / scene.name / FILE


def _kept(path: Path) -> dict[str, str]:
    kept: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        for unit, mutants in json.loads(path.read_text(encoding="utf-8")).items():
            kept.update((str(mutant), unit) for mutant in mutants)
    return kept


def _keys(mutant: str) -> Iterator[tuple[str, ...]]:
    """What a mutant has in common with others, the most telling first: all, the like elsewhere, where, what."""
    operator, _, place = mutant.partition(": ")
    alike = OWN.sub("*", place)
    yield ("same", mutant)
    yield ("alike", operator, alike)
    yield ("place", alike)
    yield ("node", operator, *place.split()[:1])
    yield ("operator", operator)
    yield ()
