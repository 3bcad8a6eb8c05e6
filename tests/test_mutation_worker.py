"""A worker judges: what it counts as noticed, and when it believes itself."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from tunnelbed.errors import TunnelbedError
from tunnelbed.mutation import Mutant
from tunnelbed.mutation.sandbox import Refused, Sandbox
from tunnelbed.mutation.verdicts import INVALID, KILLED, SURVIVED, Failure
from tunnelbed.mutation.worker import Inspect, Inspected, Judge, Proven, Tried, Try
from tunnelbed.testbed.testbed import Testbed as Bed


class FakeSandbox:
    """A testbed that knows which mutant it has; `refused` ones it does not take, of a `sticky` one something stays."""

    def __init__(self, *refused: str, sticky: str = "none") -> None:
        self.bed, self.refused, self.sticky, self.ups = SimpleNamespace(has=""), refused, sticky, 0
        self.lost = False
        self.stuck = ""
        self.told: list[str] = []
        self.progress = self.told.append

    def become(self, mutant: Mutant | None) -> None:
        if self.lost:
            raise Refused("the connection to its agent ended")
        self.bed.has = mutant.place if mutant else self.stuck
        self.stuck = self.bed.has if self.bed.has == self.sticky else self.stuck
        if self.bed.has in self.refused:
            raise Refused("not with me")

    def left(self) -> str:
        return self.stuck

    def up(self) -> None:
        self.bed.has, self.stuck, self.ups, self.lost = "", "", self.ups + 1, False


class FakeFeatures:
    """Units that fail for some mutants: `{"unit": {"place"}}`; "" stands for the scenario without a mistake."""

    def __init__(self, **fails: set[str]) -> None:
        self.fails, self.asked = fails, list[str]()
        # Units that fail once more than they should: a busy machine. Units whose sentences hold, and yet they fail.
        self.shaky: set[str] = set()
        self.mute: set[str] = set()

    @property
    def units(self) -> Sequence[str]:
        return list(self.fails)

    def prove(self, bed: Bed, unit: str) -> Failure | None:
        self.asked.append(unit)
        has = cast("SimpleNamespace", bed).has
        if unit in self.shaky:
            self.shaky.remove(unit)
            return Failure("x.feature:1", "too slow", "no")
        failure = Failure("x.feature:1", f"{unit} holds", "no", said=unit not in self.mute)
        return failure if has in self.fails[unit] else None


def judge(sandbox: FakeSandbox, features: FakeFeatures) -> Judge:
    return Judge(cast("Sandbox", sandbox), features)


def mutant(place: str) -> Mutant:
    return Mutant("rule-removed", place, f"{place} is wrong", {})


@pytest.mark.parametrize(("place", "outcome"), [("bad", KILLED), ("sly", SURVIVED), ("broken", INVALID)])
def test_each_mutant_gets_its_verdict(place: str, outcome: str) -> None:
    done = judge(FakeSandbox("broken"), FakeFeatures(one={"bad"}, two=set())).do(Try(mutant(place), ("one", "two")))
    assert isinstance(done, Tried)
    assert done.verdict.outcome == outcome


def test_a_verdict_tells_what_noticed() -> None:
    verdict = judge(FakeSandbox(), FakeFeatures(one=set(), two={"bad"})).tried(mutant("bad"), ("one", "two")).verdict
    assert (verdict.unit, verdict.why, verdict.place) == ("two", "two holds", "x.feature:1")


def test_nothing_is_asked_after_the_first_that_notices_twice() -> None:
    features = FakeFeatures(one={"bad"}, two={"bad"})
    judge(FakeSandbox(), features).tried(mutant("bad"), ("two", "one"))
    assert features.asked == ["two", "two"]


def test_what_fails_once_only_has_noticed_nothing() -> None:
    features = FakeFeatures(one=set(), two={"bad"})
    features.shaky = {"one"}
    assert judge(FakeSandbox(), features).tried(mutant("bad"), ("one", "two")).verdict.unit == "two"


def test_a_survivor_that_one_failure_spoke_against_says_so() -> None:
    features = FakeFeatures(one=set())
    features.shaky = {"one"}
    verdict = judge(FakeSandbox(), features).tried(mutant("sly"), ("one",)).verdict
    assert (verdict.outcome, verdict.why) == (SURVIVED, "one failed once, and held when it was asked again")


def test_a_unit_that_holds_without_a_mistake_is_proven() -> None:
    assert judge(FakeSandbox(), FakeFeatures(one={"bad"})).proven("one") == Proven("one", sound=True)


def test_a_unit_that_holds_on_a_fresh_testbed_only_tells_that_something_was_left() -> None:
    found = judge(FakeSandbox(sticky="bad"), FakeFeatures(one={"bad"}))
    found.tried(mutant("bad"), ("one",))
    assert found.proven("one") == Proven("one", sound=False)


def test_features_that_fail_by_themselves_are_told() -> None:
    with pytest.raises(
        TunnelbedError, match=r"`one holds` .*does not hold on the unchanged scenario.*correct that first"
    ):
        judge(FakeSandbox(), FakeFeatures(one={""})).proven("one")


def test_what_is_left_of_a_mutant_is_told_and_gone() -> None:
    sandbox = FakeSandbox(sticky="bad")
    found = judge(sandbox, FakeFeatures(one={"bad"}))
    found.tried(mutant("bad"), ("one",))
    assert found.do(Inspect()) == Inspected("bad")
    assert found.do(Inspect()) == Inspected("")
    assert sandbox.ups == 1


def test_a_testbed_that_was_lost_makes_no_mutant_invalid() -> None:
    sandbox = FakeSandbox()
    sandbox.lost = True
    verdict = judge(sandbox, FakeFeatures(one={"bad"})).tried(mutant("bad"), ("one",)).verdict
    assert (verdict.outcome, sandbox.ups) == (KILLED, 1)
    assert "the connection to its agent ended" in sandbox.told[0]


def test_a_sentence_says_better_what_is_wrong_than_a_change_that_cannot_be_undone() -> None:
    features = FakeFeatures(one={"bad"}, two={"bad"})
    features.mute = {"one"}
    assert judge(FakeSandbox(), features).tried(mutant("bad"), ("one", "two")).verdict.unit == "two"


def test_a_change_that_cannot_be_undone_notices_too_where_every_sentence_holds() -> None:
    features = FakeFeatures(one={"bad"}, two=set())
    features.mute = {"one"}
    verdict = judge(FakeSandbox(), features).tried(mutant("bad"), ("one", "two")).verdict
    assert (verdict.outcome, verdict.unit) == (KILLED, "one")
