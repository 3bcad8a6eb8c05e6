"""The shell's one door: real commands, with what they say, how they end, and what becomes of them."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelbed.errors import CommandFailed
from tunnelbed.host import shell
from tunnelbed.host.waiting import until


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_both_streams_come_back_apart_and_together() -> None:
    done = shell.run(["sh", "-c", "echo out; echo err >&2"])
    assert (done.status, done.stdout, done.stderr, done.output) == (0, "out\n", "err\n", "out\nerr")


def test_arguments_reach_the_command_as_they_are() -> None:
    words = ["a b", "", "$HOME", "'", '"', "*", "\n"]
    assert shell.run(["printf", "%s|", *words]).stdout == "".join(f"{word}|" for word in words)


def test_standard_input_is_given_or_empty_but_never_the_terminal_s() -> None:
    assert shell.run(["cat"], stdin="tunnel\n").stdout == "tunnel\n"
    assert shell.run(["cat"]).stdout == ""


def test_the_environment_is_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    assert shell.run(["sh", "-c", 'echo "$KEPT $ADDED"'], env={"ADDED": "2"}).stdout == "1 2\n"


def test_a_status_other_than_0_raises_with_all_that_was_said() -> None:
    with pytest.raises(CommandFailed, match=r"`sh -c .*` ended with status 3: half whole") as failed:
        shell.run(["sh", "-c", "echo half; echo whole >&2; exit 3"])
    assert (failed.value.status, failed.value.output) == (3, "half\nwhole")


def test_a_status_other_than_0_is_returned_where_it_is_an_answer() -> None:
    assert shell.run(["sh", "-c", "exit 3"], check=False).status == 3


@pytest.mark.parametrize("call", [shell.run, lambda command: list(shell.follow(command))])
def test_a_command_that_is_not_installed_is_said_to_be(call: object) -> None:
    with pytest.raises(CommandFailed, match="no-such-command is not installed"):
        call(["no-such-command"])  # type: ignore[operator]


def test_a_file_that_may_not_be_run_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    with pytest.raises(CommandFailed, match="Permission denied"):
        shell.run([str(tmp_path / "tool")])


def test_output_that_is_no_text_does_not_break_anything() -> None:
    assert "\ufffd" in shell.run(["printf", r"\377"]).stdout


def test_a_command_that_outlives_its_time_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(CommandFailed, match=r"did not end in time: stopped after 0\.2 s"):
        shell.run(["sh", "-c", f"echo $$ >{note}; exec sleep 60"], timeout=0.2)
    assert not is_alive(int(note.read_text()))


def test_a_command_is_asked_to_end_before_it_is_made_to(tmp_path: Path) -> None:
    note = tmp_path / "said"
    script = f"trap 'kill $!; echo goodbye >{note}; exit' TERM; sleep 60 & echo ready; wait"
    lines = shell.follow(["sh", "-c", script])
    assert next(lines) == "ready"
    lines.close()  # type: ignore[attr-defined] # a generator's
    assert note.read_text() == "goodbye\n"


def test_a_command_that_will_not_end_is_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "PATIENCE", 0.1)
    lines = shell.follow(["sh", "-c", "trap '' TERM; echo $$; exec sleep 60"])
    process = int(next(lines))
    lines.close()  # type: ignore[attr-defined]
    assert not is_alive(process)


def test_an_interrupt_ends_the_command_too() -> None:
    script = "echo $$; exec sleep 60"
    program = (
        f"from tunnelbed.host import shell\nfor line in shell.follow(['sh', '-c', '{script}']): print(line, flush=True)"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as caller:
        assert caller.stdout
        process = int(caller.stdout.readline())
        caller.send_signal(signal.SIGINT)
        assert caller.wait(10) != 0
    until(lambda: not is_alive(process), 10, "the command to end")


def test_a_lock_is_held_until_the_command_ends_even_if_its_caller_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = (
        "import fcntl, os; from tunnelbed.host import shell\n"
        f"held = os.open({str(tmp_path)!r}, os.O_RDONLY); os.set_inheritable(held, True)\n"
        "fcntl.flock(held, fcntl.LOCK_EX)\n"
        f"shell.run(['sh', '-c', 'echo $$ >{note}; exec sleep 60'])"
    )
    caller = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    process = int(until(lambda: note.read_text().strip() if note.exists() else "", 10, "the command to start"))
    caller.kill()
    caller.wait()
    try:
        assert shell.run(["flock", "--nonblock", str(tmp_path), "true"], check=False).status == 1
    finally:
        os.kill(process, signal.SIGKILL)
    assert shell.run(["flock", "--timeout", "5", str(tmp_path), "true"], check=False).status == 0


def test_following_yields_each_line_while_the_command_still_runs() -> None:
    lines = shell.follow(["sh", "-c", "echo one; echo two >&2; sleep 60"])
    began = time.monotonic()
    assert [next(lines), next(lines)] == ["one", "two"]
    lines.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5


def test_following_raises_at_the_end_with_all_that_was_said() -> None:
    with pytest.raises(CommandFailed) as failed:
        list(shell.follow(["sh", "-c", "echo one; echo two >&2; exit 4"]))
    assert (failed.value.status, failed.value.output) == (4, "one\ntwo\n")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_a_logged_command_can_be_pasted(words: list[str]) -> None:
    assert shlex.split(shell.quoted(words)) == words


def test_every_command_is_logged_as_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tunnelbed.host.shell")
    shell.run(["echo", "a b"])
    list(shell.follow(["true"]))
    assert caplog.messages == ["echo 'a b'", "true"]
