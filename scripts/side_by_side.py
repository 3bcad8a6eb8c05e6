"""What `invoke verify --jobs N` shows: each run's output, in the order of the scenarios, and one live line."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from scripts.live_line import LiveLine
from tunnelbed.testbed import verification
from tunnelbed.testbed.verification import Asked, Outcome

# A scenario that ended has a line with one of these (`scripts/terminal.py`).
MARKS = ("  ✓ ", "  ✗ ", "  + ", "  x ", "  ! ")


class Screen:
    """Shows runs that go on at the same time. Use it as a context manager."""

    def __init__(self, runs: int, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, emoji=False, markup=False, highlight=False)
        self._runs, self._ended, self._scenarios = runs, 0, 0
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._live = LiveLine(self._console, self._now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, at: TracebackType | None) -> None:
        self._live.hide()

    def line(self, text: str) -> None:
        """A run printed a line: it is shown when the run has ended, and counted now."""
        with self._lock:
            self._scenarios += text.startswith(MARKS)
            if self._ended < self._runs:
                self._live.show()

    def ended(self, outcome: Outcome) -> None:
        """Show what a run printed."""
        with self._lock:
            self._ended += 1
            self._console.print(Text(f"\n== {outcome.scenario} ==", "bold"), soft_wrap=True)
            self._console.print(Text(outcome.output.strip("\n")), soft_wrap=True)

    def _now(self) -> Text:
        seconds = time.monotonic() - self._began
        told = f"{self._ended} of {self._runs} testbeds done · {self._scenarios} scenarios · {seconds:.0f} s"
        return Text(told, "dim", no_wrap=True)


def run(asked: Asked) -> Sequence[Outcome]:
    """Run the features of scenarios, and show them."""
    with Screen(len(asked.scenarios)) as screen:
        return verification.run(asked, screen)
