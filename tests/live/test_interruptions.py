"""Whatever stops a command halfway: nothing is left that `down` does not remove, and most often nothing at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP
from scapy.utils import rdpcap

from tests.live.conftest import HOME, Person
from tunnelbed.host import waiting

Kill = Callable[[int, int], None]
# Seconds in which an interrupted proof has ended, its testbed taken down.
SOON = 20
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


# A terminal's Ctrl-C reaches every process of the command; what else ends it, mostly the one that was started.
ENDS = [(kill, number) for kill in (os.killpg, os.kill) for number in (signal.SIGINT, signal.SIGTERM)]


def long_feature(person: Person) -> Path:
    """A proof that takes minutes."""
    feature = person.checkout.root / "features" / "tiny" / "long.feature"
    feature.parent.mkdir(parents=True)
    feature.write_text(FEATURE)
    return feature


def until_proving(process: subprocess.Popen[str]) -> None:
    """Read what a command prints until a sentence is proven."""
    assert process.stdout
    assert any("Again and again" in line for line in process.stdout), "no sentence was begun"


@pytest.mark.parametrize("end", ENDS)
def test_a_proof_that_is_ended_takes_down_what_it_brought_up(person: Person, end: tuple[Kill, signal.Signals]) -> None:
    long_feature(person)
    process = person.start("verify", "--scenario", "tiny")
    until_proving(process)
    kill, number = end
    began = time.monotonic()
    kill(process.pid, number)
    said, rest = process.communicate(timeout=60)
    assert time.monotonic() - began < waiting.stretched(SOON)
    assert process.returncode == 130, rest
    assert "Traceback" not in said + rest
    # Only a proof that went on to its end would tell so.
    assert "500 sentences hold" not in said
    assert person.left() == []


def test_a_proof_that_is_ended_leaves_alone_what_was_up_before(person: Person) -> None:
    assert person.up().code == 0
    long_feature(person)
    process = person.start("verify")
    until_proving(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert person.bed().is_up()
    assert person.does("down").code == 0
    assert person.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_behave_alone_that_is_ended_takes_down_what_it_brought_up(person: Person, number: signal.Signals) -> None:
    launcher = [sys.executable, str(HOME / "scripts" / "sentences.py"), str(long_feature(person))]
    process = subprocess.Popen(
        [*launcher, "-D", f"path={person.checkout.root}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    until_proving(process)
    process.send_signal(number)
    said, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said + rest
    assert "500 sentences hold" not in said
    assert person.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_up_that_is_ended_alone_leaves_nothing(person: Person, number: signal.Signals) -> None:
    process = person.start("up", "--scenario", "tiny")
    until_phase(process, "making 1 networks")
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest.splitlines()[-1].startswith("tunnelbed: interrupted;")
    assert person.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_capture_that_is_ended_alone_has_a_whole_file(person: Person, number: signal.Signals, tmp_path: Path) -> None:
    assert person.up().code == 0
    file = tmp_path / "seen.pcapng"
    process = person.start("capture", "--scenario", "tiny", "--output", str(file))
    until_phase(process, "Ctrl-C ends it")
    assert person.does("exec", "--scenario", "tiny", "--node", "client", "--", "ping", "-c", "1", "10.1.0.9").code == 0
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert sum(ICMP in packet for packet in rdpcap(str(file))) >= 2


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
    assert person.does("down", "--scenario", "tiny").out == "tiny: nothing to remove\n"
    assert person.left() == []


def test_what_is_up_is_taken_down_whatever_became_of_its_files(person: Person) -> None:
    assert person.up().code == 0
    person.checkout.write("services: [")
    assert person.does("down").out.startswith("tiny: removed 3 containers")
    assert person.left() == []
