"""Growth: sizes, baselines, and the report."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Checkout
from tunnelbed.bench import baseline, curves, growth
from tunnelbed.bench.growth import BY_HAND
from tunnelbed.bench.measured import Measured, Results, Series
from tunnelbed.bench.phases import DOWN, NODES_MEMORY, UP, VERIFICATION
from tunnelbed.bench.subjects import DOCKER, PLAIN, Subject
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import BadInput
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

# The first attempt of a check fails; everything is noted.
DOCKER_COMMAND = """#!/bin/sh
echo "$*" >>{log}
[ "$1" != exec ] || [ "$(grep -c '^exec' {log})" -gt 1 ]
"""


def series(sites: int, subject: Subject, up: float, memory: float, **more: float) -> Series:
    measured = [Measured(UP, "s", (up,)), Measured(NODES_MEMORY, "MB", (memory,)), Measured(DOWN, "s", (1.0,))]
    return Series(
        str(sites), subject.name, (*measured, *(Measured(name, "s", (value,)) for name, value in more.items()))
    )


def results(*sizes: int) -> Results:
    """Ours takes a second more than the loop by hand; each site costs 12 MB, all else 30."""
    return Results(
        {"processors": "2 x a processor"},
        tuple(
            one
            for n in sizes
            for one in (
                series(n, PLAIN, n, 2.0 * n),
                series(n, BY_HAND, 2 * n, 30 + 12.0 * n),
                series(n, DOCKER, 2 * n + 1, 30 + 12.0 * n, **{VERIFICATION: 3.0 * n}),
            )
        ),
    )


def test_sizes_are_measured_from_the_smallest_and_each_once() -> None:
    assert growth.sites("8,2,32,8") == [2, 8, 32]


@pytest.mark.parametrize("said", ["", "2,", "two", "2;8"])
def test_what_is_no_number_of_sites_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match="--growth"):
        growth.sites(said)


def test_every_size_is_shown_with_both_baselines_and_the_ratios_to_them() -> None:
    lines = curves.markdown(results(32, 2, 8)).splitlines()
    assert [line for line in lines if line.startswith("| 8 | 19 |")] == [
        "| 8 | 19 | 8 s | 16 s | 17 s | 2.12 | 1.06 | 24 s | 1 s | 1 s |"
    ]
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ") and "sites" not in line] == [
        "| 2", "| 8", "| 32", "| 2", "| 8", "| 32",
    ]  # fmt: skip


def test_memory_is_told_for_each_further_site() -> None:
    told = curves.markdown(results(2, 8, 32))
    assert "| 2 | 54 |  |\n| 8 | 126 | 12 |\n| 32 | 414 | 12 |" in told


def test_a_size_of_which_not_all_was_measured_yet_is_left_out() -> None:
    found = results(2, 8)
    told = curves.markdown(Results(found.conditions, found.series[:-1]))
    assert "| 2 | 7 |" in told
    assert "| 8 |" not in told


def test_the_loop_by_hand_ends_when_every_check_has_passed(checkout: Checkout, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "docker").write_text(DOCKER_COMMAND.format(log=log))
    (tmp_path / "docker").chmod(0o755)
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    command = baseline.until_checks_pass(bed, ["docker", "compose", "up"])
    subprocess.run(command, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, timeout=20)
    check = f"exec {bed.project}-client-1 ask once"
    assert log.read_text().splitlines() == ["compose up", check, check]


def test_no_check_is_made_by_hand_where_compose_fails(checkout: Checkout) -> None:
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    assert subprocess.run(baseline.until_checks_pass(bed, ["false"]), check=False, timeout=20).returncode == 1


def test_there_is_no_baseline_but_on_docker(checkout: Checkout) -> None:
    bed = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    with pytest.raises(BadInput, match="plain Compose is the baseline"), baseline.ready(bed, awake=True):
        pass
