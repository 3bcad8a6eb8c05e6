"""A campaign's parts that need no engine: what is equivalent, what is kept, in which order, what is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import Checkout
from tunnelbed.errors import BadInput
from tunnelbed.mutation import Mutant, Sources, equivalent, summary
from tunnelbed.mutation.campaign import Campaign, Outcome, chosen
from tunnelbed.mutation.sandbox import _differing_nodes
from tunnelbed.mutation.verdicts import EQUIVALENT, INVALID, KILLED, SURVIVED, Ledger, Verdict
from tunnelbed.testbed.options import Options
from tunnelbed.topology.compose_file import load


def mutant(place: str, operator: str = "rule-removed") -> Mutant:
    return Mutant(operator, place, f"{place} is wrong", {Path("configs/tiny/gateway/nftables.conf"): "table\n"})


def reasons(checkout: Checkout, text: str, *there: Mutant) -> tuple[equivalent.Reason, ...]:
    checkout.configure("equivalent.yaml", text)
    return equivalent.read(load("tiny", checkout.root).configs, there)


def test_a_pattern_takes_braces_and_brackets_as_they_are(checkout: Checkout) -> None:
    rule = mutant("gateway input: udp dport { 500, 4500 } [accept]")
    text = 'equivalent: [{mutants: ["rule-removed: gateway ?nput: udp dport { 500, * } [accept]"], because: so}]'
    (reason,) = reasons(checkout, text, rule)
    assert reason.covers(rule, "user")
    assert not reason.covers(mutant("gateway input: udp dport 500"), "user")


def test_a_reason_may_hold_in_one_data_plane_only(checkout: Checkout) -> None:
    text = 'equivalent: [{mutants: ["*"], data-plane: user, because: so}]'
    (reason,) = reasons(checkout, text, mutant("gateway"))
    assert reason.covers(mutant("gateway"), "user")
    assert not reason.covers(mutant("gateway"), "kernel")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('equivalent: [{mutants: ["nothing such"], because: so}]', "the name of an existing mutant"),
        ('equivalent: [{mutants: ["*"]}]', "because"),
        ('equivalent: [{mutants: ["*"], because: so, data-plane: fast}]', "kernel or user"),
    ],
)
def test_a_reason_that_cannot_be_right_is_refused(checkout: Checkout, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        reasons(checkout, text, mutant("gateway"))


def test_verdicts_are_taken_up_again_only_for_the_same_files(tmp_path: Path) -> None:
    Ledger(tmp_path / "kept.jsonl", "these").add([Verdict("a", KILLED), Verdict("b", SURVIVED)])
    assert set(Ledger(tmp_path / "kept.jsonl", "these").verdicts) == {"a", "b"}
    assert not Ledger(tmp_path / "kept.jsonl", "others").verdicts


def test_a_ledger_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "kept.jsonl").write_text("half a li")
    assert not Ledger(tmp_path / "kept.jsonl", "these").verdicts


def test_a_ledger_of_other_files_still_tells_where_to_look_first(tmp_path: Path) -> None:
    Ledger(tmp_path / "kept.jsonl", "these").add([Verdict("a", KILLED, unit="one"), Verdict("b", SURVIVED)])
    assert Ledger(tmp_path / "kept.jsonl", "others").noticed == {"a": "one"}


def test_only_what_one_container_has_alone_can_be_changed_alone(checkout: Checkout) -> None:
    before = load("tiny", checkout.root)
    nodes = dict(before.nodes)
    nodes["client"] = dataclasses.replace(nodes["client"], sysctls={"net.ipv4.ip_forward": "1"})
    assert _differing_nodes(before, dataclasses.replace(before, nodes=nodes)) == {"client"}
    nodes["client"] = dataclasses.replace(nodes["client"], attachments=nodes["server"].attachments)
    assert _differing_nodes(before, dataclasses.replace(before, nodes=nodes)) is None


def test_a_sample_has_mistakes_of_every_sort(checkout: Checkout) -> None:
    campaign = Campaign(load("tiny", checkout.root), checkout.root, Options(), sample=2)
    assert [found.operator for found in chosen(campaign)] == ["route-added", "capability-added"]


def outcome(checkout: Checkout, *verdicts: str) -> Outcome:
    checkout.configure("gateway/nftables.conf", "flush\n")
    made = tuple(mutant(str(number)) for number in range(len(verdicts)))
    told = tuple(Verdict(m.name, verdict, "why") for m, verdict in zip(made, verdicts, strict=True))
    return Outcome(Sources(load("tiny", checkout.root)), made, told)


def test_the_score_counts_what_features_could_notice(checkout: Checkout) -> None:
    found = outcome(checkout, KILLED, KILLED, KILLED, SURVIVED, INVALID, EQUIVALENT)
    assert found.score == 0.75
    assert "75%: 3 of 4" in summary.score(found)


def test_the_pace_counts_what_was_tried_now(checkout: Checkout) -> None:
    found = outcome(checkout, KILLED, KILLED, EQUIVALENT)
    now = frozenset({found.verdicts[1].mutant, found.verdicts[2].mutant})
    assert "30 mutants a minute" in summary.score(dataclasses.replace(found, now=now, seconds=2.0))


def test_a_survivor_is_told_with_its_diff(checkout: Checkout) -> None:
    text = summary.survivors(outcome(checkout, KILLED, SURVIVED))
    assert "survived: 1 is wrong" in text
    assert "    -flush\n    +table" in text
    assert "0 is wrong" not in text


def test_junit_has_a_test_for_each_mutant(checkout: Checkout, tmp_path: Path) -> None:
    summary.junit([outcome(checkout, KILLED, SURVIVED, EQUIVALENT)], tmp_path / "reports" / "mutation.xml")
    (suite,) = ET.parse(tmp_path / "reports" / "mutation.xml").getroot()  # noqa: S314 # written a line above
    assert [suite.get(word) for word in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    assert len(suite.findall("testcase/failure")) == 1
