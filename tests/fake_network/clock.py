"""A clock that leaps: time passes only where somebody waits, and then at once (as trio's MockClock does it)."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

Due = tuple[float, int, Callable[[], None]]
# Real seconds after which whoever is due runs, though nobody waits by this clock.
IDLE = 0.005


class LeapingClock:
    """`quiet` returns once nothing is under way; `lock` is the network's own, held while what is due runs."""

    def __init__(self, quiet: Callable[[], None], lock: threading.RLock) -> None:
        self._quiet, self._lock = quiet, lock
        self._moment = 1_000_000.0
        self._due: list[Due] = []
        self._numbers = itertools.count()
        # How often anybody waited, or asked a node for anything.
        self.asked = 0
        self._mover: threading.Thread | None = None

    def now(self) -> float:
        """As `waiting.Clock`; no two readings by the network are the same, so that frames have an order."""
        return self._moment

    def tick(self) -> float:
        """The moment of one more thing that happens."""
        self._moment += 0.00001
        return self._moment

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """As `waiting.Clock`: what is under way comes first, and then so many seconds have passed."""
        self.asked += 1
        self._quiet()
        if not event.is_set():
            self.pass_by(seconds)
            self._quiet()
        return event.is_set()

    def pass_by(self, seconds: float) -> None:
        """So many seconds pass, and what is due in them happens."""
        with self._lock:
            until = self._moment + seconds
            while self._due and self._due[0][0] <= until:
                at, _, action = heapq.heappop(self._due)
                self._moment = max(self._moment, at)
                action()
            self._moment = max(self._moment, until)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Something happens in so many seconds, also where nobody waits by this clock meanwhile."""
        with self._lock:
            heapq.heappush(self._due, (self._moment + seconds, next(self._numbers), action))
            if self._mover is None:
                self._mover = threading.Thread(target=self._move, name="leaping clock", daemon=True)
                self._mover.start()

    def _move(self) -> None:
        never = threading.Event()
        while True:
            asked = self.asked
            never.wait(IDLE)
            with self._lock:
                if not self._due:
                    self._mover = None
                    return
                if asked == self.asked:
                    self.pass_by(max(0.0, self._due[0][0] - self._moment))
