"""The features of one scenario, run again and again in one process: what behave does, without its start each time.

A unit is one scenario of a feature file. The testbed is given, never brought up or taken down here.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from behave.configuration import Configuration
from behave.model import Feature, Scenario, Step
from behave.model_type import Status
from behave.parser import parse_file
from behave.runner import Context, Runner

from tunnelbed import model
from tunnelbed.mutation.verdicts import Failure
from tunnelbed.testbed import Testbed

HOME = Path(__file__).resolve().parent
TAG = "scenario."
WELL = (Status.passed, Status.skipped, Status.untested)
LONGEST = 300


def code(root: Path) -> Sequence[Path]:
    """The files that decide what features find."""
    ours = [*HOME.glob("steps/*.py"), *(HOME / "tunnelbed").rglob("*.py"), *(HOME / "scripts" / "node").glob("*")]
    return [HOME / "environment.py", *(path for path in ours if path.is_file()), *root.glob("features/**/*.feature")]


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
        self._open: Callable[[Context], None] = self._runner.hooks["before_all"]
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
            self._open(context)
            context.beds[self.scenario.name] = bed

        runner.hooks["before_all"] = lend
        runner.context = Context(runner)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            failed = runner.run_model([feature])
        if runner.aborted:
            raise KeyboardInterrupt
        return _failure(feature, said.getvalue()) if failed else None


def _units(scene: model.Scenario) -> Iterator[tuple[str, Feature]]:
    """Each scenario as a feature of its own, so that they run in any order."""
    for path in sorted(scene.features.rglob("*.feature")):
        count = len(_items(path))
        if f"{TAG}{scene.name}" not in parse_file(str(path)).tags:
            continue
        for index in range(count):
            feature = parse_file(str(path))
            feature.run_items[:] = [feature.run_items[index]]
            yield f"{path.name}: {feature.run_items[0].name}", feature


def _items(path: Path) -> Sequence[Scenario]:
    return list(parse_file(str(path)).run_items)


def _failure(feature: Feature, said: str) -> Failure:
    """The sentence that failed, or the hook that did."""
    for scenario in feature.walk_scenarios():
        for step in scenario.all_steps:
            if step.status not in WELL:
                place = f"{Path(str(feature.filename)).name}:{step.line}"
                return Failure(place, f"{step.keyword} {step.name}", _seen(step))
        if scenario.hook_failed:
            return Failure(f"{Path(str(feature.filename)).name}:{scenario.line}", scenario.name, said[-LONGEST:])
    return Failure(str(feature.filename), feature.name, said[-LONGEST:])


def _seen(step: Step) -> str:
    """What a step complained of, without its evidence."""
    text = str(step.exception or step.error_message or step.status.name)
    lines = [line for line in text.splitlines() if line.startswith(("expected:", "seen:"))] or text.splitlines()[:1]
    return " ".join(" ".join(lines).split())[:LONGEST]
