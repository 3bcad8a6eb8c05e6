"""The files of a run: written empty before anything is brought up, whole at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout
from tests.runs import run
from tunnelbed.errors import BadInput
from tunnelbed.report import reports
from tunnelbed.report.reports import Reports, Wanted
from tunnelbed.testbed import verification
from tunnelbed.topology import compose_file


def prepared(checkout: Checkout, wanted: Wanted, tags: str = "") -> Reports:
    """For a run of `tiny`."""
    scene = compose_file.load("tiny", checkout.root)
    chosen = verification.Chosen(tags=tags)
    return Reports.prepared(wanted, verification.Asked(checkout.root, [scene], {}, chosen))


def outcome(of: dict[str, Any], code: int) -> verification.Outcome:
    """What behave left of a run with this report."""
    (bed,) = of["testbeds"]
    found = {key: bed[key] for key in ("testbed", "error", "features")}
    failed = ["it"] if code == 1 else []
    return verification.Outcome("tiny", 1, failed, [], 4.0, code, "", "", found)


@pytest.mark.parametrize("name", ["nowhere/report", "."])
@pytest.mark.parametrize("option", ["json", "report"])
def test_a_file_that_cannot_be_written_is_a_line_and_nothing_is_run(checkout: Checkout, option: str, name: str) -> None:
    expected = rf"^--{option}: found .*, expected a file that can be written \(.*\); name another$"
    with pytest.raises(BadInput, match=expected):
        prepared(checkout, Wanted(**{option: str(checkout.root / name)}))


@pytest.mark.parametrize("option", ["json", "against"])
def test_the_page_is_not_written_over_a_json_report(checkout: Checkout, option: str) -> None:
    old = checkout.root / "old.json"
    old.write_text(json.dumps(run(it="holds")), encoding="utf-8")
    with pytest.raises(BadInput, match=f"^--report: found old.json, expected another file than that of --{option}; "):
        prepared(checkout, Wanted(report="old.json", **{option: str(old)}))
    assert json.loads(old.read_text(encoding="utf-8")) == run(it="holds")


def test_before_the_end_the_files_have_no_testbed(checkout: Checkout) -> None:
    json_file, page = Path("report.json"), Path("report.html")
    json_file.write_text('{"status": "holds"}', encoding="utf-8")
    page.write_text("Everything holds", encoding="utf-8")
    prepared(checkout, Wanted(json=str(json_file), report=str(page)))
    empty = json.loads(json_file.read_text(encoding="utf-8"))
    assert (empty["status"], empty["testbeds"]) == ("could not be judged", [])
    text = page.read_text(encoding="utf-8")
    assert "Everything holds" not in text
    assert "No scenario was run to its end." in text


def test_nothing_is_written_where_nothing_is_asked_for(checkout: Checkout) -> None:
    before = sorted(checkout.root.rglob("*"))
    assert prepared(checkout, Wanted()).write([outcome(run(it="holds"), 0)]) is None
    assert sorted(checkout.root.rglob("*")) == before


def test_the_old_report_may_be_the_new_one(checkout: Checkout) -> None:
    file = Path("report.json")
    file.write_text(json.dumps(run(it="holds")), encoding="utf-8")
    outcomes = [outcome(run(it="fails"), 1)]
    changes = prepared(checkout, Wanted(json=str(file), against=str(file))).write(outcomes)
    assert changes
    assert [change.kind for change in changes.changes] == ["worse"]
    assert json.loads(file.read_text(encoding="utf-8"))["status"] == "fails"


def test_the_page_has_the_changes(checkout: Checkout) -> None:
    old, page = Path("old.json"), Path("report.html")
    old.write_text(json.dumps(run(it="holds")), encoding="utf-8")
    prepared(checkout, Wanted(report=str(page), against=str(old))).write([outcome(run(it="fails"), 1)])
    assert "Changes since 2026-11-29T05:00:00+00:00" in page.read_text(encoding="utf-8")


def test_the_page_has_the_network_of_each_scenario_also_before_the_end(checkout: Checkout) -> None:
    page = Path("report.html")
    prepared(checkout, Wanted(report=str(page)))
    text = page.read_text(encoding="utf-8")
    assert 'data-node="gateway"' in text
    assert 'data-network="outside"' in text


def test_of_a_narrowed_run_no_sentence_is_gone(checkout: Checkout) -> None:
    old = Path("old.json")
    old.write_text(json.dumps(run(it="holds", that="holds")), encoding="utf-8")
    whole = prepared(checkout, Wanted(against=str(old))).write([outcome(run(it="holds"), 0)])
    chosen = prepared(checkout, Wanted(against=str(old)), "@quick").write([outcome(run(it="holds"), 0)])
    assert whole
    assert chosen
    assert (len(whole.changes), len(chosen.changes)) == (1, 0)


@pytest.mark.parametrize(
    ("before", "after", "ended", "code"),
    [("holds", "holds", 0, 0), ("fails", "fails", 1, 1), ("fails", "holds", 0, 0), ("holds", "fails", 1, 1)],
)
def test_the_exit_code_is_the_worst(checkout: Checkout, before: str, after: str, ended: int, code: int) -> None:
    old = Path("old.json")
    old.write_text(json.dumps(run(it=before)), encoding="utf-8")
    outcomes = [outcome(run(it=after), ended)]
    changes = prepared(checkout, Wanted(against=str(old))).write(outcomes)
    assert reports.code(outcomes, changes) == code


def test_what_got_worse_fails_a_run_by_itself(checkout: Checkout) -> None:
    old = Path("old.json")
    old.write_text(json.dumps(run(it="fails")), encoding="utf-8")
    # A sentence that fails no more, since it can no longer be judged, and a run that would not mind.
    changes = prepared(checkout, Wanted(against=str(old))).write([outcome(run(it="could not be judged"), 0)])
    assert reports.code([outcome(run(it="could not be judged"), 0)], changes) == 1


def test_a_run_of_nothing_could_not_be_run() -> None:
    assert reports.code([], None) == 2
