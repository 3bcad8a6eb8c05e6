"""What a campaign found, for people and for CI."""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.table import Table

from tunnelbed.mutation import Mutant
from tunnelbed.mutation.campaign import Outcome
from tunnelbed.mutation.verdicts import EQUIVALENT, INVALID, KILLED, SURVIVED, Verdict

COLUMNS = (KILLED, SURVIVED, INVALID, EQUIVALENT)


def table(outcome: Outcome) -> str:
    """A line for each operator, and the sum."""
    made = Table("operator", "mutants", *COLUMNS, box=None, pad_edge=False)
    counted: Counter[tuple[str, str]] = Counter()
    for mutant, verdict in zip(outcome.mutants, outcome.verdicts, strict=True):
        counted[mutant.operator, verdict.outcome] += 1
        counted["all", verdict.outcome] += 1
    for operator in [*dict.fromkeys(mutant.operator for mutant in outcome.mutants), "all"]:
        counts = [counted[operator, column] for column in COLUMNS]
        told = [str(count or "") for count in (sum(counts), *counts)]
        made.add_row(operator, *told, style="red" if counted[operator, SURVIVED] else None)
    console = Console(file=io.StringIO(), force_terminal=Console().is_terminal)
    with console.capture() as said:
        console.print(made)
    return said.get().rstrip("\n")


def survivors(outcome: Outcome) -> str:
    """Each mutant that nothing noticed, as a sentence and a diff."""
    told = []
    for mutant, verdict in zip(outcome.mutants, outcome.verdicts, strict=True):
        if verdict.outcome == SURVIVED:
            diff = textwrap.indent(outcome.files.diff(mutant), "    ")
            told.append(f"survived: {mutant.sentence}\n  ({mutant.name})\n{diff}\n")
    return "\n".join(told)


def score(outcome: Outcome) -> str:
    """One line: how many of the mistakes the features noticed."""
    killed, survived = len(outcome.of(KILLED)), len(outcome.of(SURVIVED))
    tried = sum(verdict.mutant in outcome.now for verdict in outcome.of(KILLED, SURVIVED, INVALID))
    rate = f", {tried / outcome.seconds * 60:.0f} mutants a minute" if tried and outcome.seconds else ""
    apart = f", {len(outcome.of(INVALID))} invalid (the testbed did not come up)" if outcome.of(INVALID) else ""
    return (
        f"{outcome.files.scenario.name}: score {outcome.score:.0%}: {killed} of {killed + survived} mistakes noticed"
        f"{apart}{rate}"
    )


def junit(outcomes: list[Outcome], path: Path) -> None:
    """A test for each mutant: passed where it was noticed, failed where it survived."""
    root = ET.Element("testsuites")
    for outcome in outcomes:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"mutation.{outcome.files.scenario.name}",
            tests=str(len(outcome.verdicts)),
            failures=str(len(outcome.of(SURVIVED))),
            errors="0",
            skipped=str(len(outcome.of(EQUIVALENT))),
            time=f"{sum(verdict.seconds for verdict in outcome.verdicts):.1f}",
        )
        for mutant, verdict in zip(outcome.mutants, outcome.verdicts, strict=True):
            _case(suite, outcome, mutant, verdict)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="unicode", xml_declaration=True)


def _case(suite: ET.Element, outcome: Outcome, mutant: Mutant, verdict: Verdict) -> None:
    name = f"mutation.{outcome.files.scenario.name}.{mutant.operator}"
    case = ET.SubElement(suite, "testcase", classname=name, name=mutant.place, time=f"{verdict.seconds:.1f}")
    if verdict.outcome == SURVIVED:
        failure = ET.SubElement(case, "failure", message=f"nothing noticed: {mutant.sentence}")
        failure.text = outcome.files.diff(mutant)
    elif verdict.outcome == EQUIVALENT:
        ET.SubElement(case, "skipped", message=f"equivalent: {verdict.why}")
    else:
        noticed = f"{verdict.place}: {verdict.why}" if verdict.place else verdict.why
        ET.SubElement(case, "system-out").text = f"{noticed}\n{verdict.seen}".strip()
