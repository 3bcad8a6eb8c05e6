"""A scenario to begin from comes up and passes its own feature at once, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunnelbed.topology.scaffold import AUTHENTICATIONS

CHECKOUT = Path(__file__).parent.parent.parent
WORKING_DAY = """\
@scenario.mine @day
Feature: Eight hours later a laptop still has the address that it was lent

  Scenario: A day at work
    Given the gateway sets "dpd_delay = 600s" in every connection
    And the gateway sets "reauth_time = 5h" in every connection
    And laptop 1 sets "dpd_delay = 600s" in every connection
    And laptop 1 sets "reauth_time = 3h" in every connection
    And laptop 1 can reach the server through the tunnel
    When 8 hours pass while laptop 1 pings the server
    Then at most 10 pings are lost
    And laptop 1 has authenticated its peers at least 2 times
    And the gateway has a tunnel with laptop 1
    And laptop 1 reaches the server and is seen there as laptop 1
    And the server can reach laptop 1 through the tunnel
"""


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


def test_a_laptop_keeps_the_address_that_it_was_lent_through_a_working_day(tmp_path: Path) -> None:
    invoke(tmp_path, "new", "mine", "--laptops", "1")
    (tmp_path / "features" / "mine" / "a-day.feature").write_text(WORKING_DAY)
    # Where the kernel does ESP, it counts the lifetimes of keys by the machine's clock.
    said = invoke(tmp_path, "verify", "--scenario", "mine", "--tags", "@day", "--data-plane", "user")
    assert "11 sentences hold, 0 fail, 0 could not be judged" in said
