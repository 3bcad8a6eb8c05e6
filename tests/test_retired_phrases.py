"""Old forms of phrases: each still means what its new form means, and says what to write now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from behave.matchers import Matcher
from behave.runner_util import load_step_modules
from behave.step_registry import registry

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def retired() -> list[Matcher]:
    """The old forms."""
    load_step_modules([str(ROOT / "steps")])
    return [matcher for matcher in registry.steps["step"] if hasattr(matcher.func, "retired")]


def test_an_old_form_has_the_slots_of_the_new_one(retired: list[Matcher]) -> None:
    slots = sys.modules["retired"]
    assert len(retired) > 15
    for old in retired:
        new = slots.new(old.func.__wrapped__)
        assert sorted(part.split("}")[0] for part in old.pattern.split("{")[1:]) == sorted(
            part.split("}")[0] for part in new.split("{")[1:]
        )


def test_an_old_form_works_as_behave_s_command_runs_it(tmp_path: Path) -> None:
    feature = tmp_path / "features" / "old.feature"
    feature.parent.mkdir()
    feature.write_text("@scenario.site-to-site\nFeature: x\n  Scenario: y\n    Then x\n", encoding="utf-8")
    script = (
        "import sys, runpy; sys.argv = ['sentences', '--dry-run', sys.argv[1]]\n"
        "try:\n    runpy.run_path('scripts/sentences.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "import retired\n"
        "from behave.runner import the_step_registry as used\n"
        "(old,) = [step for step in used.steps['step'] if step.pattern.endswith('lets everything pass')]\n"
        "print(retired.new(old.func.__wrapped__))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(feature)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "the firewall of {gateway:Node} accepts everything", done.stderr


def test_an_old_form_does_what_the_new_one_does_and_is_reported_once(
    retired: list[Matcher], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    firewall = SimpleNamespace(opened=lambda bed, node: asked.append((bed, node)))
    (old,) = [matcher for matcher in retired if matcher.pattern.endswith("lets everything pass")]
    known = {"open_firewall": firewall, "node": lambda _, said: said, "change": lambda *_: None}
    for name, stand_in in known.items():
        monkeypatch.setitem(old.func.__wrapped__.__globals__, name, stand_in)
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    context = SimpleNamespace(bed="bed")
    match = old.match("the firewall of gateway A lets everything pass")
    for _ in range(2):
        old.func(context, **{argument.name: argument.value for argument in match.arguments})
    assert asked == [("bed", "gateway A")] * 2
    assert capsys.readouterr().err == (
        "an old phrase: `the firewall of {gateway} lets everything pass` is now "
        "`the firewall of {gateway} accepts everything`\n"
    )
