"""Waiting for the thing itself, never for time to pass.

TUNNELBED_PATIENCE=8 makes every wait eight times as long, for a machine that is slower than the deadlines were made
for, such as an emulated one. It makes no verdict milder: an absence rests on what was seen, not on a deadline. Only a
sentence that itself names seconds (`within 10 s`) means as many times as many there.

A deadline has room for a machine on which `ROOM` processes want each processor. Where more do, it moves (`Allowance`):
10 s of a machine that is twice as busy are 20 s. What a sentence gives a time of its own and is seen only in the time
that was added, cannot be judged (`Allowance.judged`): the network may be slow, or only the machine.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from tunnelbed.errors import BadInput, DeadlinePassed, MachineBusy

T = TypeVar("T")
PATIENCE_VARIABLE = "TUNNELBED_PATIENCE"
MOST_PATIENCE = 1000
# From one look to the next passes this part of what was waited already: most looks start a process on a node, and what
# took a second is told a twentieth later.
LEISURE = 0.05
# Processes for each processor that deadlines have room for, and how many times as long they become at most.
ROOM, MOST_MOVED = 2.0, 6.0
LOAD = Path("/proc/loadavg")


class Clock(Protocol):
    """What seconds are counted by: the machine's clock, or one of a network that is computed (`measured_by`)."""

    def now(self) -> float:
        """Seconds since some moment; never less than before."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Return when the event is set or so many seconds have passed; whether it is set."""


class _MachineClock:
    """The machine's own."""

    def now(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


# The last one counts.
_clocks: list[Clock] = [_MachineClock()]


@contextlib.contextmanager
def measured_by(clock: Clock) -> Iterator[None]:
    """Let this process count seconds by another clock while the body runs: one that does not wait for time to pass."""
    _clocks.append(clock)
    try:
        yield
    finally:
        _clocks.remove(clock)


def now() -> float:
    """The moment, in seconds, by the clock that counts."""
    return _clocks[-1].now()


def pause(event: threading.Event, seconds: float) -> bool:
    """Return when the event is set or so many seconds have passed by the clock that counts; whether it is set."""
    return _clocks[-1].wait(event, seconds)


def rest(seconds: float) -> None:
    """Return when so many seconds have passed by the clock that counts."""
    pause(threading.Event(), seconds)


def crowding() -> float:
    """How many processes want each processor of this machine at this moment; 1 where nobody counts them.

    proc(5): the fourth field of /proc/loadavg, before the slash. It says at once what the averages say a minute later.
    A network that is computed has no processors to wait for.
    """
    if len(_clocks) > 1:
        return 1.0
    try:
        runnable = int(LOAD.read_text(encoding="ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 1.0
    return runnable / (os.cpu_count() or 1)


def _crowded() -> float:
    """How many times as long as on a machine that is not busy something takes here now: deadlines move by that."""
    return min(max(crowding() / ROOM, 1.0), MOST_MOVED)


def moved(seconds: float) -> float:
    """As many seconds as these are on this machine now: `stretched`, and more where it is busy. Raises `BadInput`."""
    return stretched(seconds) * _crowded()


class Allowance:
    """Seconds, `stretched`, that something may take, from now or from a moment on; on a busy machine fewer count.

    They are counted by `now`, or a clock of somebody else's, who makes them pass in a way of their own.
    """

    def __init__(
        self,
        seconds: float,
        since: float | None = None,
        clock: Callable[[], float] | None = None,
        passing: Callable[[float], None] | None = None,
    ) -> None:
        self.seconds = stretched(seconds)
        self._now, self.rest = clock or now, passing or rest
        self._began = self._seen = self._now() if since is None else since
        self._spent = 0.0
        # What had passed when it was last looked for, and when that look was over.
        self._looked = self.came = 0.0

    def passed(self) -> float:
        """Seconds since the beginning."""
        return self._now() - self._began

    def left(self) -> float:
        """Seconds that are left; the time since the last call counts as far as the machine had time for it."""
        moment = self._now()
        self._spent += (moment - self._seen) / _crowded()
        self._seen = moment
        return max(0.0, self.seconds - self._spent)

    def look(self, check: Callable[[], T]) -> T:
        """Look for what is awaited, and note when."""
        self._looked = self.passed()
        found = check()
        self.came = self.passed()
        return found

    def judged(self, what: str) -> None:
        """What was awaited is so. Raises `MachineBusy` if it may have been so in time, and was only seen too late."""
        moved = self.left() > 0
        if self._looked > self.seconds or (moved and self.came > self.seconds):
            raise MachineBusy(what, self.seconds, self.came)


def until(
    check: Callable[[], T],
    seconds: float | Allowance,
    what: str,
    *,
    every: float = 0.02,
    good: Callable[[T], bool] = bool,
) -> T:
    """Call `check` until its value is good (true, unless `good` says otherwise) and return that value.

    `check` runs at once, then `every` seconds; what is long in coming is looked for less often (`LEISURE`). After
    `seconds` it raises `DeadlinePassed`, which tells `what` was awaited and the last value seen. Both times are
    `stretched`: a slow machine has no time for much looking, either. An `Allowance` may be shared by several waits.
    """
    allowance = seconds if isinstance(seconds, Allowance) else Allowance(seconds)
    every = stretched(every)
    while True:
        last = allowance.look(check)
        if good(last):
            return last
        left = allowance.left()
        if not left:
            raise DeadlinePassed(what, allowance.seconds, last)
        allowance.rest(max(every, min(LEISURE * allowance.passed(), left)))


def be_patient(factor: float) -> None:
    """Let waits of this process, and of what it starts, be so many times as long, unless a person has said how long."""
    if factor > 1:
        os.environ.setdefault(PATIENCE_VARIABLE, f"{factor:g}")


@contextlib.contextmanager
def own_patience() -> Iterator[None]:
    """What `be_patient` sets in the body is forgotten at its end: it was right for one engine, not for the next."""
    before = os.environ.get(PATIENCE_VARIABLE)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(PATIENCE_VARIABLE, None)
        else:
            os.environ[PATIENCE_VARIABLE] = before


def stretched(seconds: float) -> float:
    """As many seconds as these are on this machine: TUNNELBED_PATIENCE times as many. Raises `BadInput`."""
    said = os.environ.get(PATIENCE_VARIABLE, "1")
    try:
        factor = float(said)
    except ValueError:
        factor = math.nan
    if not 1 <= factor <= MOST_PATIENCE:
        expected = f"a number from 1 to {MOST_PATIENCE}"
        raise BadInput(PATIENCE_VARIABLE, "", repr(said), expected, "correct the variable, or unset it")
    return seconds * factor


def told(seconds: float) -> str:
    """A deadline for a person, who is to know what a machine's patience made of it: `10 s (here 100 s)`."""
    real = stretched(seconds)
    return f"{seconds:g} s" if real == seconds else f"{seconds:g} s (here {real:g} s: {PATIENCE_VARIABLE})"
