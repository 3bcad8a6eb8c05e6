"""`verify --against`: which sentences ended otherwise than in an earlier run, and which of those got worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runs import bed, run, sentence, whole
from tunnelbed.errors import BadInput
from tunnelbed.report import against

ENDS = ("holds", "fails", "could not be judged", "not run", "")


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("holds", "fails", "worse"),
        ("holds", "could not be judged", "worse"),
        ("fails", "could not be judged", "worse"),
        ("fails", "holds", "better"),
        ("could not be judged", "holds", "better"),
        ("could not be judged", "fails", "better"),
        ("holds", "not run", "not comparable"),
        ("not run", "fails", "not comparable"),
        ("", "fails", "new"),
        ("", "not run", "new"),
        ("holds", "", "gone"),
        ("not run", "", "gone"),
    ],
)
def test_a_sentence_that_ended_otherwise_is_a_change_of_one_kind(old: str, new: str, kind: str) -> None:
    before, after = (run(**({"it": status} if status else {}), other="holds") for status in (old, new))
    found = against.compare(before, after)
    assert [change.kind for change in found.changes if change.sentence.text == "it"] == [kind]
    assert found.code == (1 if kind == "worse" else 0)


@pytest.mark.parametrize("status", ENDS[:-1])
def test_a_sentence_that_ended_as_before_is_no_change(status: str) -> None:
    assert against.compare(run(it=status), run(it=status)).changes == []


def test_of_equal_sentences_the_one_that_changed_is_found() -> None:
    old = run(it__1="holds", it__2="holds", it__3="fails")
    (change,) = against.compare(old, run(it__1="holds", it__2="fails", it__3="fails")).changes
    assert (change.sentence.number, change.kind) == (1, "worse")


def test_lines_that_moved_and_another_instance_are_no_change() -> None:
    old = whole(bed("tiny", [sentence("it", line=3)]))
    new = whole(bed("tiny", [sentence("it", line=30)], instance="2"))
    assert against.compare(old, new).changes == []


def moved(found: dict[str, Any], folder: str) -> dict[str, Any]:
    """The same run from another folder, or of another."""
    text = json.dumps(found).replace('"features/', f'"{folder}features/')
    return dict(json.loads(text))


@pytest.mark.parametrize("folder", ["/home/someone/mine/", "../mine/", "../features/mine/"])
def test_a_run_in_another_folder_is_compared_with(folder: str) -> None:
    found = against.compare(moved(run(it="holds"), folder), run(it="fails"))
    assert [change.kind for change in found.changes] == ["worse"]


def test_runs_with_no_sentence_in_common_prove_nothing() -> None:
    found = against.compare(run(it="holds"), run(that="holds"))
    assert (found.code, found.common) == (2, 0)
    assert against.table(found).endswith("no sentence is in both, so nothing was compared")


def test_what_the_new_run_was_not_about_is_no_change() -> None:
    old = whole(bed("tiny", [sentence("it")]), bed("large", [sentence("that", "fails")]))
    assert against.compare(old, run(it="holds")).changes == []


def test_a_sentence_that_was_not_chosen_is_not_gone() -> None:
    old, new = run(it="holds", that="holds"), run(it="fails")
    assert [change.kind for change in against.compare(old, new).changes] == ["worse", "gone"]
    assert [change.kind for change in against.compare(old, new, narrowed=True).changes] == ["worse"]


def test_the_table_has_the_worst_first_and_counts_what_is_no_verdict() -> None:
    old = run(a="holds", b="fails", c="holds", d="holds", e="holds")
    new = run(a="fails", b="holds", c="not run", d="not run", f="holds")
    assert against.table(against.compare(old, new)).splitlines() == [
        "against the run of 2026-11-29T05:00:00+00:00: 1 worse, 1 better, 1 new, 1 gone, 2 not comparable",
        "  worse           holds -> fails: reach.feature: all: a",
        "  better          fails -> holds: reach.feature: all: b",
        "  new             - -> holds: reach.feature: all: f",
        "  gone            holds -> -: reach.feature: all: e",
        "  not comparable  holds -> not run: reach.feature: all: 2 sentences",
    ]


def test_each_sentence_that_got_worse_has_a_line_of_its_own() -> None:
    found = against.compare(run(a="holds", b="holds"), run(a="fails", b="fails"))
    assert [row.text for row in found.rows()] == ["a", "b"]


def test_a_report_of_the_same_scenarios_is_read(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(run(it="holds")), encoding="utf-8")
    assert against.read(file, ["tiny"]) == run(it="holds")


WRONG = {
    "no JSON at all": "no JSON",
    "[]": "version: found no such number, expected a report",
    '"holds"': "version: found no such number",
    "{}": "version: found no such number",
    '{"version": true}': "version: found no such number",
    '{"version": 2}': "version: found 2, expected 1 or less",
    '{"version": 1}': "testbeds: found a part without 'testbeds'",
    '{"version": 1, "testbeds": 3}': "testbeds: found a part without",
    '{"version": 1, "testbeds": [{"scenario": "tiny"}]}': "testbeds: found a part without 'features'",
    json.dumps(whole()): "testbeds: found no scenario, expected a run of tiny; name a report of it",
    json.dumps(whole(bed("large", [sentence("it")]))): "testbeds: found large, expected a run of tiny",
    json.dumps(whole(bed("tiny", []))): "testbeds: found no sentence, expected a run that came to an end",
    json.dumps(run(it="fails")).replace('"fails"', '"maybe"'): "status: found 'maybe', expected one of",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: WRONG[text][:50])
def test_what_is_no_report_of_the_scenario_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as wrong:
        against.read(file, ["tiny"])
    assert WRONG[text] in str(wrong.value)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_file_that_cannot_be_read_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^--against: found .*, expected a file that can be read \(.*\); name another$"):
        against.read(tmp_path / name, ["tiny"])
