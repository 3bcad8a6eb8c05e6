"""What `invoke verify` leaves of a run: as JSON, as a page, and compared with an earlier run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from tunnelbed import vpn
from tunnelbed.errors import BadInput
from tunnelbed.report import against as comparing
from tunnelbed.report.drawing import configured
from tunnelbed.report.drawing.svg import svg
from tunnelbed.testbed import report_file
from tunnelbed.testbed.options import Option
from tunnelbed.testbed.verification import COULD_NOT_RUN, HOLDS, Asked, Outcome
from tunnelbed.topology.model import Scenario


@dataclass(frozen=True)
class Wanted:
    """Which reports of a run are asked for."""

    json: Annotated[
        str, Option("write each sentence, its evidence and the testbed's facts to this file (docs/json.md)")
    ] = ""
    report: Annotated[str, Option("write a page for people to this file: one HTML file (docs/report.md)")] = ""
    against: Annotated[
        str, Option("show what changed since the run that wrote this JSON; exit code 1 if a sentence got worse")
    ] = ""

    def __bool__(self) -> bool:
        return bool(self.json or self.report or self.against)

    def refuse_one_file_twice(self) -> None:
        """Raises `BadInput` where the page would be written over a JSON report."""
        for option, other in (("--json", self.json), ("--against", self.against)):
            if self.report and other and Path(self.report).resolve() == Path(other).resolve():
                raise BadInput("--report", "", self.report, f"another file than that of {option}", "name another")


@dataclass(frozen=True)
class Reports:
    """The reports of one run. Make it before anything is brought up: it raises `BadInput` for a file that will not do.

    Each file is written at once, empty of results: whoever reads it after an interruption finds no earlier run's.
    """

    wanted: Wanted
    root: Path
    scenes: Sequence[Scenario]
    # Whether the run is of chosen sentences only.
    narrowed: bool
    old: Mapping[str, Any] | None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def prepared(cls, wanted: Wanted, asked: Asked) -> Reports:
        """For this run."""
        wanted.refuse_one_file_twice()
        # First, since a file may be named both as the old report and as the new.
        names = [scene.name for scene in asked.scenarios]
        old = comparing.read(Path(wanted.against), names) if wanted.against else None
        made = cls(wanted, asked.root, asked.scenarios, bool(asked.chosen.tags), old)
        empty = report_file.whole(asked.root, made.began, [])
        if wanted.json:
            report_file.write(Path(wanted.json), report_file.text(empty), "--json")
        if wanted.report:
            report_file.write(Path(wanted.report), made._page(empty, None), "--report")
        return made

    def write(self, outcomes: Sequence[Outcome]) -> comparing.Comparison | None:
        """Write what came of the run; returns what changed, if there is something to compare with."""
        if not self.wanted:
            return None
        whole = report_file.whole(self.root, self.began, outcomes)
        changes = comparing.compare(self.old, whole, narrowed=self.narrowed) if self.old else None
        if self.wanted.json:
            Path(self.wanted.json).write_text(report_file.text(whole), encoding="utf-8")
        if self.wanted.report:
            Path(self.wanted.report).write_text(self._page(whole, changes), encoding="utf-8")
        return changes

    def _page(self, whole: Mapping[str, Any], changes: comparing.Comparison | None) -> str:
        # jinja2 takes a tenth of a second to import, which no other command should wait for.
        from tunnelbed.report.html import page  # noqa: PLC0415

        pictures = {scene.name: svg(scene, configured(scene, vpn.peers)) for scene in self.scenes}
        return page.render(whole, Path.cwd(), pictures, changes)


def code(outcomes: Sequence[Outcome], changes: comparing.Comparison | None) -> int:
    """The exit code of a run, the worst of its outcomes and of what changed."""
    return max(max((outcome.code for outcome in outcomes), default=COULD_NOT_RUN), changes.code if changes else HOLDS)
