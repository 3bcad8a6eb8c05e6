"""`verify --json`: every sentence with its result and its evidence, in the format that docs/json.md describes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from behave.model import Feature
from behave.model_type import Status
from behave.parser import parse_feature
from jsonschema import Draft202012Validator, ValidationError

from tests.conftest import Checkout
from tests.reported import Reported
from tests.runs import recorded
from tests.test_evidence import EVERY
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import NodeFailed
from tunnelbed.observe import evidence_json
from tunnelbed.report.reports import Reports, Wanted
from tunnelbed.testbed import report_file, verification
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

PAGE = Path(__file__).parent.parent / "docs" / "json.md"
TEXT = """\
@scenario.tiny
Feature: reach
  Scenario: first
    Given it holds
    Then it fails
    And it is not run
  @slow
  Scenario: second
    Then nobody is there
    But no such phrase
"""


def ended() -> Feature:
    """A feature as behave leaves it behind."""
    feature = parse_feature(TEXT, filename="features/reach.feature")
    first, second = feature.walk_scenarios()
    holds, fails, not_run = first.steps
    holds.status, holds.duration = Status.passed, 0.25
    fails.status, fails.exception = Status.failed, Unmet("a pong", "no answer", EVERY)
    not_run.status = Status.skipped
    broken, undefined = second.steps
    broken.status, broken.exception = Status.error, NodeFailed("client", "is not there", "bring it up")
    undefined.status = Status.undefined
    return feature


@pytest.fixture
def written(checkout: Checkout) -> dict[str, Any]:
    """The file of a run with one scenario that came so far, and one of which behave wrote nothing."""
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    bed.up(Options(engine="fake"), lambda _: None)
    path = checkout.root / "reports" / "verify" / "tiny.evidence.json"
    run = Reported(ended(), {"tiny": bed}, path)
    run.report.eof()
    run.report.close()
    file = checkout.root / "report.json"
    asked = verification.Asked(checkout.root, [bed.scenario], {})
    reports = Reports.prepared(Wanted(json=str(file)), asked)
    found = json.loads(path.read_text(encoding="utf-8"))
    reports.write(
        [
            verification.Outcome("tiny", 1, ["it fails"], ["nobody is there"], 2.0, 1, "", "", found),
            verification.Outcome("gone", 0, [], [], 1.0, 2, "", "2"),
        ]
    )
    whole: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return whole


def test_each_sentence_has_its_result_and_its_evidence(written: dict[str, Any]) -> None:
    tiny, _ = written["testbeds"]
    first, second = tiny["features"][0]["scenarios"]
    holds, fails, not_run = first["sentences"]
    assert (holds["status"], holds["seconds"], holds["evidence"]) == ("holds", 0.25, [])
    assert (fails["status"], fails["expected"], fails["seen"]) == ("fails", "a pong", "no answer")
    assert fails["cause"] == "dropped by the firewall of gateway: inet filter forward: policy drop"
    assert fails["evidence"] == json.loads(json.dumps(evidence_json.plain(EVERY)))
    assert not_run["status"] == "not run"
    broken, undefined = second["sentences"]
    assert (broken["status"], broken["error"]) == ("could not be judged", "client: is not there; bring it up")
    assert (undefined["status"], undefined["error"][:9]) == ("could not be judged", "no phrase")
    assert tiny["sentences"] == {"holds": 1, "fails": 1, "could not be judged": 2, "not run": 1}


def test_what_ran_is_told_with_it(written: dict[str, Any]) -> None:
    tiny, gone = written["testbeds"]
    assert (written["version"], written["status"]) == (1, "could not be judged")
    assert (tiny["status"], tiny["testbed"]["options"]["engine"]) == ("could not be judged", "fake")
    assert {node["node"] for node in tiny["testbed"]["nodes"]} == {"client", "gateway", "server"}
    assert (gone["status"], gone["testbed"], gone["instance"]) == ("could not be judged", None, "2")
    assert gone["error"] == "behave wrote no report"


@pytest.mark.parametrize(
    ("passed", "failed", "errors", "status", "code"),
    [
        (1, [], [], 0, 0),
        (1, ["it fails"], [], 1, 1),
        (1, [], ["nobody is there"], 1, 2),
        (1, ["it fails"], ["nobody is there"], 1, 2),
        (1, [], [], 1, 2),
        (0, [], [], 0, 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst_sentence(
    passed: int, failed: list[str], errors: list[str], status: int, code: int
) -> None:
    assert verification.Outcome("tiny", passed, failed, errors, 1.0, status, "").code == code


def test_the_page_names_every_key_and_no_other(written: dict[str, Any]) -> None:
    tiny = written["testbeds"][0]
    feature = tiny["features"][0]
    scenario = feature["scenarios"][0]
    parts: dict[str, Mapping[str, Any]] = {
        "The file": written,
        "A testbed": tiny,
        "What ran it": tiny["testbed"],
        "A feature": feature,
        "A scenario of a feature": scenario,
        "A sentence": scenario["sentences"][0],
    }
    sections = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for heading, found in parts.items():
        assert set(re.findall(r"^\| `(\w+)` \|", sections[heading], re.MULTILINE)) == set(found), heading
    rows = dict(re.findall(r"^\| `([\w ]+)` \| (.*) \|$", sections["Evidence"], re.MULTILINE))
    for one in scenario["sentences"][1]["evidence"]:
        nested = [item for part in one.values() if isinstance(part, list) for item in part if isinstance(item, dict)]
        assert {*one, *(key for item in nested for key in item)} - {"kind"} <= set(
            re.findall(r"`(\w+)`", rows[one["kind"]])
        )


SCHEMA: dict[str, Any] = json.loads((PAGE.parent / "json.schema.json").read_text(encoding="utf-8"))


def strict(schema: Any) -> Any:  # noqa: ANN401 # a schema is any JSON
    """The schema for which a key that it does not name is wrong; readers have to ignore those."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(part) for key, part in schema.items()}
    closed = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {**found, **closed}


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["version"]["const"] == report_file.VERSION


def test_the_schema_describes_what_is_written_and_no_more(written: dict[str, Any]) -> None:
    Draft202012Validator(strict(SCHEMA)).validate(written)


def test_the_schema_describes_what_a_real_run_wrote() -> None:
    Draft202012Validator(strict(SCHEMA)).validate(recorded())


def test_the_schema_has_each_kind_of_evidence() -> None:
    kinds = [part["$ref"].removeprefix("#/$defs/") for part in SCHEMA["$defs"]["evidence"]["oneOf"]]
    found = {SCHEMA["$defs"][name]["properties"]["kind"]["const"] for name in kinds}
    assert found == set(evidence_json.KINDS.values())


@pytest.mark.parametrize(
    ("key", "value"),
    [("status", "maybe"), ("seconds", "4"), ("testbeds", None), ("version", 2), ("command", "invoke verify")],
)
def test_the_schema_refuses_another_value(written: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate({**written, key: value})


def test_the_schema_refuses_evidence_of_another_shape(written: dict[str, Any]) -> None:
    sentence = written["testbeds"][0]["features"][0]["scenarios"][0]["sentences"][1]
    sentence["evidence"][0]["steps"][0]["event"] = "sideways"
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(written)


def test_a_key_that_the_schema_does_not_name_is_no_fault(written: dict[str, Any]) -> None:
    Draft202012Validator(SCHEMA).validate({**written, "added": 1})


def test_the_commit_is_that_of_the_scenarios(checkout: Checkout) -> None:
    assert report_file.commit(checkout.root) == ""
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", report_file.commit(Path(__file__).parent))
