"""Waiting for the thing itself, never for time to pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tunnelbed.errors import DeadlinePassed

T = TypeVar("T")


def until(
    check: Callable[[], T],
    seconds: float,
    what: str,
    *,
    every: float = 0.02,
    good: Callable[[T], bool] = bool,
) -> T:
    """Call `check` until its value is good (true, unless `good` says otherwise) and return that value.

    `check` runs at once, then `every` seconds. After `seconds` it raises `DeadlinePassed`, which tells `what`
    was awaited and the last value seen.
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        last = check()
        if good(last):
            return last
        if time.monotonic() >= deadline:
            raise DeadlinePassed(what, seconds, last)
        pause.wait(every)
