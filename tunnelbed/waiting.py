"""Waiting for the thing itself, never for time to pass.

TUNNELBED_PATIENCE=8 makes every wait eight times as long, for a machine that is slower than the deadlines were made
for, such as an emulated one. It makes no verdict milder: an absence rests on what was seen, not on a deadline. Only a
sentence that itself names seconds (`within 10 s`) means as many times as many there.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from tunnelbed.errors import BadInput, DeadlinePassed

T = TypeVar("T")
PATIENCE_VARIABLE = "TUNNELBED_PATIENCE"
MOST_PATIENCE = 1000
# From one look to the next passes this part of what was waited already: most looks start a process on a node, and what
# took a second is told a twentieth later.
LEISURE = 0.05


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


def until(
    check: Callable[[], T],
    seconds: float,
    what: str,
    *,
    every: float = 0.02,
    good: Callable[[T], bool] = bool,
) -> T:
    """Call `check` until its value is good (true, unless `good` says otherwise) and return that value.

    `check` runs at once, then `every` seconds; what is long in coming is looked for less often (`LEISURE`). After
    `seconds` it raises `DeadlinePassed`, which tells `what` was awaited and the last value seen. Both times are
    `stretched`: a slow machine has no time for much looking, either.
    """
    seconds, every = stretched(seconds), stretched(every)
    began = now()
    deadline = began + seconds
    never = threading.Event()
    while True:
        last = check()
        if good(last):
            return last
        if (moment := now()) >= deadline:
            raise DeadlinePassed(what, seconds, last)
        pause(never, max(every, min(LEISURE * (moment - began), deadline - moment)))


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
