"""Says sentences of a testbed that is up, as behave does with a scenario of a feature, in this process."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from behave.configuration import Configuration
from behave.model import Step
from behave.model_type import Status
from behave.parser import parse_feature
from behave.runner import Context, Runner

from tests.refutations import Story
from tunnelbed.faults.changes import Changes
from tunnelbed.testbed.testbed import Testbed as Bed

HOME = Path(__file__).parents[2]
UNDONE = "what was changed could not be undone"
# As the features have it in `Testbed.patience`; what is broken need not be waited for.
PATIENCE, SHORT_PATIENCE = 10.0, 1.0


@dataclass(frozen=True)
class Ending:
    """Where a story ended and how: `passed` at its last sentence, or behave's status with the words of the failure."""

    sentence: str
    status: str
    words: str = ""


class Speaker:
    """behave, with this checkout's phrases and hooks."""

    def __init__(self) -> None:
        self._runner = Runner(Configuration(["--format=null", "--no-summary", "--no-color"], load_config=False))
        self._runner.base_dir = str(HOME)
        with self._runner.path_manager:
            self._runner.path_manager.add(str(HOME))
            self._runner.load_hooks()
            self._runner.load_step_definitions()
        self._open = self._runner.hooks["before_all"]
        self.changes: dict[str, Changes] = {}
        self._runner.hooks["after_all"] = lambda _: None

    def says(self, bed: Bed, story: Story) -> Ending:
        """Say a story's sentences until one fails; what they and the break changed is undone, and proven undone."""
        lines = [f"@scenario.{bed.scenario.name}", "Feature: What holds", "Scenario: Now"]
        feature = parse_feature("\n".join([*lines, *(f"* {sentence}" for sentence in story.sentences)]))
        steps = next(iter(feature.walk_scenarios())).steps

        def lend(context: Context) -> None:
            self._open(context)
            context.beds[bed.scenario.name] = bed
            context.changes_of = self.changes

        def interrupt(context: Context, step: Step) -> None:
            if step is steps[story.at]:
                context.changes.make(story.broken(bed))
                bed.patience = SHORT_PATIENCE

        self._runner.hooks.update(before_all=lend, before_step=interrupt)
        self._runner.context = Context(self._runner)
        bed.patience = PATIENCE
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            failed = self._runner.run_model([feature])
        if self._runner.aborted:
            raise KeyboardInterrupt
        for step in steps:
            if step.status not in (Status.passed, Status.untested, Status.skipped):
                return Ending(step.name, step.status.name, str(step.exception or step.error_message))
        return Ending(UNDONE, "error", said.getvalue()) if failed else Ending(steps[-1].name, "passed")
