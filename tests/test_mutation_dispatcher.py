"""What a campaign tells its workers to do next, and which of their verdicts count."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tunnelbed.errors import TunnelbedError
from tunnelbed.mutation import Mutant
from tunnelbed.mutation.dispatcher import BATCH, Dispatcher, Hand, Work
from tunnelbed.mutation.equivalent import Reason
from tunnelbed.mutation.experience import Experience
from tunnelbed.mutation.verdicts import EQUIVALENT, KILLED, SURVIVED, Verdict
from tunnelbed.mutation.worker import Failed, Inspect, Inspected, Prove, Proven, Ready, Tried, Try


class Campaign:
    """A dispatcher of mutants named by number, and what it keeps."""

    def __init__(self, count: int, *reasons: Reason, noticed: dict[str, str] | None = None) -> None:
        self.kept: dict[str, Verdict] = {}
        self.told: list[str] = []
        mutants = [Mutant("rule-removed", str(number), "", {}) for number in range(count)]
        work = Work("tiny", mutants, reasons)
        self.dispatcher = Dispatcher(work, Experience(noticed or {}), self.keep, self.told.append)

    def keep(self, verdicts: Iterable[Verdict]) -> None:
        self.kept.update({verdict.mutant: verdict for verdict in verdicts})

    def begin(self) -> Campaign:
        self.dispatcher.hear(Hand(), Ready("user", ("one", "two")))
        return self

    def try_next(self, hand: Hand, unit: str = "one") -> str:
        """Let a worker try a mutant, and a unit notice it, or with "" none; the mutant's name."""
        told = self.dispatcher.next(hand)
        assert isinstance(told, Try)
        outcome = KILLED if unit else SURVIVED
        self.dispatcher.hear(hand, Tried(Verdict(told.mutant.name, outcome, unit=unit)))
        return told.mutant.name


def test_mutants_are_handed_out_one_by_one_and_each_once() -> None:
    campaign, ours, theirs = Campaign(3).begin(), Hand(), Hand()
    names = [campaign.try_next(hand, "") for hand in (ours, theirs, ours)]
    assert sorted(names) == ["rule-removed: 0", "rule-removed: 1", "rule-removed: 2"]
    assert isinstance(campaign.dispatcher.next(theirs), Inspect)


def test_what_noticed_is_proven_without_a_mistake_once_for_all() -> None:
    campaign, ours, theirs = Campaign(9).begin(), Hand(), Hand()
    campaign.try_next(ours)
    assert campaign.dispatcher.next(ours) == Prove("one")
    campaign.try_next(theirs)
    assert isinstance(campaign.dispatcher.next(theirs), Try)
    campaign.dispatcher.hear(ours, Proven("one", sound=True))
    assert isinstance(campaign.dispatcher.next(ours), Try)


def test_no_verdict_counts_before_the_testbed_is_seen_to_be_as_it_was() -> None:
    campaign, hand = Campaign(1).begin(), Hand()
    campaign.try_next(hand)
    campaign.dispatcher.hear(hand, Proven("one", sound=True))
    assert not campaign.kept
    assert campaign.dispatcher.next(hand) == Inspect()
    campaign.dispatcher.hear(hand, Inspected(""))
    assert list(campaign.kept) == ["rule-removed: 0"]
    assert campaign.dispatcher.next(hand) is None


def test_no_verdict_counts_before_another_worker_has_proven_what_noticed() -> None:
    campaign, ours, theirs = Campaign(2).begin(), Hand(), Hand()
    campaign.try_next(ours)
    assert campaign.dispatcher.next(ours) == Prove("one")
    campaign.try_next(theirs)
    assert campaign.dispatcher.next(theirs) == Inspect()
    campaign.dispatcher.hear(theirs, Inspected(""))
    assert not campaign.kept
    campaign.dispatcher.hear(ours, Proven("one", sound=True))
    assert list(campaign.kept) == ["rule-removed: 1"]


def test_mutants_after_which_something_was_left_are_tried_again_each_alone() -> None:
    campaign, hand = Campaign(2).begin(), Hand()
    names = [campaign.try_next(hand)]
    campaign.dispatcher.hear(hand, Proven("one", sound=True))
    names.append(campaign.try_next(hand))
    campaign.dispatcher.hear(hand, Inspected("a route"))
    assert not campaign.kept
    for name in names:
        assert campaign.try_next(hand) == name
        assert campaign.dispatcher.next(hand) == Inspect()
        # Whatever it leaves, nothing was left before it.
        campaign.dispatcher.hear(hand, Inspected("a route"))
        assert name in campaign.kept
    assert campaign.dispatcher.next(hand) is None


def test_a_unit_that_held_only_on_a_fresh_testbed_lets_the_mutants_be_tried_again() -> None:
    campaign, hand = Campaign(1).begin(), Hand()
    campaign.try_next(hand)
    campaign.dispatcher.hear(hand, Proven("one", sound=False))
    assert not campaign.kept
    assert campaign.try_next(hand) == "rule-removed: 0"


def test_a_survivor_counts_whatever_was_left_since_everything_held() -> None:
    campaign, hand = Campaign(1).begin(), Hand()
    campaign.try_next(hand, "")
    campaign.dispatcher.hear(hand, Inspected("a route"))
    assert campaign.kept["rule-removed: 0"].outcome == SURVIVED


def test_a_worker_shows_after_so_many_mutants_that_nothing_is_left() -> None:
    campaign, hand = Campaign(BATCH + 1).begin(), Hand()
    for _ in range(BATCH):
        campaign.try_next(hand, "")
    assert campaign.dispatcher.next(hand) == Inspect()


def test_who_noticed_it_before_is_asked_first() -> None:
    campaign = Campaign(1, noticed={"rule-removed: 0": "two"}).begin()
    told = campaign.dispatcher.next(Hand())
    assert isinstance(told, Try)
    assert told.units == ("two", "one")


def test_what_nobody_knows_yet_comes_first_since_it_takes_longest() -> None:
    mutants = [Mutant("rule-removed", name, "", {}) for name in ("first", "second")]
    dispatcher = Dispatcher(Work("tiny", mutants), Experience({"rule-removed: first": "one"}), print, print)
    dispatcher.hear(Hand(), Ready("user", ("one",)))
    told = dispatcher.next(Hand())
    assert isinstance(told, Try)
    assert told.mutant.place == "second"


def test_two_workers_are_not_at_the_same_sort_of_mistake_while_there_is_another() -> None:
    mutants = [Mutant(*name, "", {}) for name in (("rule-removed", "1"), ("rule-removed", "2"), ("route-missing", "1"))]
    dispatcher = Dispatcher(Work("tiny", mutants), Experience({}), print, print)
    dispatcher.hear(Hand(), Ready("user", ("one",)))
    tries = [dispatcher.next(Hand()) for _ in mutants]
    names = [told.mutant.name for told in tries if isinstance(told, Try)]
    assert names == ["rule-removed: 1", "route-missing: 1", "rule-removed: 2"]


def test_an_equivalent_mutant_is_not_tried() -> None:
    campaign = Campaign(1, Reason(("*: 0",), "user", "nobody notices")).begin()
    assert campaign.kept["rule-removed: 0"].outcome == EQUIVALENT
    assert campaign.dispatcher.next(Hand()) is None


def test_a_reason_for_another_data_plane_is_none() -> None:
    campaign = Campaign(1, Reason(("*: 0",), "kernel", "nobody notices")).begin()
    assert isinstance(campaign.dispatcher.next(Hand()), Try)


def test_a_scenario_without_features_has_nothing_to_prove() -> None:
    with pytest.raises(TunnelbedError, match=r"no feature has the tag @scenario\.tiny"):
        Campaign(1).dispatcher.hear(Hand(), Ready("user", ()))


def test_a_worker_that_cannot_go_on_ends_the_campaign() -> None:
    with pytest.raises(TunnelbedError, match="no engine"):
        Campaign(1).dispatcher.hear(Hand(), Failed("no engine"))
