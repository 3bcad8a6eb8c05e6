"""behave's hooks: the testbed that a feature names by tag is there when it begins, and goes with the run.

`@scenario.NAME` on a feature brings up compose/NAME.yaml, unless it is up already: then it is used and left.
Options, as `behave -D KEY=VALUE features/`: `engine`, `driver`, `data_plane`, `platform`, `nested`, `memory`, `cpus`,
`image`, `instance`, `path` (see `invoke --help up`), and `keep=yes` to leave up what the run brought up.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Container
from dataclasses import asdict
from pathlib import Path
from typing import Any

from behave.model import Feature, Scenario
from behave.runner import Context

from tunnelbed import shell
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.faults.changes import Changes
from tunnelbed.testbed.testbed import Options, Testbed, image_words, open_testbed
from tunnelbed.topology.compose_file import load, names

TAG = "scenario."


def before_all(context: Context) -> None:
    """Know where scenarios are; nothing is up yet. Told to end, by whoever started it, it goes as by Ctrl-C."""
    # Where features run within something else (a worker of `invoke mutate`), that knows what to do.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        shell.heed_sigterm()
    context.keep = context.config.userdata.getbool("keep")
    context.root = Path(context.config.userdata.get("path", ".")).resolve()
    context.held = contextlib.ExitStack()
    context.beds = {}
    # Testbeds that did not come up, and why: every feature is told, and none waits for it again.
    context.broken = {}
    context.changes_of = {}
    context.brought_up = []


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
    context.ping = None
    context.journal = None
    context.attack = None
    context.rekeying = None
    context.changes = context.changes_of.setdefault(context.bed.name, Changes(context.bed))


def after_scenario(context: Context, scenario: Scenario) -> None:
    """What the scenario changed is undone, and nothing is left of it."""
    del scenario
    context.changes.undo()


def after_all(context: Context) -> None:
    """Take down what this run brought up; go on after an error, then report the first."""
    wrong: list[Exception] = []
    for bed in context.beds.values():
        try:
            if bed in context.brought_up and not context.keep:
                bed.down()
            bed.close()
        except (TunnelbedError, OSError) as first:
            wrong.append(first)
    context.held.close()
    if wrong:
        raise wrong[0]


def _bring_up(context: Context, name: str) -> Testbed:
    told: dict[str, Any] = dict(context.config.userdata)
    words = ("engine", "driver", "data_plane", "platform", "image")
    chosen: dict[str, Any] = {key: told[key] for key in words if key in told}
    sizes: dict[str, Any] = {key: _number(key, told[key]) for key in ("memory", "cpus") if key in told}
    if "image" in chosen:
        chosen["image"] = image_words(chosen["image"])
    options = Options(**chosen, **sizes, nested=context.config.userdata.getbool("nested"))
    bed = open_testbed(load(name, context.root), context.root, told.get("engine", ""), told.get("instance", ""))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {name}: {text}", file=sys.__stderr__, flush=True)

    # Kept only if it is there in the end: a later feature finds out for itself what is wrong.
    with contextlib.ExitStack() as held:
        held.enter_context(bed.proven_alone())
        if bed.is_up():
            check(bed, options, told)
            bed.refuse_other_images()
        else:
            context.brought_up.append(bed)
            try:
                bed.up(options, say)
            except TunnelbedError as broken:
                context.broken[name] = broken
                raise
        context.held.enter_context(held.pop_all())
    return bed


def check(bed: Testbed, asked: Options, told: Container[str]) -> None:
    """A testbed that is up otherwise than somebody asks for proves something else."""
    kept = asdict(bed.options or Options())
    for key, wanted in asdict(asked).items():
        if key in told and wanted != (found := kept[key]):
            expected = f"{found or 'none'}, as it is up now"
            raise BadInput(f"-D {key}", bed.name, str(wanted), expected, "take it down first, or leave that out")


def _number(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as wrong:
        raise BadInput(f"-D {key}", "", repr(text), "a number", "correct it") from wrong
