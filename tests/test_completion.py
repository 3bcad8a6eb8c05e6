"""Completion in bash: what is offered after what has been typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Checkout
from tunnelbed import engines
from tunnelbed.topology import compose_file, limits

ROOT = Path(__file__).parent.parent
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_tunnelbed "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*typed: str) -> list[str]:
    """What bash would offer with the cursor behind the last word, as bash breaks words."""
    command = ["bash", "-c", ASK, "bash", str(ROOT / "scripts" / "completion.bash"), "invoke", *typed]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, "PATH": path}
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_tasks_are_offered_first() -> None:
    assert {"up", "down", "status", "exec"} <= set(offered(""))
    assert offered("statu") == ["status"]


def test_a_task_s_options_are_offered_after_it() -> None:
    assert offered("up", "--sce") == ["--scenario"]
    assert "--data-plane" in offered("up", "--")


@pytest.mark.parametrize("typed", [["--scenario", ""], ["--scenario", "="], ["--scenario", "=", ""]])
def test_the_scenarios_there_are_are_offered(typed: list[str]) -> None:
    assert offered("up", *typed) == list(compose_file.names(ROOT))


def test_a_scenario_that_is_begun_is_completed() -> None:
    assert offered("up", "--scenario", "site") == ["site-to-site"]
    assert offered("up", "--scenario", "=", "site") == ["site-to-site"]


@pytest.mark.parametrize("name", compose_file.names(ROOT))
def test_the_nodes_of_the_chosen_scenario_are_offered_and_nothing_else(name: str) -> None:
    nodes = list(compose_file.load(name, ROOT).nodes)
    assert offered("exec", "--scenario", name, "--node", "") == nodes
    assert offered("exec", "--scenario", "=", name, "--node", "=", "") == nodes
    assert (
        offered("trace", "--scenario", name, "--from", "") == offered("trace", "--scenario", name, "--to", "") == nodes
    )


def test_without_a_scenario_no_node_is_offered() -> None:
    assert offered("exec", "--node", "") == []
    assert offered("exec", "--scenario", "nonsense", "--node", "") == []


def test_another_folder_has_its_own_scenarios_and_nodes(checkout: Checkout) -> None:
    assert offered("up", "--path", str(checkout.root), "--scenario", "") == ["tiny"]
    words = ("exec", "--path", str(checkout.root), "--scenario", "tiny", "--node", "")
    assert set(offered(*words)) == {"gateway", "client", "server"}


def test_values_that_are_few_are_offered() -> None:
    assert offered("up", "--engine", "") == list(engines.ENGINES)
    assert offered("up", "--data-plane", "") == list(engines.DATA_PLANES)
    assert offered("up", "--driver", "") == list(limits.DRIVERS)


def test_a_node_s_command_is_nobody_s_business() -> None:
    assert offered("exec", "--scenario", "site-to-site", "--node", "router", "--", "") == []
