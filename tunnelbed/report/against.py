"""What changed between two runs: the sentences that got worse or better, that are new, and that are gone.

A sentence is the same in both if its testbed's scenario, its feature file below `features/`, its scenario's name and
its text are, and where a scenario has it several times, its number among them. So lines in a file may move, and the
folder, the machine and the instance may differ.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tunnelbed.errors import BadInput
from tunnelbed.testbed.report_file import JUDGED, NOT_RUN, VERSION
from tunnelbed.testbed.verification import COULD_NOT_RUN, FAILED, HOLDS

# From the best to the worst. What could not be judged may hold or not; it is worse than both.
WORSE = [JUDGED[HOLDS], JUDGED[FAILED], JUDGED[COULD_NOT_RUN]]
NEWER = "a report that `invoke verify --json` wrote"


class Sentence(NamedTuple):
    """Where a sentence stands, and which of equal ones of its scenario it is."""

    testbed: str
    file: str
    scenario: str
    text: str
    number: int


@dataclass(frozen=True)
class Change:
    """How a sentence ended in the old run and in the new; empty where that run has no such sentence."""

    sentence: Sentence
    old: str
    new: str

    @property
    def kind(self) -> str:
        """`worse`, `better`, `new`, `gone`, or `not comparable`: in one of both runs it was not run."""
        if not self.old or not self.new:
            return "gone" if self.old else "new"
        if NOT_RUN in (self.old, self.new):
            # What held, and now waits for an earlier sentence that does not hold: that sentence got worse.
            return "not comparable"
        return "worse" if WORSE.index(self.new) > WORSE.index(self.old) else "better"


class Row(NamedTuple):
    """A change as a person reads it: one sentence, or how many of a scenario changed alike."""

    kind: str
    old: str
    new: str
    text: str
    where: str


@dataclass(frozen=True)
class Comparison:
    """All changes between two runs, the worst first, and what the old run was."""

    changes: Sequence[Change]
    # How many sentences both runs have.
    common: int
    began: str
    commit: str

    def of(self, kind: str) -> Sequence[Change]:
        """The changes of a kind."""
        return [change for change in self.changes if change.kind == kind]

    def rows(self) -> Sequence[Row]:
        """All of it; what is new, gone or not comparable as one row for each scenario of a feature."""
        found: list[Row] = []
        for key, group in groupby(self.changes, _row):
            alike = list(group)
            if key[0] in ("worse", "better") or len(alike) == 1:
                found += [Row(*key[:3], change.sentence.text, key[3]) for change in alike]
            else:
                found.append(Row(*key[:3], f"{len(alike)} sentences", key[3]))
        return found

    @property
    def code(self) -> int:
        """The exit code that it asks for: 1 if a sentence got worse, 2 if there was none to compare, else 0."""
        if not self.common:
            return COULD_NOT_RUN
        return FAILED if self.of("worse") else HOLDS


KINDS = ("worse", "better", "new", "gone", "not comparable")


def read(path: Path, scenarios: Sequence[str]) -> Mapping[str, Any]:
    """The report of an earlier run of these scenarios; raises `BadInput` for what is none, or is of others."""
    advice = "name another"
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise BadInput("--against", "", path, f"a file that can be read ({wrong.strerror})", advice) from wrong
    except ValueError as wrong:
        raise BadInput(str(path), "", "no JSON", NEWER, advice) from wrong
    version = found.get("version") if isinstance(found, dict) else None
    if isinstance(version, bool) or not isinstance(version, int):
        raise BadInput(str(path), "version", "no such number", NEWER, advice)
    if version > VERSION:
        raise BadInput(
            str(path), "version", version, f"{VERSION} or less", "compare with the version of Tunnelbed that wrote it"
        )
    try:
        there = {testbed["scenario"] for testbed in found["testbeds"]}
        ended = dict(_ended(found))
    except (KeyError, TypeError, AttributeError) as wrong:
        raise BadInput(str(path), "testbeds", f"a part without {wrong}", NEWER, advice) from wrong
    if missing := [name for name in scenarios if name not in there]:
        has = ", ".join(sorted(map(str, there))) or "no scenario"
        raise BadInput(str(path), "testbeds", has, f"a run of {', '.join(missing)}", "name a report of it")
    if not ended:
        raise BadInput(str(path), "testbeds", "no sentence", "a run that came to an end", advice)
    if strange := next((status for status in ended.values() if status not in (*WORSE, NOT_RUN)), None):
        raise BadInput(str(path), "status", repr(strange), f"one of: {', '.join((*WORSE, NOT_RUN))}", advice)
    return dict(found)


def compare(old: Mapping[str, Any], new: Mapping[str, Any], *, narrowed: bool = False) -> Comparison:
    """Every sentence that ended otherwise, of the testbeds that the new run has.

    `narrowed`: the new run was of chosen sentences only (`--tags`), so that one it does not have is not gone.
    """
    beds = {_name(testbed) for testbed in new["testbeds"]}
    before = {sentence: status for sentence, status in _ended(old) if sentence.testbed in beds}
    after = dict(_ended(new))
    found = [
        Change(sentence, before.get(sentence, ""), after.get(sentence, ""))
        for sentence in dict.fromkeys([*after, *before])
        if before.get(sentence) != after.get(sentence) and not (narrowed and sentence not in after)
    ]
    found.sort(key=lambda change: KINDS.index(change.kind))
    return Comparison(found, len(before.keys() & after.keys()), str(old.get("began", "")), str(old.get("commit", "")))


def _ended(report: Mapping[str, Any]) -> Iterator[tuple[Sentence, str]]:
    for testbed in report["testbeds"]:
        for feature in testbed["features"]:
            seen: Counter[tuple[str, str]] = Counter()
            for scenario in feature["scenarios"]:
                for sentence in scenario["sentences"]:
                    key = scenario["scenario"], sentence["text"]
                    yield (
                        Sentence(_name(testbed), _below_features(feature["file"]), *key, seen[key]),
                        sentence["status"],
                    )
                    seen[key] += 1


def _name(testbed: Mapping[str, Any]) -> str:
    """The scenario, whatever its instance: a copy of a testbed is compared with another."""
    return str(testbed["scenario"])


def _below_features(file: str) -> str:
    """`tiny/reach.feature` of `../mine/features/tiny/reach.feature`: `--path` and the current folder aside."""
    return file.rpartition("features/")[2]


def table(found: Comparison) -> str:
    """A line that counts the changes, then one for each."""
    since = f" of {found.began}" if found.began else ""
    if not found.common:
        return f"against the run{since}: no sentence is in both, so nothing was compared"
    counts = ", ".join(f"{len(found.of(kind))} {kind}" for kind in KINDS)
    lines = [
        f"  {kind:14}  {old or '-'} -> {new or '-'}: {where}: {text}" for kind, old, new, text, where in found.rows()
    ]
    return "\n".join([f"against the run{since}: {counts}", *lines])


def _row(change: Change) -> tuple[str, str, str, str]:
    sentence = change.sentence
    return change.kind, change.old, change.new, f"{sentence.file}: {sentence.scenario}"
