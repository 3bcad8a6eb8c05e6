"""A scenario to begin from comes up and passes its own feature at once, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunnelbed.scaffold import AUTHENTICATIONS

CHECKOUT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("authentication", AUTHENTICATIONS)
def test_a_new_scenario_is_proven_at_once(tmp_path: Path, authentication: str) -> None:
    def invoke(*words: str) -> str:
        command = [sys.executable, "-m", "invoke", "--search-root", str(CHECKOUT), *words, "--path", str(tmp_path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    invoke("new", "mine", "--auth", authentication)
    said = invoke("verify", "--scenario", "mine")
    assert "12 sentences hold, 0 fail, 0 could not be judged" in said
    assert not (tmp_path / ".tunnelbed").exists()
