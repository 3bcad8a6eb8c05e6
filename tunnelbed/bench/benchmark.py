"""`invoke bench`: which of four measurements, of what and how often; its results, a table and a plot in files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tunnelbed.bench import VMS
from tunnelbed.engines import Progress
from tunnelbed.testbed.options import DataPlane, Option, Scenario
from tunnelbed.topology.compose_file import names

if TYPE_CHECKING:
    from tunnelbed.bench.measured import Results


@dataclass(frozen=True)
class Benchmark:
    """What is to be measured: scenarios, unless one of `drivers`, `growth` and `together` is chosen."""

    scenario: Scenario = ""
    engine: Annotated[str, Option("on which engines, with commas: docker, qemu; by default both")] = ""
    vm: Annotated[
        str, Option(f"the VMs of engine qemu, each as MEGABYTESxPROCESSORS, with commas; by default {VMS}")
    ] = VMS
    runs: Annotated[int, Option("how many times everything is measured, by default 3", least=1)] = 3
    builds: Annotated[
        int, Option("how many of the runs make the engine's environment anew, from an empty cache, by default 1")
    ] = 1
    proofs: Annotated[int, Option("how many of the runs go on to prove every sentence, by default 1")] = 1
    prove: Annotated[
        str,
        Option("the engines on which they do, docker or qemu, by default both; emulated VMs take twenty minutes each"),
    ] = ""
    drivers: Annotated[
        bool,
        Option("measure the drivers of Docker's networks: throughput, latency, processor time, in clear and by tunnel"),
    ] = False
    data_plane: DataPlane = "auto"
    growth: Annotated[str, Option("measure generated scenarios with so many sites instead: `2,8,32`")] = ""
    together: Annotated[bool, Option("measure all scenarios in parallel, against one after another")] = False
    folder: Annotated[Path, Option("where to write, by default reports/bench")] = Path("reports/bench")
    again: Annotated[bool, Option("measure nothing: make table and plot anew from the JSON that `--folder` has")] = (
        False
    )

    @property
    def name(self) -> str:
        """Which of the four it is; its files are called so."""
        return "drivers" if self.drivers else "growth" if self.growth else "together" if self.together else "bench"

    def run(self, root: Path, invoke: Sequence[str], progress: Progress) -> str:
        """Measure scenarios of the folder `root` by the command `invoke`, write the files, and return the table."""
        from tunnelbed.bench import curves, plot, table  # noqa: PLC0415 # as in `_measured`
        from tunnelbed.bench.measured import Results  # noqa: PLC0415

        kept = self.folder / f"{self.name}.json"
        # Kept after each step, so that an hour's work does not depend on the next one.
        for results in self._measured(root, invoke, progress) if not self.again else ():
            results.save(kept)
        found = Results.load(kept)
        told = {"bench": table.markdown, "growth": curves.markdown}.get(self.name, table.compared)(found)
        kept.with_suffix(".md").write_text(told + "\n", encoding="utf-8")
        drawings = {"bench": plot.bench, "drivers": plot.drivers, "growth": curves.draw}
        if self.name in drawings:
            drawings[self.name](found, kept.with_suffix(".svg"))
        return told

    def _measured(self, root: Path, invoke: Sequence[str], progress: Progress) -> Iterable[Results]:
        # A task's options are known to every command; what measures is imported by this one alone.
        from tunnelbed.bench import drivers, growth, phases, subjects, together  # noqa: PLC0415

        match self.name:
            case "drivers":
                return drivers.measure(self.runs, self.data_plane, progress)
            case "growth":
                return growth.measure(growth.Asked(growth.sites(self.growth), invoke, self.runs, self.proofs), progress)
            case "together":
                return [together.measure(root, invoke, self.runs, progress)]
        chosen = [self.scenario] if self.scenario else names(root)
        measured = subjects.subjects(self.engine, self.vm)
        proving = subjects.engines("--prove", self.prove)
        wanted = phases.Asked(root, chosen, measured, invoke, self.runs, self.builds, self.proofs, proving)
        return phases.measure(wanted, progress)
