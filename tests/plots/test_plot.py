"""Drawings, which need matplotlib: scripts/setup --plots."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from tests.test_bench import VMS, results
from tunnelbed.bench import plot
from tunnelbed.bench.measured import Results


def drawn(found: Results, folder: Path) -> str:
    plot.bench(found, folder / "bench.svg")
    return (folder / "bench.svg").read_text(encoding="utf-8")


def words(svg: str) -> list[str]:
    return [html.unescape(text).strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    assert drawn(results(), tmp_path) == drawn(results(), tmp_path)


def test_every_subject_and_its_median_are_written_beside_its_bars(tmp_path: Path) -> None:
    said = words(drawn(results(), tmp_path))
    assert {"plain Compose", "docker", "up", "3", "6", "60", "peak memory, nodes", "55", "5500"} <= set(said)


@pytest.mark.parametrize("emulated", [True, False])
def test_only_where_processors_were_emulated_does_the_drawing_warn(tmp_path: Path, *, emulated: bool) -> None:
    found = results()
    said = words(drawn(Results({}, found.series if emulated else found.series[:2]), tmp_path))
    assert (plot.WARNING in said) is emulated
    assert (f"{VMS}, by SOFTWARE EMULATION" in said) is emulated
    assert VMS not in said
