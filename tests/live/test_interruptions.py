"""Whatever stops a command halfway: nothing is left that `down` does not remove, and most often nothing at all."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.live.conftest import Person

Kill = Callable[[int, int], None]
PHASES = ["making 1 networks", "waiting for the nodes", "checking from client"]


def until_phase(process: subprocess.Popen[str], phase: str) -> None:
    """Read what a command says until it begins a phase."""
    assert process.stderr
    for line in process.stderr:
        if phase in line:
            return
    pytest.fail(f"it ended before {phase!r}")


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_takes_down_what_was_brought_up_so_far(person: Person, phase: str) -> None:
    process = person.start("up", "--scenario", "tiny")
    until_phase(process, phase)
    # A terminal interrupts every process of the command.
    os.killpg(process.pid, signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].startswith("tunnelbed: interrupted;")
    assert person.left() == []


def test_being_asked_to_end_does_the_same(person: Person) -> None:
    process = person.start("up", "--scenario", "tiny")
    until_phase(process, "making 1 networks")
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert person.left() == []


FEATURE = """@scenario.tiny
Feature: A long proof
  Scenario Outline: Again and again
    Then client can reach server
    Examples:
      | number |
""" + "".join(f"      | {number} |\n" for number in range(500))


# A terminal's Ctrl-C reaches every process of the command; SIGTERM mostly the one that was started.
@pytest.mark.parametrize("end", [(os.killpg, signal.SIGINT), (os.killpg, signal.SIGTERM), (os.kill, signal.SIGTERM)])
def test_a_proof_that_is_ended_takes_down_what_it_brought_up(person: Person, end: tuple[Kill, signal.Signals]) -> None:
    feature = person.checkout.root / "features" / "tiny" / "long.feature"
    feature.parent.mkdir(parents=True)
    feature.write_text(FEATURE)
    process = person.start("verify", "--scenario", "tiny")
    assert process.stdout
    assert any("Again and again" in line for line in process.stdout), "no sentence was begun"
    kill, number = end
    kill(process.pid, number)
    said, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    # Only a proof that went on to its end would tell so.
    assert "500 scenarios passed" not in said
    assert person.left() == []


def test_down_removes_what_a_killed_up_left_even_while_its_commands_still_work(person: Person) -> None:
    process = person.start("up", "--scenario", "tiny")
    until_phase(process, "making 1 networks")
    process.kill()
    process.communicate(timeout=30)
    answer = person.does("down")
    assert answer.code == 0
    assert answer.out.startswith("tiny: removed ")
    assert person.left() == []


def test_two_at_once_bring_it_up_once_and_down_twice_takes_it_down_once(person: Person) -> None:
    processes = [person.start("up", "--scenario", "tiny") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("already up: checking" in text for text in said) == 1
    assert person.does("down").out.startswith("tiny: removed 3 containers, 1 network")
    assert person.does("down").out == "nothing is up\n"
    assert person.does("down", "--scenario", "tiny").out == "tiny: nothing was there\n"
    assert person.left() == []


def test_what_is_up_is_taken_down_whatever_became_of_its_files(person: Person) -> None:
    assert person.up().code == 0
    person.checkout.write("services: [")
    assert person.does("down").out.startswith("tiny: removed 3 containers")
    assert person.left() == []
