"""Waiting: for the thing itself, and telling what was seen when it does not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tunnelbed.errors import BadInput, DeadlinePassed, MachineBusy
from tunnelbed.host import waiting
from tunnelbed.host.waiting import PATIENCE_VARIABLE, be_patient, measured_by, now, own_patience, stretched, told, until


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


def busy(monkeypatch: pytest.MonkeyPatch, folder: Path, runnable: int) -> None:
    """A machine with two processors that so many processes want."""
    (folder / "loadavg").write_text(f"0.00 0.00 0.00 {runnable}/900 12345\n")
    monkeypatch.setattr(waiting, "LOAD", folder / "loadavg")
    monkeypatch.setattr("os.cpu_count", lambda: 2)


class Hands:
    """A clock that a test turns."""

    moment = 0.0

    def monotonic(self) -> float:
        return self.moment


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    made = Hands()
    monkeypatch.setattr(waiting, "time", made)
    return made


@pytest.mark.parametrize(
    ("runnable", "left"), [(0, 6), (1, 6), (4, 6), (8, 8), (15, 10 - 4 * 4 / 15), (1000, 10 - 4 / 6)]
)
def test_on_a_busy_machine_fewer_seconds_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hands: Hands, runnable: int, left: float
) -> None:
    busy(monkeypatch, tmp_path, runnable)
    allowance = waiting.Allowance(10)
    hands.moment += 4
    assert allowance.left() == pytest.approx(left)
    assert allowance.passed() == 4


def test_a_deadline_moves_only_while_the_machine_is_busy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hands: Hands
) -> None:
    busy(monkeypatch, tmp_path, 8)
    allowance = waiting.Allowance(10)
    hands.moment += 10
    assert allowance.left() == 5
    busy(monkeypatch, tmp_path, 2)
    hands.moment += 4
    assert allowance.left() == 1
    hands.moment += 4
    assert allowance.left() == 0


def test_what_is_seen_in_time_is_judged_however_busy_the_machine_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hands: Hands
) -> None:
    busy(monkeypatch, tmp_path, 100)
    allowance = waiting.Allowance(10)
    hands.moment += 9
    assert until(lambda: True, allowance, "a tunnel")
    allowance.judged("it has a tunnel")


def test_what_is_seen_only_in_the_time_added_cannot_be_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hands: Hands
) -> None:
    busy(monkeypatch, tmp_path, 8)
    allowance = waiting.Allowance(10)
    hands.moment += 12
    assert until(lambda: True, allowance, "a tunnel")
    with pytest.raises(MachineBusy, match=r"^it has a tunnel: cannot be judged: it held after 12\.0 s, .* 10 s;"):
        allowance.judged("it has a tunnel")


def slow(hands: Hands, seconds: float) -> Callable[[], bool]:
    """A look that takes so long."""

    def check() -> bool:
        hands.moment += seconds
        return True

    return check


@pytest.mark.parametrize("runnable", [1, 8])
def test_an_answer_that_was_asked_for_in_time_and_came_late_is_late_only_on_an_idle_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hands: Hands, runnable: int
) -> None:
    busy(monkeypatch, tmp_path, runnable)
    allowance = waiting.Allowance(10)
    hands.moment += 9
    until(slow(hands, 2), allowance, "an answer")
    assert allowance.came == 11
    if runnable == 1:
        allowance.judged("it is answered")
    else:
        with pytest.raises(MachineBusy):
            allowance.judged("it is answered")


def test_what_never_comes_is_waited_for_as_long_as_the_machine_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    busy(monkeypatch, tmp_path, 8)
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match=r"^waited 0\.1 s for the moon"):
        until(lambda: False, 0.1, "the moon")
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("text", ["", "nonsense", "1 2 3 x/y 4"])
def test_a_machine_that_counts_no_processes_is_taken_for_idle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setattr(waiting, "LOAD", tmp_path / "loadavg")
    assert waiting.crowding() == 1
    (tmp_path / "loadavg").write_text(text)
    assert waiting.crowding() == 1


def test_a_shared_allowance_is_one_for_all_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hands: Hands) -> None:
    busy(monkeypatch, tmp_path, 1)
    allowance = waiting.Allowance(10, since=-4)
    assert allowance.passed() == 4
    hands.moment += 6
    with pytest.raises(DeadlinePassed):
        until(lambda: False, allowance, "it")
