"""The options of `invoke mutate`: which mistakes are made, in how many testbeds, and what is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tunnelbed.testbed.options import DataPlane, Engine, Option, Options, Scenario
from tunnelbed.topology.compose_file import load, names

if TYPE_CHECKING:
    from tunnelbed.mutation.campaign import Campaign


@dataclass(frozen=True)
class Mutating:
    """What a person asks for; `campaign.Campaign` is one scenario's part of it."""

    scenario: Scenario = ""
    operator: Annotated[str, Option("make only this kind of mistake; `invoke mutate --list` names them")] = ""
    jobs: Annotated[int, Option("the number of testbeds used in parallel, by default 3 for each processor")] = 0
    sample: Annotated[int, Option("try this number of the mistakes, spread over all kinds; by default all")] = 0
    junit: Annotated[str, Option("write JUnit XML into this folder, for a CI system")] = ""
    list: Annotated[bool, Option("only list the mistakes")] = False
    equivalent: Annotated[bool, Option("try the mistakes that equivalent.yaml lists as impossible to notice")] = False
    fresh: Annotated[bool, Option("start again; by default an interrupted run is continued")] = False
    note: Annotated[
        bool,
        Option("write what noticed each mistake to features/NAME/noticed.json; later runs try that first"),
    ] = False
    engine: Engine = "docker"
    data_plane: DataPlane = "auto"

    def campaigns(self, root: Path) -> Iterator[Campaign]:
        """One for the scenario that is named, or for each of a folder."""
        # A task's options are known to every command; what tries mistakes is imported by this one alone.
        from tunnelbed.mutation.campaign import Campaign  # noqa: PLC0415

        options = Options(engine=self.engine, data_plane=self.data_plane)
        chosen = (self.operator, self.sample, self.jobs, self.equivalent, self.fresh, self.note)
        for name in [self.scenario] if self.scenario else names(root):
            yield Campaign(load(name, root), root, options, *chosen)
