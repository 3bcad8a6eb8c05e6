"""`invoke verify --pause`: a prompt at the first sentence that does not hold, with everything as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.conftest import HOME, command
from tests.terminal import typing


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A folder with a scenario that is down, and a sentence that does not hold."""
    subprocess.run(command(tmp_path, "new", "mine"), check=True, capture_output=True)
    features = tmp_path / "features" / "mine"
    (features / "proof.feature").write_text(
        "@scenario.mine\nFeature: Wrong\n\n"
        "  Scenario: Nobody gets far\n    When gateway A ends its tunnels\n    Then host A cannot reach host B\n\n"
        "  Scenario: Later\n    Then host B cannot reach host A\n"
    )
    return tmp_path


def up(root: Path) -> bool:
    done = subprocess.run(command(root, "status", "--scenario", "mine"), capture_output=True, text=True, check=True)
    return "running" in done.stdout


def test_one_looks_around_goes_on_and_quits_and_what_came_up_is_down(wrong: Path) -> None:
    with typing(command(wrong, "verify", "--scenario", "mine", "--pause"), wrong) as person:
        assert "expected: host-a cannot reach host-b" in person.sees("mine> ")
        assert up(wrong)
        person.types("trace host-a host-b\n")
        assert "answered after" in person.sees("mine> ")
        person.types("exec host-a -- ip -br address\n")
        assert "10.1.0.2/24" in person.sees("mine> ")
        person.types("status\n")
        assert "running" in person.sees("mine> ")
        person.types("collect gateway-a\n")
        assert "gateway-a: running\n" in person.sees("mine> ")
        person.types("logs gateway-a\n")
        assert "[IKE]" in person.sees("mine> ")
        person.types("trace host-a host-z\n")
        (line,) = [line for line in person.sees("mine> ").splitlines() if line.startswith("tunnelbed: ")]
        assert "host-z" in line
        person.types("exec host-a -- sh -c 'echo begun; sleep 60'\n")
        person.sees("begun\n")
        person.types("\x03")
        person.sees("mine> ")
        person.types("continue\n")
        assert "host-b cannot reach host-a" in person.sees("mine> ")
        person.types("\x04")
        assert person.ends() == 1, person.shown
    assert "1 sentences hold, 2 fail, 0 could not be judged" in person.shown
    assert "Traceback" not in person.shown
    assert not up(wrong)


def test_ctrl_c_at_the_prompt_quits(wrong: Path) -> None:
    with typing(command(wrong, "verify", "--scenario", "mine", "--pause"), wrong) as person:
        person.sees("mine> ")
        person.types("\x03")
        assert person.ends() == 1, person.shown
    assert "Later" not in person.shown
    assert "Traceback" not in person.shown
    assert not up(wrong)


def test_ctrl_c_while_sentences_run_interrupts(wrong: Path) -> None:
    with typing(command(wrong, "verify", "--scenario", "mine", "--pause"), wrong) as person:
        person.sees("of 3 sentences")
        person.types("\x03")
        assert person.ends() == 130, person.shown
    assert "tunnelbed: interrupted; " in person.shown
    assert "Traceback" not in person.shown
    assert not up(wrong)


@pytest.mark.parametrize("words", [(), ("--jobs", "2")])
def test_without_a_terminal_or_with_several_runs_it_is_refused_in_a_line(wrong: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        command(wrong, "verify", "--scenario", "mine", "--pause", *words),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("tunnelbed: --pause: found ")
    launched = [sys.executable, str(HOME / "scripts" / "sentences.py"), "-D", "pause=yes", str(wrong / "features")]
    done = subprocess.run(launched, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=wrong)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done
