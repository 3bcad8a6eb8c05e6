"""CONTRIBUTING.md says where each kind of thing goes: the places it names are there, and kinds are found in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tunnelbed import engines, vpn
from tunnelbed.observe.probes import registry

HOME = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (HOME / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| a")
]
# Where a path is named: with a slash, or with a suffix of a file; what stands in capitals is the reader's to choose.
PATHS = [word for _, where in ROWS for word in re.findall(r"`([\w./*-]+)`", where) if "/" in word or "." in word]


def test_the_table_has_a_row_for_each_kind() -> None:
    kinds = " ".join(what for what, _ in ROWS)
    for kind in ("scenario", "phrase", "probe", "engine", "VPN", "verdict", "report", "option"):
        assert kind in kinds


@pytest.mark.parametrize("path", dict.fromkeys(PATHS))
def test_a_place_that_is_named_is_there(path: str) -> None:
    pattern = re.sub(r"\bNAME\b", "*", path).rstrip("/")
    beside = ["", "tunnelbed/observe/", "docs/"]
    assert any(list(HOME.glob(f"{folder}{pattern}")) for folder in beside), path


def folders(of: object) -> set[str]:
    """The folders in a room of the library."""
    home = Path(str(getattr(of, "__file__", ""))).parent
    return {path.parent.name for path in home.glob("*/__init__.py")}


def test_an_engine_is_a_folder_with_its_registration() -> None:
    assert set(engines.ENGINES) == folders(engines) - {"images"}


def test_a_vpn_is_a_folder_with_its_vpn() -> None:
    assert {kind.__class__.__module__.split(".")[2] for kind in vpn.every()} == folders(vpn)


def test_a_probe_is_a_file_of_its_own() -> None:
    files = [kind.__module__.rsplit(".", 1)[-1] for kind in registry.kinds()]
    assert len(set(files)) == len(files)
    assert all((Path(registry.__file__).parent / f"{name}.py").exists() for name in files)
