"""A sentence that could not be judged: one line in what behave prints, in its JSON and in JUnit's XML."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import Checkout
from tests.launched import HOME, launch

# Hooks as they are, but for the testbed: what is tested here is what behave prints.
HOOKS = """
from types import SimpleNamespace
from environment import *

def before_feature(context, feature):
    context.bed = SimpleNamespace(name="tiny", scenario=load("tiny", context.root), close=lambda: None)

def after_scenario(context, scenario):
    pass
"""
FEATURE = """@scenario.tiny
Feature: What cannot be judged
  Scenario: One
    Then {sentence}
"""


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("client can reach server on TCP port 70000", "found port 70000, expected a port, 1 to 65535"),
        ("client can reach server on TCP port 0", "found port 0, expected a port, 1 to 65535"),
        ("no TCP port 70000 crosses outside", "found port 70000, expected a port, 1 to 65535"),
        ("clint can reach server", "expected"),
    ],
)
def test_it_is_one_line_wherever_it_is_shown(checkout: Checkout, sentence: str, told: str) -> None:
    hooks, feature = checkout.root / "hooks.py", checkout.root / "one.feature"
    hooks.write_text(HOOKS)
    feature.write_text(FEATURE.format(sentence=sentence))
    words = ["--format", "pretty", "--outfile", "-", "--format", "json", "--outfile", "report.json", "--junit"]
    done = subprocess.run(
        [sys.executable, "-c", launch(hooks), *words, "one.feature"],
        capture_output=True,
        text=True,
        cwd=checkout.root,
        check=False,
    )
    assert done.returncode == 1
    shown = [line for line in done.stdout.splitlines() if "tunnelbed: " in line]
    assert len(shown) == 1
    assert told in shown[0]
    (step,) = json.loads((checkout.root / "report.json").read_text())[0]["elements"][0]["steps"]
    assert step["result"]["status"] == "error"
    (report,) = (checkout.root / "reports").glob("*.xml")
    for text in (done.stdout, done.stderr, (checkout.root / "report.json").read_text(), report.read_text()):
        assert "Traceback (most recent call last)" not in text


def launched(checkout: Checkout, feature: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The launcher, run for a feature as `invoke verify` runs it."""
    folder = checkout.root / "features"
    folder.mkdir()
    (folder / "one.feature").write_text(feature)
    command = [
        sys.executable,
        str(HOME / "scripts" / "sentences.py"),
        "-D",
        f"path={checkout.root}",
        "-D",
        "engine=none",
    ]
    command += [*words, "features"]
    return subprocess.run(command, capture_output=True, text=True, cwd=checkout.root, check=False)


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        # It would be passed over, as those of other scenarios are.
        (
            "@scenario.tyni\nFeature: f\n  Scenario: s\n    Then x\n",
            "found tags @scenario.tyni, expected one tag @scen",
        ),
        (
            "Feature: f\n  Scenario: s\n    Then x\n",
            "features/one.feature:1: found tags none, expected one tag @scenario",
        ),
        ("@scenario.tiny\nFeature: f\n  Scenario: s\n    Thn x\n", "features/one.feature:3: found no sentence in `s`"),
        ("@scenario.tiny\nFeature: f\n  Scenario: s\n    Then x\n    Thn y\n", "features/one.feature:5: found "),
        (
            "@scenario.tiny\nFeature: f\n  @slow\n  Scenario: s\n    Then x\n",
            "--tags: found no scenario of a feature with ",
        ),
        ("@scenario.tiny\nFeature: f\n", "--tags: found no scenario of a feature with "),
    ],
)
def test_what_would_not_be_run_is_told_in_a_line_before_anything_is(
    checkout: Checkout, feature: str, told: str
) -> None:
    done = launched(checkout, feature, "--tags", "@scenario.tiny", "--tags", "not @slow")
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("tunnelbed: ")
    assert told in line
