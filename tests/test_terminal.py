"""What a person sees of a run: in a log, on a terminal, and at the prompt of `--pause`; on the fake engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts import checkout as here
from scripts import closer, pause, side_by_side, time_left
from tests.conftest import Checkout
from tests.launched import launch
from tests.terminal import CONTROL, HOME, typing
from tests.test_evidence import EVERY
from tunnelbed.checks.unmet import Unmet
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.observe.evidence import LogTail
from tunnelbed.testbed import verification
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.testbed import Testbed as Bed
from tunnelbed.topology import compose_file

# Hooks as they are, but for the engine.
HOOKS = """
from environment import *
from tunnelbed.engines.fake import FakeEngine
from tunnelbed.errors import EngineUnavailable
from tunnelbed.faults.changes import Changes
from tunnelbed.testbed.options import Options

def before_feature(context, feature):
    if "down" in feature.tags:
        raise EngineUnavailable("no engine: start it")
    bed = Testbed(load("tiny", context.root), context.root, FakeEngine())
    bed.up(Options(engine="fake"), lambda _: None)
    context.bed = context.beds["tiny"] = bed
    context.brought_up.append(bed)

def stuck():
    raise EngineUnavailable("no engine to take it down: start it")

def after_scenario(context, scenario):
    (context.root / "undone").write_text(scenario.name)
    if "stays" in scenario.tags:
        context.bed.down = stuck
    if "sticks" in scenario.tags:
        raise EngineUnavailable("tiny is not in the state it was in before: take it down")
"""
# Phrases beside the features.
STEPS = """
from behave import step
from tests.test_evidence import EVERY
from tunnelbed.checks.unmet import Unmet

@step("it holds")
def holds(context):
    pass

@step("it fails of [red]fd00:100::1[/red] at {source:Node}")
def fails(context, source):
    raise Unmet(f"client can reach server at fd00:100::1", "no [b]answer[/b] :100:", EVERY)

@step("it is our fault")
def ours(context):
    raise KeyError("missing")
"""
FEATURE = """@scenario.tiny
Feature: Both kinds
  Scenario: What holds at fd00:100::1
    Then it holds
    And it holds
  Scenario: What fails
    Given it holds
    Then it fails of [red]fd00:100::1[/red] at client
    And it holds
  Scenario Outline: One of several
    Then it holds
    Examples:
      | who |
      | A   |
  Scenario: Misspelt
    Then it hlods
  Scenario: A bug
    Then it is our fault
  @slow
  Scenario: Not now
    Then it holds
"""


def words(checkout: Checkout, feature: str, *more: str) -> Sequence[str]:
    """The launcher, for a feature."""
    for name, text in (("hooks.py", HOOKS), ("features/tiny/one.feature", feature), ("features/steps/own.py", STEPS)):
        file = checkout.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    program = launch(checkout.root / "hooks.py")
    return [sys.executable, "-c", program, "--tags", "not @slow", *more, "features/tiny"]


def ran(checkout: Checkout, feature: str, *more: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """A run in a log."""
    return subprocess.run(
        words(checkout, feature, *more),
        capture_output=True,
        text=True,
        encoding=encoding,
        check=False,
        env={"PYTHONPATH": str(HOME), "PATH": "/usr/bin:/bin", "PYTHONIOENCODING": encoding},
    )


def test_a_log_has_a_line_a_scenario_and_what_fails_in_full(checkout: Checkout) -> None:
    done = ran(checkout, FEATURE)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    shown = [re.sub(r", \d+\.\d s$", "", line) for line in done.stdout.splitlines()]
    assert shown[:6] == [
        "",
        "Both kinds  features/tiny/one.feature",
        "  ✓ What holds at fd00:100::1  2 sentences",
        "  ✗ What fails",
        "    Then it fails of [red]fd00:100::1[/red] at client",
        "      features/tiny/one.feature:8",
    ]
    told = shown[6 : shown.index("  ✓ One of several (A)  1 sentence")]
    evidence = str(Unmet("client can reach server at fd00:100::1", "no [b]answer[/b] :100:", EVERY)).splitlines()
    command = f"invoke up --scenario tiny --path {checkout.root} && invoke trace --scenario tiny --path {checkout.root}"
    assert told == [
        *(f"      {line}" for line in evidence),
        f"      closer:   {command} --from client --to server",
    ]
    assert "Not now" not in done.stdout
    assert "USING RUNNER" not in done.stdout
    assert "steps/" not in done.stdout.partition("A bug")[0]


def test_a_bug_is_a_clear_line_before_its_traceback_and_a_wrong_word_is_a_line(checkout: Checkout) -> None:
    shown = ran(checkout, FEATURE).stdout
    misspelt, bug = shown.partition("  ! Misspelt\n")[2].split("  ! A bug\n")
    assert misspelt.splitlines() == [
        "    Then it hlods",
        "      features/tiny/one.feature:16",
        "      tunnelbed: no phrase is like that: see `invoke phrases`",
    ]
    assert bug.splitlines()[2:4] == [
        "      a fault of Tunnelbed or of a phrase: KeyError: 'missing'",
        "      Traceback (most recent call last):",
    ]


def test_the_end_counts_and_names_again_what_does_not_hold(checkout: Checkout) -> None:
    *_, first, second, third, last = ran(checkout, FEATURE).stdout.splitlines()
    assert first == "✗ fails: features/tiny/one.feature:8  Then it fails of [red]fd00:100::1[/red] at client"
    assert second == "! could not be judged: features/tiny/one.feature:16  Then it hlods"
    assert third == "! could not be judged: features/tiny/one.feature:18  Then it is our fault"
    assert re.fullmatch(r"4 sentences hold, 1 fail, 2 could not be judged \(\d+\.\d s\)", last)
    assert "could not be judged" not in ran(checkout, FEATURE, "-D", "summary=no").stdout


def test_each_sentence_has_a_line_if_that_is_asked_for(checkout: Checkout) -> None:
    shown = ran(checkout, FEATURE, "-D", "sentences=yes").stdout.splitlines()
    assert shown[2:6] == ["  What holds at fd00:100::1", "    ✓ Then it holds", "    ✓ And it holds", "  What fails"]
    assert "    ✗ Then it fails of [red]fd00:100::1[/red] at client" in shown


def test_where_the_stream_has_no_such_characters_the_marks_are_others(checkout: Checkout) -> None:
    shown = ran(checkout, FEATURE, encoding="ascii").stdout
    assert "  + What holds" in shown
    assert "  x What fails" in shown


def test_a_testbed_that_does_not_come_up_is_a_line(checkout: Checkout) -> None:
    done = ran(checkout, FEATURE.replace("@scenario.tiny", "@scenario.tiny @down"))
    assert done.returncode == 1
    heading, line, *rest = done.stdout.strip().splitlines()
    assert (heading, line) == ("Both kinds  features/tiny/one.feature", "  ! tunnelbed: no engine: start it")
    assert rest[-1].startswith("0 sentences hold, 0 fail, 1 could not be judged")
    assert "HOOK-ERROR" not in done.stdout + done.stderr


def test_a_change_that_cannot_be_undone_is_a_line_of_its_scenario(checkout: Checkout) -> None:
    done = ran(checkout, FEATURE.replace("  Scenario: What holds", "  @sticks\n  Scenario: What holds"))
    lines = done.stdout.splitlines()
    at = lines.index("  ! What holds at fd00:100::1")
    assert lines[at + 1] == "    ! tunnelbed: tiny is not in the state it was in before: take it down"


def test_a_testbed_that_cannot_be_taken_down_is_a_line_at_the_end(checkout: Checkout) -> None:
    one = "@scenario.tiny\nFeature: f\n  @stays\n  Scenario: s\n    Then it holds\n"
    done = ran(checkout, one)
    assert done.returncode == 1
    assert "! tunnelbed: no engine to take it down: start it" in done.stdout.splitlines()
    assert "1 sentences hold, 0 fail, 1 could not be judged" in done.stdout


def test_other_formats_are_as_ever(checkout: Checkout) -> None:
    done = ran(checkout, FEATURE, "--format", "json")
    assert json.loads(done.stdout.partition("\n\n1 feature")[0].partition("\nFailing")[0].partition("\nErrored")[0])


def test_on_a_terminal_a_live_line_has_the_progress_and_goes(checkout: Checkout) -> None:
    with typing(words(checkout, FEATURE), checkout.root) as person:
        assert person.ends() == 1
    assert re.search(r"\d of 8 sentences", person.shown)
    assert "\x1b[32m" in person.raw
    assert "\x1b[?25h" in person.raw[person.raw.rindex("\x1b[?25l") :]
    with typing(words(checkout, FEATURE), checkout.root, env={"NO_COLOR": "1"}) as person:
        person.ends()
    assert not re.search(r"\x1b\[[\d;]*3\dm", person.raw)


def test_the_times_of_what_held_are_kept_for_the_next_run(checkout: Checkout) -> None:
    ran(checkout, FEATURE)
    kept = time_left.read(checkout.root / "reports" / "times.json")
    file = "features/tiny/one.feature"
    assert list(kept) == [f"{file}: What holds at fd00:100::1", f"{file}: One of several -- @1.1 "]


def test_one_pauses_before_anything_is_undone_and_each_mistake_is_a_line(checkout: Checkout) -> None:
    with typing(words(checkout, FEATURE, "-D", "pause=yes"), checkout.root) as person:
        assert "closer:" in person.sees("tiny> ")
        assert (checkout.root / "undone").read_text() == "What holds at fd00:100::1"
        for typed in (
            "dance",
            "trace client",
            "trace client nobody",
            "exec",
            "quit now",
            'trace "client',
            "trace --tcp x a b",
        ):
            person.types(f"{typed}\n")
            mistakes = [line for line in person.sees("tiny> ").splitlines() if line.startswith("tunnelbed: ")]
            assert len(mistakes) == 1, (typed, mistakes)
        person.types("help\n")
        assert "trace FROM TO" in person.sees("tiny> ")
        person.types("\n")
        person.sees("tiny> ")
        person.types("continue\n")
        assert "Misspelt" in person.sees("tiny> ")
        assert (checkout.root / "undone").read_text() == "One of several -- @1.1 "
        person.types("quit\n")
        assert person.ends() == 1
    assert "A bug" not in person.shown
    assert "ABORTED" not in person.shown
    assert (checkout.root / "undone").read_text() == "Misspelt"


@pytest.mark.parametrize("key", ["\x04", "\x03"], ids=["Ctrl-D", "Ctrl-C"])
def test_a_key_at_the_prompt_quits(checkout: Checkout, key: str) -> None:
    with typing(words(checkout, FEATURE, "-D", "pause=yes"), checkout.root) as person:
        person.sees("tiny> ")
        person.types(key)
        assert person.ends() == 1
    assert "Misspelt" not in person.shown
    assert (checkout.root / "undone").read_text() == "What fails"
    assert "Traceback" not in person.shown


def test_without_a_terminal_a_pause_is_refused_before_anything_is_run(checkout: Checkout) -> None:
    done = ran(checkout, FEATURE, "-D", "pause=yes")
    assert (done.returncode, done.stdout) == (2, "")
    expected = "tunnelbed: --pause: found no terminal, expected a terminal for its prompt; omit it, or use one"
    assert done.stderr.splitlines() == [expected]


BEFORE = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0}


def test_a_scenario_in_which_somebody_stopped_to_think_tells_nothing_of_the_others() -> None:
    estimate = time_left.TimeLeft(list("abc"), {"a": 10.0, "b": 10.0, "c": 10.0})
    estimate.done("a", 20.0)
    estimate.done("b", None)
    # One is left, and this run takes twice as long as the earlier one.
    assert estimate.seconds(0.0) == 20.0


@pytest.mark.parametrize(
    ("before", "done", "running", "left"),
    [
        (BEFORE, {}, 0.0, 100.0),
        (BEFORE, {"a": 10.0}, 5.0, 85.0),
        # This run takes twice the time.
        (BEFORE, {"a": 20.0}, 0.0, 180.0),
        (BEFORE, {"a": 10.0, "b": 20.0, "c": 30.0}, 99.0, 0.0),
        (BEFORE, dict(BEFORE), 0.0, None),
        # Too little is known, of either run.
        ({"a": 1.0}, {}, 0.0, None),
        ({}, {"a": 1.0}, 0.0, None),
        ({}, {"a": 12.0}, 0.0, 36.0),
        ({}, {"a": 12.0, "b": 8.0}, 5.0, 15.0),
    ],
)
def test_the_time_left_is_told_where_it_is_known(
    before: Mapping[str, float], done: Mapping[str, float], running: float, left: float | None
) -> None:
    estimate = time_left.TimeLeft(list("abcd"), before)
    for name, seconds in done.items():
        estimate.done(name, seconds)
    assert estimate.seconds(running) == left


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (3.0, "a few seconds left"), (44.0, "about 40 s left"), (150.1, "about 3 min left")],
)
def test_an_estimate_is_as_exact_as_it_is(seconds: float | None, said: str) -> None:
    assert time_left.said(seconds) == said


@pytest.mark.parametrize("text", ["", "[]", '{"a": "x"}', "{"])
def test_times_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "times.json").write_text(text)
    assert time_left.read(tmp_path / "times.json") == {}


@pytest.fixture
def bed(checkout: Checkout) -> Bed:
    made = Bed(compose_file.load("tiny", checkout.root), checkout.root, FakeEngine())
    made.up(Options(engine="fake"), lambda _: None)
    return made


@pytest.mark.parametrize(
    ("failed", "said", "look"),
    [
        (Unmet("client can reach server", "", EVERY), {}, "trace --from client --to server"),
        (Unmet("server x", "", EVERY), {"target": "10.1.0.99"}, "trace --from server --to 10.1.0.99"),
        (
            Unmet("client can reach server", "", EVERY),
            {"kind": "TCP port 80"},
            "trace --from client --to server --on TCP port 80",
        ),
        (Unmet("no tunnel", "", [LogTail("gateway", ())]), {}, "logs --node gateway"),
        (Unmet("a route on server", ""), {}, "logs --node server"),
        (AssertionError("wrong"), {"node": "the server", "port": 80}, "logs --node server"),
        (AssertionError("wrong"), {"nodes": "every client"}, "status"),
        # A name within another one is not meant.
        (Unmet("my-client-2 is well", ""), {}, "status"),
    ],
)
def test_the_command_that_looks_closer_fits_the_failure(
    bed: Bed, failed: BaseException, said: Mapping[str, object], look: str
) -> None:
    assert " ".join(closer.look(failed, said, bed.scenario)) == look


def test_what_is_up_already_needs_no_up(bed: Bed) -> None:
    assert closer.command(["status"], bed, here.HOME, stays=True) == "invoke status --scenario tiny"


def test_the_words_of_trace_are_those_of_the_task(bed: Bed) -> None:
    typed = iter(["trace client server --tcp 80 --udp 53", "trace client server --on ESP", "quit"])
    shown: list[str] = []
    assert not pause.Prompt(bed, bed.scenario.stack.parent, shown.append, lambda _: next(typed)).goes_on()
    assert [line.partition(", expected")[0] for line in shown[1:]] == [
        "tunnelbed: trace: found TCP port 80 and UDP port 53",
        "tunnelbed: kind of packet: found ESP",
    ]


def test_runs_at_the_same_time_are_shown_whole_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with side_by_side.Screen(2) as screen:
        for text in ("  ✓ one", "  + two", "Heading", "      x of a failure"):
            screen.line(f"{text}\n")
        screen.ended(verification.Outcome("first", 1, [], [], 1.0, 0, "\n  ✓ fd00:100::1 [red]\n"))
        screen.ended(verification.Outcome("second", 1, [], [], 1.0, 0, "  ✓ two\n"))
        assert screen._now().plain.startswith("2 of 2 testbeds done · 2 scenarios · ")
    shown = capsys.readouterr().out
    assert shown == "\n== first ==\n  ✓ fd00:100::1 [red]\n\n== second ==\n  ✓ two\n"
    assert not CONTROL.search(shown)
