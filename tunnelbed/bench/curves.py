"""Growth as a reader sees it: a line for each number of sites, and curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunnelbed.bench import plot, table
from tunnelbed.bench.growth import BY_HAND
from tunnelbed.bench.measured import Measured, Results, Series, short
from tunnelbed.bench.phases import DOWN, NODES_MEMORY, UP, VERIFICATION
from tunnelbed.bench.subjects import DOCKER, PLAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What is drawn in seconds: of whom, what, how.
DRAWN = (
    (PLAIN.name, UP, "plain `docker compose up`, nodes asleep", {"color": "#bbbbbb", "marker": "o"}),
    (BY_HAND.name, UP, "the same, nodes awake, until the checks pass", {"color": "#ccbb44", "marker": "s"}),
    (DOCKER.name, UP, "`invoke up`", {"color": "#4477aa", "marker": "D"}),
    (DOCKER.name, VERIFICATION, "`invoke verify`, already up", {"color": "#228833", "marker": "^"}),
    (DOCKER.name, DOWN, "`invoke down`", {"color": "#ee6677", "marker": "v"}),
    (PLAIN.name, DOWN, "plain `docker compose down`", {"color": "#bbbbbb", "marker": "v", "linestyle": ":"}),
)


def markdown(results: Results) -> str:
    """Time and memory against the number of sites, then the conditions."""
    return "\n\n".join("\n".join(part) for part in (_times(results), _memory(results), table.conditions(results)))


def draw(results: Results, file: Path) -> None:
    """Draw both, on axes where what grows evenly with the number of sites is a straight line."""
    with plot.figure(file, (2, 1), (9, 7)) as (drawn, (above, below)):
        for subject, quantity, label, look in DRAWN:
            points = [(int(one.scenario), found) for one in _of(results, subject) if (found := one.get(quantity))]
            _curve(above, points, label, look)
        memory = [(int(one.scenario), found) for one in _of(results, DOCKER.name) if (found := one.get(NODES_MEMORY))]
        _curve(below, memory, "peak memory of all nodes, up", {"color": "#4477aa", "marker": "D"})
        for axes, unit in ((above, "seconds"), (below, "MB")):
            axes.set_xlabel("sites")
            axes.set_ylabel(unit)
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
        above.set_title("Medians, from least to most", loc="left")
        drawn.legend(*above.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False)


def _curve(axes: Axes, points: Sequence[tuple[int, Measured]], label: str, look: Mapping[str, Any]) -> None:
    found = [one for _, one in points]
    whiskers = [[one.median - min(one.runs) for one in found], [max(one.runs) - one.median for one in found]]
    axes.errorbar(
        [sites for sites, _ in points], [one.median for one in found], whiskers, label=label, capsize=2, **look
    )


def _times(results: Results) -> Iterator[str]:
    yield "Seconds, medians, from least to most; ratios within each run."
    yield ""
    yield (
        "| sites | nodes | plain `up`, asleep | plain `up` until the checks pass | `invoke up` | against asleep "
        "| against the same checks | `invoke verify` | plain `down` | `invoke down` |"
    )
    yield "|---" * 10 + "|"
    for plain, by_hand, ours in _sizes(results):
        up, down = ours.get(UP), ours.get(DOWN)
        cells = [
            plain.scenario,
            str(_nodes(plain)),
            *(table.figure(one) for one in (plain.get(UP), by_hand.get(UP), up)),
            table.ratio(up, plain.get(UP)),
            table.ratio(up, by_hand.get(UP)),
            *(table.figure(one) for one in (ours.get(VERIFICATION), plain.get(DOWN), down)),
        ]
        yield f"| {' | '.join(cells)} |"


def _memory(results: Results) -> Iterator[str]:
    """The peak of all nodes, and what each further site adds to it."""
    sizes = [(int(ours.scenario), peak.median) for _, _, ours in _sizes(results) if (peak := ours.get(NODES_MEMORY))]
    yield "Peak memory of all nodes, up."
    yield ""
    yield "| sites | MB | MB for each further site |"
    yield "|---|---|---|"
    further = [(more - less) / (many - few) for (few, less), (many, more) in pairwise(sizes)]
    for (count, most), each in zip(sizes, ["", *map(short, further)], strict=True):
        yield f"| {count} | {short(most)} | {each} |"


def _sizes(results: Results) -> Iterator[tuple[Series, Series, Series]]:
    """Both baselines and ours for each number of sites that all three were measured with, least first."""
    kept = {(one.scenario, one.subject): one for one in results.series}
    for sites in sorted({one.scenario for one in results.series}, key=int):
        found = [kept.get((sites, subject.name)) for subject in (PLAIN, BY_HAND, DOCKER)]
        if found[0] and found[1] and found[2]:
            yield found[0], found[1], found[2]


def _of(results: Results, subject: str) -> Sequence[Series]:
    return sorted((one for one in results.series if one.subject == subject), key=lambda one: int(one.scenario))


def _nodes(series: Series) -> int:
    """A gateway and a client a site; a router, the cloud's gateway and its server."""
    return 2 * int(series.scenario) + 3
