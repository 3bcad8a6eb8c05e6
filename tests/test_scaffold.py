"""A scenario to begin from: complete, loadable, and never written over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunnelbed import pki, scaffold, scenario
from tunnelbed.errors import BadInput

GATEWAYS = ("gateway-a", "gateway-b")


@pytest.mark.parametrize("authentication", scaffold.AUTHENTICATIONS)
def test_what_is_written_is_a_scenario(tmp_path: Path, authentication: str) -> None:
    scaffold.make("mine", tmp_path, authentication)
    made = scenario.load("mine", tmp_path)
    assert list(made.nodes) == ["gateway-a", "gateway-b", "host-a", "host-b"]
    assert made.sites == ("a", "b")
    assert "@scenario.mine" in (tmp_path / "features" / "mine" / "proof.feature").read_text()


def test_certificates_are_planned_for_the_identities_that_the_gateways_claim(tmp_path: Path) -> None:
    scaffold.make("mine", tmp_path)
    planned = {
        leaf.node: leaf.subject for leaf in pki.read(tmp_path / "configs" / "mine" / "pki.yaml", GATEWAYS).leaves
    }
    for gateway, subject in planned.items():
        claimed = ", ".join(part.rfc4514_string() for part in subject.rdns)
        assert f'"{claimed}"' in (tmp_path / "configs" / "mine" / gateway / "swanctl.conf").read_text()


def test_both_ends_share_one_secret_that_no_other_scenario_has(tmp_path: Path) -> None:
    secrets = set()
    for name in ("one", "two"):
        scaffold.make(name, tmp_path, "psk")
        found = {
            line.strip()
            for gateway in GATEWAYS
            for line in (tmp_path / "configs" / name / gateway / "swanctl.conf").read_text().splitlines()
            if "secret =" in line
        }
        assert len(found) == 1
        secrets |= found
    assert len(secrets) == 2


@pytest.mark.parametrize("name", ["", "Mine", "1st", "a--b", "a-", "a b", "../x", "x" * 40])
def test_a_name_that_cannot_be_one_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="NAME"):
        scaffold.make(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    taken = tmp_path / "compose" / "mine.yaml"
    taken.parent.mkdir()
    taken.write_text("mine already")
    with pytest.raises(BadInput, match=r"mine\.yaml"):
        scaffold.make("mine", tmp_path)
    assert taken.read_text() == "mine already"
    assert not (tmp_path / "features").exists()
