"""In which order proofs are asked, and what is kept for the next run."""

from __future__ import annotations

import json

from tests.conftest import Checkout
from tunnelbed.mutation.experience import Experience, note, noticed, noticed_beside
from tunnelbed.mutation.verdicts import KILLED, SURVIVED, Verdict
from tunnelbed.topology.compose_file import load

UNITS = ("slow", "quick", "telling")
RULE = "rule-removed: gateway-a forward: iifname intranet_a accept"


def experience(**kept: str) -> Experience:
    made = Experience(kept)
    made.seconds = {"slow": 9.0, "quick": 1.0, "telling": 5.0}
    return made


def test_who_noticed_this_very_mistake_is_asked_first_however_slow() -> None:
    found = experience()
    found.learn(RULE, "slow")
    for _ in range(9):
        found.learn("rule-removed: gateway-a forward: other", "quick")
    assert found.order(UNITS, RULE)[0] == "slow"


def test_a_mistake_is_looked_for_where_its_like_elsewhere_was_noticed() -> None:
    found = experience()
    found.learn("rule-removed: gateway-b forward: iifname intranet_b accept", "telling")
    found.learn("rule-removed: gateway-a input: drop", "quick")
    assert found.order(UNITS, RULE)[0] == "telling"


def test_among_equals_the_quickest_is_asked_first() -> None:
    assert experience().order(UNITS, RULE) == ("quick", "telling", "slow")


def test_every_unit_is_asked_whatever_was_noticed_before() -> None:
    found = experience()
    found.learn(RULE, "telling")
    assert sorted(found.order(UNITS, RULE)) == sorted(UNITS)


def test_a_unit_that_is_gone_is_not_asked() -> None:
    found = experience()
    found.learn(RULE, "gone")
    assert set(found.order(UNITS, RULE)) == set(UNITS)


def test_a_mistake_is_known_by_its_like() -> None:
    found = experience()
    found.learn("rule-removed: gateway-b forward: iifname intranet_b accept", "quick")
    assert found.knows(RULE)
    assert not found.knows("verdict-flipped: gateway-a forward: iifname intranet_a accept")


def test_what_noticed_is_kept_by_unit_and_read_again(checkout: Checkout) -> None:
    scene = load("tiny", checkout.root)
    path = note(scene, [Verdict("a", KILLED, unit="one"), Verdict("b", KILLED, unit="one")], ["a", "b"])
    assert json.loads(path.read_text()) == {"one": ["a", "b"]}
    assert noticed(scene) == {"a": "one", "b": "one"}


def test_later_verdicts_replace_earlier_ones_and_leave_others(checkout: Checkout) -> None:
    scene = load("tiny", checkout.root)
    known = ["a", "b", "c"]
    note(scene, [Verdict(name, KILLED, unit="one") for name in ("a", "b", "c", "gone")], known)
    note(scene, [Verdict("a", KILLED, unit="two"), Verdict("b", SURVIVED)], known)
    assert noticed(scene) == {"a": "two", "c": "one"}


def test_what_was_noticed_beside_a_scenario_is_told_without_its_own(checkout: Checkout) -> None:
    scene = load("tiny", checkout.root)
    note(scene, [Verdict("a", KILLED, unit="one")], ["a"])
    beside = scene.features / "other" / "noticed.json"
    beside.parent.mkdir(parents=True)
    beside.write_text('{"two": ["a", "b"]}')
    assert noticed_beside(scene) == {"a": "two", "b": "two"}


def test_a_file_that_cannot_be_read_helps_nobody_and_harms_nobody(checkout: Checkout) -> None:
    scene = load("tiny", checkout.root)
    note(scene, [], []).write_text('{"one": 3')
    assert noticed(scene) == {}
