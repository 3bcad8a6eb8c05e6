"""A worker judges: what it counts as noticed, and when it believes itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.conftest import Checkout
from tunnelbed.errors import TunnelbedError
from tunnelbed.model import Scenario
from tunnelbed.mutation import Mutant
from tunnelbed.mutation.equivalent import Reason
from tunnelbed.mutation.ground import Ground, Refused
from tunnelbed.mutation.verdicts import EQUIVALENT, INVALID, KILLED, SURVIVED, Failure
from tunnelbed.mutation.worker import Job, Judge
from tunnelbed.scenario import load
from tunnelbed.testbed import Options
from tunnelbed.testbed import Testbed as Bed


class FakeGround:
    """A testbed that only knows which mutant it has; `refused` ones it does not take."""

    def __init__(self, *refused: str) -> None:
        self.bed, self.refused, self.ups = SimpleNamespace(has=""), refused, 0
        self.lost = False

    def become(self, mutant: Mutant | None) -> None:
        if self.lost:
            raise Refused("the conversation with it ended")
        self.bed.has = mutant.place if mutant else ""
        if self.bed.has in self.refused:
            raise Refused("not with me")

    def up(self) -> None:
        self.bed.has, self.ups, self.lost = "", self.ups + 1, False


class FakeFeatures:
    """Units that fail for some mutants: `{"unit": {"place"}}`; "" stands for the scenario without a mistake."""

    def __init__(self, **fails: set[str]) -> None:
        self.fails, self.asked = fails, list[str]()

    @property
    def units(self) -> Sequence[str]:
        return list(self.fails)

    def prove(self, bed: Bed, unit: str) -> Failure | None:
        self.asked.append(unit)
        has = cast("SimpleNamespace", bed).has
        return Failure("x.feature:1", f"{unit} holds", "no") if has in self.fails[unit] else None


def judge(checkout: Checkout, ground: FakeGround, features: FakeFeatures, *reasons: Reason) -> Judge:
    def prover(scene: Scenario) -> FakeFeatures:
        return features

    job = Job(load("tiny", checkout.root), Path("none"), Options(), reasons, prover)
    return Judge(job, cast("Ground", ground), features, "user", lambda _: None)


def mutants(*places: str) -> list[Mutant]:
    return [Mutant("rule-removed", place, f"{place} is wrong", {}) for place in places]


def test_each_mutant_gets_its_verdict(checkout: Checkout) -> None:
    reason = Reason(("*: harmless",), "", "nobody notices")
    found = judge(checkout, FakeGround("broken"), FakeFeatures(one={"bad"}, two=set()), reason)
    verdicts = found.judge(mutants("bad", "sly", "broken", "harmless"))
    assert [verdict.outcome for verdict in verdicts] == [KILLED, SURVIVED, INVALID, EQUIVALENT]
    assert verdicts[0].why == "one holds"


def test_only_what_noticed_something_is_proven_again(checkout: Checkout) -> None:
    features = FakeFeatures(one=set(), two={"bad"})
    judge(checkout, FakeGround(), features).judge(mutants("bad"))
    assert features.asked == ["one", "two", "two"]


def test_nothing_is_believed_that_also_fails_without_a_mistake(checkout: Checkout) -> None:
    ground = FakeGround()
    found = judge(checkout, ground, FakeFeatures(one={"bad", ""}))
    with pytest.raises(TunnelbedError, match="without any mistake made, `one holds`"):
        found.judge(mutants("bad"))
    assert ground.ups == 1


def test_features_that_fail_by_themselves_are_told_before_any_mistake(checkout: Checkout) -> None:
    with pytest.raises(TunnelbedError, match="mend that first"):
        judge(checkout, FakeGround(), FakeFeatures(one={""})).prove_unmutated(["one"])


def test_a_scenario_without_features_has_nothing_to_prove(checkout: Checkout) -> None:
    with pytest.raises(TunnelbedError, match="no feature has the tag @scenario"):
        judge(checkout, FakeGround(), FakeFeatures()).prove_unmutated([])


def test_a_testbed_that_was_lost_makes_no_mutant_invalid(checkout: Checkout) -> None:
    ground = FakeGround()
    ground.lost = True
    (verdict,) = judge(checkout, ground, FakeFeatures(one={"bad"})).judge(mutants("bad"))
    assert (verdict.outcome, ground.ups) == (KILLED, 1)
