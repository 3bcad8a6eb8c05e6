"""What was measured as Markdown: the paper's Table 1 with its figures beside ours, then every phase."""

from __future__ import annotations

from collections.abc import Iterator

from tunnelbed.bench import phases
from tunnelbed.bench.measured import Measured, Results, Series, average, short
from tunnelbed.bench.subjects import DOCKER, PLAIN

# The paper's Table 1: fresh boot, and the peak of memory, averaged over its three testbeds.
PAPER_CONTAINERS, PAPER_VMS = (75.0, 278.0), (689.0, 4500.0)
EMULATED = "**software emulation**"


def markdown(results: Results) -> str:
    """All of it: Table 1, then what `compared` says."""
    return "\n".join(_table_1(results)) + "\n\n" + compared(results)


def compared(results: Results) -> str:
    """A table for each scenario, and the conditions."""
    scenarios = dict.fromkeys(one.scenario for one in results.series)
    parts = [*(_quantities(results, name) for name in scenarios), conditions(results)]
    return "\n\n".join("\n".join(part) for part in parts)


def name(series: Series) -> str:
    """A subject as every table and plot calls it: emulation is never left out."""
    return f"{series.subject}, {EMULATED}" if series.emulated else series.subject


def averaged(results: Results, subject: str, quantity: str) -> Measured | None:
    """A quantity of a subject, averaged over the scenarios; None unless it was measured in each of them."""
    found = [one.get(quantity) for one in results.series if one.subject == subject]
    known = [one for one in found if one]
    return average(known) if found and len(known) == len(found) else None


def figure(one: Measured | None) -> str:
    """The median, and from least to most: `3.21 s (2.95 to 4.01)`."""
    if one is None:
        return ""
    spread = f" ({one.spread})" if len(one.runs) > 1 else ""
    return f"{short(one.median)} {one.unit}{spread}"


def _table_1(results: Results) -> Iterator[str]:
    """Shaped like the paper's Table 1."""
    scenarios = dict.fromkeys(one.scenario for one in results.series)
    first = {one.subject: one for one in results.series if one.subject != PLAIN.name}
    yield f"Averaged over {', '.join(scenarios)}; medians of the runs, and from least to most."
    yield ""
    yield "| solution | environment build | boot | boot time, both | peak memory |"
    yield "|---|---|---|---|---|"
    yield f"| Docker Compose, the paper | | | {PAPER_CONTAINERS[0]:g} s | {PAPER_CONTAINERS[1]:g} MB |"
    vagrant = "Vagrant and VirtualBox, 512 MB and 2 CPUs a VM"
    yield f"| {vagrant}, the paper | | | {PAPER_VMS[0]:g} s | {PAPER_VMS[1]:g} MB |"
    for subject, series in first.items():
        both, boot, memory = _boot(results, subject)
        build = averaged(results, subject, phases.BUILD)
        yield f"| {name(series)} | {figure(build)} | {figure(boot)} | {figure(both)} | {figure(memory)} |"
    told = [f"{ours / theirs:.2f}" for ours, theirs in zip(PAPER_CONTAINERS, PAPER_VMS, strict=True)]
    yield f"| containers against VMs, the paper | | | {told[0]} | {told[1]} |"
    ours = _boot(results, DOCKER.name)
    for subject, series in first.items():
        if subject != DOCKER.name and DOCKER.name in first:
            ratios = [ratio(one, of) for one, of in zip(ours, _boot(results, subject), strict=True)]
            yield f"| docker against {name(series)} | | {ratios[1]} | {ratios[0]} | {ratios[2]} |"


def _boot(results: Results, subject: str) -> tuple[Measured | None, Measured | None, Measured | None]:
    """Of a subject: boot with the environment's build, boot without, and the peak of memory."""
    boot, build = averaged(results, subject, phases.UP), averaged(results, subject, phases.BUILD)
    both = None
    if boot and build:
        # Each boot after the median build: it is not built as often as it is brought up.
        both = Measured("boot", "s", tuple(build.median + run for run in boot.runs))
    return both, boot, averaged(results, subject, phases.NODES_MEMORY)


def ratio(one: Measured | None, of: Measured | None) -> str:
    """How many times as much one is as another, where both were measured."""
    return f"{one.against(of):.2f}" if one and of else ""


def _quantities(results: Results, scenario: str) -> Iterator[str]:
    """Every quantity of a scenario, a column a subject, each with its ratio to the first column's."""
    series = [one for one in results.series if one.scenario == scenario]
    yield f"{scenario}: medians, from least to most, and how many times as much as {series[0].subject} in the same run."
    yield ""
    yield f"| | {' | '.join(name(one) for one in series)} |"
    yield "|---" * (len(series) + 1) + "|"
    for quantity in dict.fromkeys(measured.name for one in reversed(series) for measured in one.measured):
        first = series[0].get(quantity)
        cells = [figure(first)]
        for found in (one.get(quantity) for one in series[1:]):
            against = f", x {found.against(first):.2f}" if found and first and min(first.runs) > 0 else ""
            cells.append(f"{figure(found)}{against}")
        yield f"| {quantity} | {' | '.join(cells)} |"


def conditions(results: Results) -> Iterator[str]:
    """What a reader must know of the machine."""
    yield "Conditions:"
    yield ""
    for key, value in results.conditions.items():
        yield f"- {key}: {value}"
