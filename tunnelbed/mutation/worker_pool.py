"""The worker pool of a campaign: one process for each testbed, which gets requests until none is left."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from tunnelbed.errors import TunnelbedError
from tunnelbed.mutation.dispatcher import Dispatcher, Hand
from tunnelbed.mutation.worker import Job, Progress, work


def judge(jobs: Sequence[Job], dispatcher: Dispatcher) -> None:
    """Let workers judge all mutants. Raises `TunnelbedError` where one cannot go on."""
    with _workers(jobs) as workers:
        hands = {pipe: Hand() for pipe in workers}
        dismissed = set()
        while workers:
            for pipe in connection.wait(list(workers)):
                assert isinstance(pipe, Connection)  # noqa: S101 # nothing else is waited for
                try:
                    dispatcher.hear(hands[pipe], said := pipe.recv())
                    if not isinstance(said, Progress):
                        pipe.send(order := dispatcher.next(hands[pipe]))
                        if order is None:
                            dismissed.add(pipe)
                except (EOFError, ConnectionError):
                    worker = workers.pop(pipe)
                    worker.join()
                    # A dismissed one ends well; any other was ended from outside.
                    if worker.exitcode or pipe not in dismissed:
                        raise TunnelbedError(
                            "a worker process was killed; run `invoke mutate` again: verdicts so far are kept"
                        ) from None


@contextlib.contextmanager
def _workers(jobs: Sequence[Job]) -> Iterator[dict[Connection[Any, Any], SpawnProcess]]:
    """A process a job; interrupted, by a key or SIGTERM, we wait until each has taken its testbed down."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    context = multiprocessing.get_context("spawn")
    started: list[tuple[Connection[Any, Any], SpawnProcess]] = []
    before = signal.signal(signal.SIGTERM, stop)
    try:
        for job in jobs:
            ours, theirs = context.Pipe()
            worker = context.Process(target=work, args=(job, theirs))
            worker.start()
            theirs.close()
            started.append((ours, worker))
        yield dict(started)
    except BaseException:
        for _, worker in started:
            if worker.is_alive():
                worker.terminate()
        raise
    finally:
        for pipe, worker in started:
            worker.join()
            pipe.close()
        signal.signal(signal.SIGTERM, before)
