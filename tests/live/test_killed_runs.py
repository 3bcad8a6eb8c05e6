"""`up`, killed at random moments: some runs of what `scripts/killed-runs --runs 200` does at length."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live.conftest import HOME

SCRIPT = HOME / "scripts" / "killed_runs.py"


def test_after_an_up_that_was_killed_up_works_again_and_down_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--runs", "12", "--seed", "1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["12 of 12"]), done.stdout + done.stderr


@pytest.mark.parametrize("words", [("--runs", "0"), ("--runs", "many"), ("--sed", "x")])
def test_what_cannot_be_run_is_one_line(words: tuple[str, str]) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("scripts/killed-runs: error: ")
