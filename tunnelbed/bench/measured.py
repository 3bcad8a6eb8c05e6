"""A quantity measured several times, and where such quantities are kept: every run as JSON, a table as Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


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


class Runs:
    """Values by name while they are measured, in the order in which names came first."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = {}

    def add(self, name: str, value: float, unit: str = "s") -> None:
        """One run's value."""
        self._values.setdefault((name, unit), []).append(value)

    def measured(self) -> Sequence[Measured]:
        """All that was added."""
        return [Measured(name, unit, tuple(values)) for (name, unit), values in self._values.items()]


def write(name: str, document: Mapping[str, object], table: str, folder: Path) -> None:
    """Write every run as NAME.json and the table as NAME.md."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in ((".json", json.dumps(document, indent=2)), (".md", table)):
        (folder / f"{name}{suffix}").write_text(text + "\n", encoding="utf-8")


def as_document(name: str, found: Sequence[Measured]) -> Mapping[str, object]:
    """What is kept as JSON."""
    return {"name": name, "measured": [asdict(one) for one in found]}
