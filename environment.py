"""behave's hooks: the testbed that a feature names by tag is there when it begins, and goes with the run.

`@scenario.NAME` on a feature brings up compose/NAME.yaml, unless it is up already: then it is used and left.
Options, as `behave -D NAME=VALUE features/`: those of a testbed (`tunnelbed/testbed/options.py`, `invoke --help up`),
`instance` and `path`, `keep=yes` to leave up what the run brought up, `report=FILE` for what it found as JSON,
`sentences=yes` for a line a sentence, `speed=N` for daemons' time that passes faster while a sentence waits for them,
and `pause=yes` for a prompt where one does not hold.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path

from behave.model import Feature, Scenario
from behave.runner import Context

from scripts import one_line, pause, run_report, terminal
from tunnelbed.errors import BadInput, ChecksFailed, TunnelbedError
from tunnelbed.faults.changes import Changes
from tunnelbed.host import shell
from tunnelbed.testbed import options as given
from tunnelbed.testbed.options import Asked
from tunnelbed.testbed.testbed import Testbed, open_testbed
from tunnelbed.testbed.verification import Chosen
from tunnelbed.topology.compose_file import load, names

TAG = "scenario."


def before_all(context: Context) -> None:
    """Know where scenarios are; nothing is up yet. Told to end, by whoever started it, it goes as by Ctrl-C."""
    # Where features run within something else (a worker of `invoke mutate`), that knows what to do.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        shell.heed_signals()
        one_line.put_first(context)
    run_report.add(context)
    terminal.begin(context)
    context.keep = context.config.userdata.getbool("keep")
    context.root = Path(context.config.userdata.get("path", ".")).resolve()
    context.held = contextlib.ExitStack()
    context.beds = {}
    # Testbeds that did not come up, and why: every feature is told, and none waits for it again.
    context.broken = {}
    context.changes_of = {}
    context.brought_up = []
    pause.add(context)


def before_feature(context: Context, feature: Feature) -> None:
    """Let `context.bed` be the testbed that the feature's tag names."""
    tagged = [tag.removeprefix(TAG) for tag in feature.tags if tag.startswith(TAG)]
    if len(tagged) != 1:
        found = f"tags {' '.join(feature.tags) or 'none'}"
        expected = f"one tag @{TAG}NAME, with NAME one of: {', '.join(names(context.root))}"
        raise BadInput(str(feature.filename), "", found, expected, "tag the feature")
    if tagged[0] in context.broken:
        raise context.broken[tagged[0]]
    if tagged[0] not in context.beds:
        context.beds[tagged[0]] = _bring_up(context, tagged[0])
    context.bed = context.beds[tagged[0]]


def before_scenario(context: Context, scenario: Scenario) -> None:
    """Nothing was recorded or changed yet."""
    del scenario
    context.recording = context.conversation = None
    context.requests = []
    # The nodes whose traffic was recorded last.
    context.acting = []
    context.ping = None
    context.journal = None
    context.attack = None
    context.rekeying = context.answered = None
    context.changes = context.changes_of.setdefault(context.bed.name, Changes(context.bed))


def after_scenario(context: Context, scenario: Scenario) -> None:
    """What the scenario changed is undone, and nothing is left of it."""
    del scenario
    # An interruption may come before anything could be changed.
    if "changes" in context:
        context.changes.undo()


def after_all(context: Context) -> None:
    """Take down what this run brought up; go on after an error, then report the first."""
    wrong: list[Exception] = []
    for bed in context.beds.values():
        try:
            if bed in context.brought_up and not context.keep:
                _take_down(bed)
            bed.close()
        except (TunnelbedError, OSError) as first:
            wrong.append(first)
    context.held.close()
    if wrong:
        raise wrong[0]


def _take_down(bed: Testbed) -> None:
    """Take a testbed down; who interrupts that has to wait for it, unless it is Ctrl-C once more."""
    try:
        bed.down()
    except KeyboardInterrupt:
        bed.down()
        raise


def _bring_up(context: Context, name: str) -> Testbed:
    # As options of `invoke` are typed, too: `-D data-plane=user`.
    told = {key.replace("-", "_"): value for key, value in context.config.userdata.items()}
    asked = given.asked(told, lambda option: f"-D {option.name}")
    bed = open_testbed(load(name, context.root), context.root, told.get("engine", ""), told.get("instance", ""))
    bed.speed = given.declared(Chosen)["speed"].value(told.get("speed", "1"), "-D speed")
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {name}: {text}", file=sys.__stderr__, flush=True)

    # Kept only if it is there in the end: a later feature finds out for itself what is wrong.
    with contextlib.ExitStack() as held:
        held.enter_context(bed.proven_alone())
        if bed.is_up():
            check(bed, asked)
            bed.refuse_other_images()
        else:
            try:
                made = bed.up(asked.options, say)
            except ChecksFailed as failed:
                # Its sentences are judged all the same: they are what tells why.
                made = failed.made
                say(str(failed))
            except TunnelbedError as broken:
                context.broken[name] = broken
                raise
            # Somebody else may have brought it up meanwhile: then it is theirs to take down.
            if made:
                context.brought_up.append(bed)
        context.held.enter_context(held.pop_all())
    return bed


def check(bed: Testbed, asked: Asked) -> None:
    """A testbed that is up otherwise than somebody asks for proves something else."""
    kept = bed.options or given.DEFAULT
    for option in given.differing(asked.options, kept):
        if option.name in asked.given:
            expected = f"{getattr(kept, option.name) or 'none'}, which the running testbed has"
            found = str(asked.given[option.name])
            raise BadInput(
                f"-D {option.name}", bed.name, found, expected, "take the testbed down first, or omit the option"
            )
