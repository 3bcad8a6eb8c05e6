"""A scenario to begin from comes up and passes its own feature at once, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunnelbed.topology.scaffold import AUTHENTICATIONS

CHECKOUT = Path(__file__).parent.parent.parent


def invoke(root: Path, *words: str) -> str:
    """A task in a folder of a person's own; what it printed."""
    command = [sys.executable, "-m", "invoke", "--search-root", str(CHECKOUT), *words, "--path", str(root)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("authentication", AUTHENTICATIONS)
def test_a_new_scenario_is_proven_at_once(tmp_path: Path, authentication: str) -> None:
    invoke(tmp_path, "new", "mine", "--auth", authentication)
    said = invoke(tmp_path, "verify", "--scenario", "mine")
    assert "12 sentences hold, 0 fail, 0 could not be judged" in said
    assert not (tmp_path / ".tunnelbed").exists()


def test_a_log_keeps_what_was_in_it_and_the_order_of_what_comes(tmp_path: Path) -> None:
    invoke(tmp_path, "new", "mine")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "invoke", "--search-root", str(CHECKOUT), "verify", "--path", str(tmp_path)]
    with log.open("w") as file:
        file.write("before\n")
        file.flush()
        subprocess.run(command, cwd=tmp_path, stdout=file, stderr=file, check=True)
    said = log.read_text()
    assert said.startswith("before\n")
    heading, line = said.index("  features/mine/proof.feature\n"), said.index(" sentences, ")
    assert 0 < heading < line < said.index("mine: 12 sentences hold")


@pytest.mark.parametrize(("sites", "sentences"), [(1, 8), (3, 13)])
def test_a_cloud_and_its_sites_are_proven_at_once(tmp_path: Path, sites: int, sentences: int) -> None:
    invoke(tmp_path, "new", "mine", "--sites", str(sites))
    said = invoke(tmp_path, "verify", "--scenario", "mine")
    assert f"{sentences} sentences hold, 0 fail, 0 could not be judged" in said
    assert not (tmp_path / ".tunnelbed").exists()


@pytest.mark.parametrize(("laptops", "sentences"), [(1, 28), (2, 30)])
def test_laptops_behind_a_nat_are_proven_at_once(tmp_path: Path, laptops: int, sentences: int) -> None:
    invoke(tmp_path, "new", "mine", "--laptops", str(laptops))
    said = invoke(tmp_path, "verify", "--scenario", "mine")
    assert f"{sentences} sentences hold, 0 fail, 0 could not be judged" in said
    assert not (tmp_path / ".tunnelbed").exists()
