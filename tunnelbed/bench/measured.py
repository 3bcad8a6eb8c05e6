"""Quantities measured several times, of which scenario and what, and the one file that keeps them all."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tunnelbed.errors import BadInput


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
        return f"{short(min(self.runs))} to {short(max(self.runs))}"

    def against(self, other: Measured) -> float:
        """How many times as much this is as another: the middle of each run's own ratio, where both have each run."""
        if len(self.runs) == len(other.runs):
            return statistics.median(one / of for one, of in zip(self.runs, other.runs, strict=True))
        return self.median / other.median


@dataclass(frozen=True)
class Series:
    """All that was measured of one subject in one scenario; `emulated`: processors were emulated by software."""

    scenario: str
    subject: str
    measured: tuple[Measured, ...]
    emulated: bool = False

    def get(self, name: str) -> Measured | None:
        """The quantity of that name, or None where it was not measured."""
        return next((one for one in self.measured if one.name == name), None)


@dataclass(frozen=True)
class Results:
    """What one run of `invoke bench` found, and under which conditions."""

    conditions: Mapping[str, str] = field(default_factory=dict)
    series: tuple[Series, ...] = ()

    def save(self, file: Path) -> None:
        """Write all of it as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Results:
        """Read what `save` wrote; raises `BadInput` where it is not there."""
        if not file.exists():
            raise BadInput(
                str(file), "", "nothing", "what `invoke bench` measured", "run `invoke bench` without `--again` first"
            )
        said = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            said["conditions"],
            tuple(
                Series(
                    one["scenario"],
                    one["subject"],
                    tuple(Measured(m["name"], m["unit"], tuple(m["runs"])) for m in one["measured"]),
                    one["emulated"],
                )
                for one in said["series"]
            ),
        )


class Runs:
    """Values by name while they are measured, in the order in which names came first."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = {}

    def add(self, name: str, value: float, unit: str = "s") -> None:
        """One run's value."""
        self._values.setdefault((name, unit), []).append(value)

    def measured(self) -> tuple[Measured, ...]:
        """All that was added."""
        return tuple(Measured(name, unit, tuple(values)) for (name, unit), values in self._values.items())


def short(value: float) -> str:
    """A number with three digits that count: `0.0123`, `4.56`, `1230`."""
    if abs(value) < 1000:
        return f"{value:.3g}"
    return f"{round(value, 3 - len(str(int(abs(value))))):.0f}"


def average(found: Sequence[Measured]) -> Measured:
    """The same quantity of several scenarios as one, averaged run by run, as the paper's Table 1 is."""
    first = found[0]
    count = min(len(one.runs) for one in found)
    return Measured(
        first.name, first.unit, tuple(statistics.fmean(one.runs[run] for one in found) for run in range(count))
    )
