"""A testbed's threads, which a leaping clock waits for: nobody's time is over before they have begun."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MOST = 16
# Real seconds after which a thread that does not ask a node for anything is not waited for any more.
LONGEST = 10.0


class Workers(ThreadPoolExecutor):
    """A pool that knows which of its tasks have not yet asked a node for anything, nor ended."""

    def __init__(self) -> None:
        super().__init__(max_workers=MOST, thread_name_prefix="fake network")
        self._changed = threading.Condition()
        self._coming = 0
        self._own = threading.local()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As every pool's."""
        with self._changed:
            self._coming += 1

        def task() -> T:
            self._own.coming = True
            try:
                return fn(*args, **kwargs)
            finally:
                self.arrive()

        return super().submit(task)

    def arrive(self) -> None:
        """This thread has come as far as to ask for something."""
        if getattr(self._own, "coming", False):
            self._own.coming = False
            with self._changed:
                self._coming -= 1
                self._changed.notify_all()

    def arrived(self) -> None:
        """Return once every task has."""
        self.arrive()
        with self._changed:
            self._changed.wait_for(lambda: self._coming <= 0, LONGEST)
