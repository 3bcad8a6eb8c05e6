"""How long a run of features still takes: by what each scenario took in an earlier run, else by the progress so far.

An estimate that nothing supports is none: the terminal then shows no time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

# Of the scenarios that are left, the part that an earlier run must have seen.
KNOWN = 0.8
# Without an earlier run: the part that must be done, and the seconds that it took.
PART, SECONDS = 0.25, 10.0
# Seconds of known scenarios, after which their pace counts: a busy machine takes longer than last time.
PACE_AFTER = 5.0


class TimeLeft:
    """The scenarios of a run, and the seconds that they took: in an earlier run (`before`), and in this one."""

    def __init__(self, scenarios: Sequence[str], before: Mapping[str, float]) -> None:
        self._all, self._before = scenarios, before
        self._ended: set[str] = set()
        self._took: dict[str, float] = {}

    def done(self, scenario: str, seconds: float | None) -> None:
        """A scenario has ended; None: somebody stopped to think in it, so that its time tells nothing."""
        self._ended.add(scenario)
        if seconds is not None:
            self._took[scenario] = seconds

    def seconds(self, running: float) -> float | None:
        """The seconds left, `running` seconds after the current scenario began; None if nothing is known."""
        ahead = [name for name in self._all if name not in self._ended]
        if not ahead:
            return None
        known = [self._before[name] for name in ahead if name in self._before]
        if len(known) >= KNOWN * len(ahead):
            whole = sum(known) * len(ahead) / len(known) * self._pace()
            return max(0.0, whole - running)
        took = sum(self._took.values())
        if len(self._took) >= PART * len(self._all) and took >= SECONDS:
            return max(0.0, took / len(self._took) * len(ahead) - running)
        return None

    def _pace(self) -> float:
        """This run's time for what has ended, divided by the earlier run's."""
        both = [(seconds, self._before[name]) for name, seconds in self._took.items() if name in self._before]
        before = sum(earlier for _, earlier in both)
        return sum(now for now, _ in both) / before if before >= PACE_AFTER else 1.0


def said(seconds: float | None) -> str:
    """In words, as exact as an estimate is: `about 40 s left`, `about 3 min left`; nothing of None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return "a few seconds left"
    return f"about {round(seconds, -1):.0f} s left" if seconds < 95 else f"about {seconds / 60:.0f} min left"


def read(path: Path) -> Mapping[str, float]:
    """The seconds of earlier scenarios; none where no run has left any that can be read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {str(name): float(took) for name, took in found.items() if isinstance(took, int | float)}
    return {}


def write(path: Path, took: Mapping[str, float]) -> None:
    """Keep these beside what is known of others. A folder that cannot be written costs the estimate, not the run."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {**read(path), **{name: round(seconds, 2) for name, seconds in took.items()}}
        path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
