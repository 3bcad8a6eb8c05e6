"""Waiting: for the thing itself, and telling what was seen when it does not come."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest

from tunnelbed.errors import BadInput, DeadlinePassed
from tunnelbed.waiting import PATIENCE_VARIABLE, be_patient, measured_by, now, own_patience, stretched, told, until


def test_what_is_so_already_is_not_waited_for() -> None:
    began = time.monotonic()
    assert until(lambda: "pong", 60, "a pong", every=60) == "pong"
    assert time.monotonic() - began < 1


def test_the_first_good_value_is_returned() -> None:
    numbers = count()
    assert until(lambda: next(numbers), 5, "three", every=0, good=lambda number: number == 3) == 3
    assert next(numbers) == 4


def test_a_deadline_tells_what_was_awaited_and_the_last_value_seen() -> None:
    numbers = count()
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match=r"^waited 0\.05 s for the moon; last seen: -\d+$") as late:
        until(lambda: -next(numbers), 0.05, "the moon", every=0.01, good=lambda number: number > 0)
    assert late.value.last == 1 - next(numbers)
    assert 0.05 <= time.monotonic() - began < 5


def test_a_deadline_of_no_time_still_looks_once() -> None:
    assert until(lambda: True, 0, "it")
    with pytest.raises(DeadlinePassed):
        until(lambda: False, 0, "it")


def test_what_the_check_raises_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 / 0, 5, "it")


def test_patience_stretches_every_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "4")
    assert stretched(0.5) == 2
    with pytest.raises(DeadlinePassed, match=r"^waited 0\.04 s for the moon"):
        until(lambda: False, 0.01, "the moon")


def test_a_deadline_is_told_with_what_patience_made_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATIENCE_VARIABLE, raising=False)
    assert told(10) == "10 s"
    monkeypatch.setenv(PATIENCE_VARIABLE, "2.5")
    assert told(10) == f"10 s (here 25 s: {PATIENCE_VARIABLE})"


@pytest.mark.parametrize("said", ["", "much", "0", "-1", "nan", "inf"])
def test_patience_is_a_number_from_one_on(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, said)
    with pytest.raises(BadInput, match=PATIENCE_VARIABLE):
        stretched(1)


@pytest.mark.parametrize("before", [None, "3"])
def test_patience_for_one_engine_is_not_kept_for_the_next(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv(PATIENCE_VARIABLE, raising=False)
    if before:
        monkeypatch.setenv(PATIENCE_VARIABLE, before)
    with own_patience():
        be_patient(10)
        assert stretched(1) == float(before or 10)
    assert stretched(1) == float(before or 1)


class Leaping:
    """A clock on which every wait is over at once."""

    def __init__(self) -> None:
        self.moment = 0.0

    def now(self) -> float:
        return self.moment

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.moment += seconds
        return event.is_set()


def test_waits_are_measured_by_another_clock_while_it_counts() -> None:
    clock = Leaping()
    began = time.monotonic()
    with measured_by(clock), pytest.raises(DeadlinePassed):
        until(lambda: False, 3600, "what never comes")
    assert clock.moment == pytest.approx(3600, abs=1)
    assert time.monotonic() - began < 10
    assert now() != clock.now()
