"""A run of behave that writes its report, without behave: its feature, its testbeds, and the report's formatter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

from behave.model import Feature
from behave.runner import Context

from scripts import run_report
from tunnelbed.testbed.testbed import Testbed as Bed


class Runner:
    """As much of behave's own as a report looks at."""

    def __init__(self, feature: Feature) -> None:
        self.formatters: list[run_report.RunReport] = []
        self.config, self.features = None, [feature]
        self.context = SimpleNamespace(beds={})


class Reported:
    """A run with one feature, on these testbeds; `report` is what writes the file at `path`."""

    def __init__(self, feature: Feature, beds: Mapping[str, Bed], path: Path) -> None:
        self.path = path
        # A context has no more than a weak reference to it.
        self.runner = Runner(feature)
        self.runner.context = self.context = Context(self.runner)
        self.context.config = SimpleNamespace(userdata={"report": str(path)})
        self.context.beds = beds
        run_report.add(self.context)
        (self.report,) = self.runner.formatters
