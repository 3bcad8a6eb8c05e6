"""What a run of behave found, as JSON: every sentence, and of each that does not hold the evidence as values.

`behave -D report=FILE features/` writes it; `invoke verify --json FILE` puts those of all scenarios into one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from behave.formatter.base import Formatter, StreamOpener
from behave.matchers import StepParseError
from behave.model import Feature, Scenario, Step
from behave.model_type import Status
from behave.runner import Context

from tunnelbed.checks.unmet import Unmet
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.observe import evidence_json
from tunnelbed.observe.evidence import Evidence, Text
from tunnelbed.testbed import node_state, report_file
from tunnelbed.testbed.report_file import JUDGED, NOT_RUN
from tunnelbed.testbed.verification import COULD_NOT_RUN, FAILED, HOLDS

States = Mapping[int, Sequence[Evidence]]
KEY = "report"
STATUS = {
    Status.passed: JUDGED[HOLDS],
    Status.failed: JUDGED[FAILED],
    **dict.fromkeys((Status.untested, Status.skipped, Status.untested_pending, Status.untested_undefined), NOT_RUN),
}


class RunReport(Formatter):  # type: ignore[misc] # behave ships no types
    """Prints nothing; writes its file when the run ends."""

    name = "run-report"
    description = "Sentences and evidence as JSON"

    def __init__(self, context: Context, path: Path) -> None:
        self._runner = context._runner  # noqa: SLF001 # a hook has no other way to it
        super().__init__(StreamOpener(str(path)), self._runner.config)
        self._facts: dict[str, Mapping[str, Any]] = {}
        # The state of all nodes at the first sentence of each scenario that does not hold, by that sentence.
        self._states: dict[int, Sequence[Evidence]] = {}
        self._collected = False

    def scenario(self, scenario: Scenario) -> None:
        """A scenario begins: none of its sentences has failed yet."""
        del scenario
        self._collected = False

    def result(self, step: Step) -> None:
        """A sentence has ended: at the first that does not hold, collect, before the scenario's changes are undone."""
        if step.status in (Status.failed, Status.error) and not self._collected and not _is_wrong(step):
            self._collected = True
            self._states[id(step)] = _collected(self._runner.context)

    def eof(self) -> None:
        """A feature has ended: look at its testbed while that is up."""
        for name, bed in self._runner.context.beds.items():
            if name not in self._facts:
                self._facts[name] = report_file.facts(bed)

    def close(self) -> None:
        """The run has ended: write it all."""
        chosen = [feature for feature in self._runner.features if feature.status != Status.skipped]
        # Of one testbed, where `verify` runs it.
        facts = next(iter(self._facts.values()), None) if len(self._facts) < 2 else self._facts
        whole = {"testbed": facts, "error": "", "features": [_feature(feature, self._states) for feature in chosen]}
        self.open().write(json.dumps(whole))
        self.close_stream()


def add(context: Context) -> None:
    """Let a run write its report, if it is asked for."""
    if path := context.config.userdata.get(KEY):
        context._runner.formatters.append(RunReport(context, Path(path)))  # noqa: SLF001 # likewise


def _is_wrong(step: Step) -> bool:
    """Whether the sentence itself is wrong, so that no node has to do with it."""
    return isinstance(step.exception, BadInput | StepParseError)


def _collected(context: Context) -> Sequence[Evidence]:
    """The state of all nodes, or why there is none: a failure is reported either way."""
    if "bed" not in context:
        return ()
    try:
        return node_state.collect(context.bed)
    except TunnelbedError as wrong:
        return [Text((f"state of the nodes: {wrong}",))]


def _feature(feature: Feature, states: States) -> Mapping[str, Any]:
    return {
        "feature": feature.name,
        "file": str(feature.filename),
        "tags": [str(tag) for tag in feature.tags],
        "error": why(feature),
        "scenarios": [_scenario(one, states) for one in feature.walk_scenarios() if one.status != Status.skipped],
    }


def _scenario(scenario: Scenario, states: States) -> Mapping[str, Any]:
    return {
        "scenario": scenario.name,
        "line": scenario.line,
        "tags": [str(tag) for tag in scenario.tags],
        "status": _status(scenario.status),
        "error": why(scenario),
        "sentences": [_sentence(step, states.get(id(step), ())) for step in scenario.all_steps],
    }


def _sentence(step: Step, nodes: Sequence[Evidence]) -> Mapping[str, Any]:
    failed = step.exception if isinstance(step.exception, Unmet) else None
    return {
        "keyword": step.keyword,
        "text": step.name,
        "line": step.line,
        "status": _status(step.status),
        "seconds": round(step.duration, 3),
        "expected": failed.expected if failed else "",
        "seen": failed.seen if failed else "",
        "cause": failed.cause if failed else "",
        "error": "" if failed else why(step),
        "evidence": evidence_json.plain([*(failed.evidence if failed else ()), *nodes]),
    }


def _status(status: Status) -> str:
    return STATUS.get(status, JUDGED[COULD_NOT_RUN])


def why(one: Feature | Scenario | Step) -> str:
    """Why it could not be judged, or what else was asserted, in a line."""
    if one.status == Status.undefined:
        return "no phrase is like that: see `invoke phrases`"
    wrong = one.exception
    if isinstance(wrong, StepParseError):
        wrong = wrong.__cause__ or wrong
    if wrong is None:
        return " ".join(str(one.error_message or "").split())
    told = " ".join(str(wrong).split())
    return told if isinstance(wrong, TunnelbedError | AssertionError) else f"{type(wrong).__name__}: {told}"
