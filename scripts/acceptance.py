"""The features of one scenario, run again and again in one process: what behave does, without its start each time.

A unit is one scenario of a feature file. The testbed is given, never brought up or taken down here.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from behave.configuration import Configuration
from behave.model import Feature, Scenario, Step
from behave.model_type import Status
from behave.parser import parse_file
from behave.runner import Context, Runner

from tunnelbed.mutation.verdicts import Failure
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology import model

HOME = Path(__file__).resolve().parent.parent
TAG = "scenario."
WELL = (Status.passed, Status.skipped, Status.untested)
LONGEST = 300


def code(root: Path) -> Sequence[Path]:
    """The files that decide what features find."""
    around = [path for folder in ("node", "vm") for path in (HOME / "scripts" / folder).glob("*")]
    ours = [Path(__file__), *HOME.glob("steps/*.py"), *(HOME / "tunnelbed").rglob("*.py"), *around]
    theirs = [*root.glob("features/**/*.feature"), *root.glob("steps/*.py")]
    return [HOME / "environment.py", *(path for path in ours if path.is_file()), *theirs]


class Features:
    """A scenario's features, unit by unit. See `tunnelbed.mutation.worker.Prover`."""

    def __init__(self, scene: model.Scenario) -> None:
        self.scenario = scene
        self._runner = Runner(Configuration(["--no-summary", "--no-color"], load_config=False))
        self._runner.base_dir = str(HOME)
        self._runner.config.userdata["path"] = str(scene.stack.parent.parent)
        with self._runner.path_manager:
            self._runner.path_manager.add(str(HOME))
            self._runner.load_hooks()
            beside = scene.features.parent / "steps"
            own = [str(beside)] if beside.is_dir() and beside.resolve() != HOME / "steps" else []
            self._runner.load_step_definitions(own)
        self._hooks = dict(self._runner.hooks)
        self._runner.hooks["after_all"] = lambda _: None
        self._units = dict(_units(scene))

    @property
    def units(self) -> Sequence[str]:
        """The names of the scenarios, each with its file."""
        return tuple(self._units)

    def prove(self, bed: Testbed, unit: str) -> Failure | None:
        """Run one scenario on a testbed; the first sentence of it that does not hold."""
        feature = self._units[unit]
        feature.reset()
        runner = self._runner

        def lend(context: Context) -> None:
            self._hooks["before_all"](context)
            context.beds[self.scenario.name] = bed

        def end(context: Context, scenario: Scenario) -> None:
            if scenario.status == Status.passed:
                self._hooks["after_scenario"](context, scenario)
            else:
                # Nothing more is asked of this testbed, so nobody needs to wait until all is well again.
                context.changes.abandon()

        runner.hooks.update(before_all=lend, after_scenario=end)
        runner.context = Context(runner)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            failed = runner.run_model([feature])
        if runner.aborted:
            raise KeyboardInterrupt
        return _failure(feature, said.getvalue()) if failed else None


def _units(scene: model.Scenario) -> Iterator[tuple[str, Feature]]:
    """Each scenario, and each example of an outline, as a feature of its own, so that they run in any order."""
    for path in sorted(scene.features.rglob("*.feature")):
        whole = parse_file(str(path))
        if f"{TAG}{scene.name}" not in whole.tags:
            continue
        for index in range(len(list(whole.walk_scenarios()))):
            feature = parse_file(str(path))
            scenario = list(feature.walk_scenarios())[index]
            feature.run_items[:] = [scenario]
            yield f"{path.name}: {scenario.name}", feature


def _failure(feature: Feature, said: str) -> Failure:
    """The sentence that failed, or the hook that did."""
    for scenario in feature.walk_scenarios():
        for step in scenario.all_steps:
            if step.status not in WELL:
                place = f"{Path(str(feature.filename)).name}:{step.line}"
                return Failure(place, f"{step.keyword} {step.name}", _seen(step))
        if scenario.hook_failed:
            place = f"{Path(str(feature.filename)).name}:{scenario.line}"
            return Failure(place, scenario.name, said[-LONGEST:], said=False)
    return Failure(str(feature.filename), feature.name, said[-LONGEST:], said=False)


def _seen(step: Step) -> str:
    """What a step complained of, without its evidence."""
    text = str(step.exception or step.error_message or step.status.name)
    lines = [line for line in text.splitlines() if line.startswith(("expected:", "seen:"))] or text.splitlines()[:1]
    return " ".join(" ".join(lines).split())[:LONGEST]
