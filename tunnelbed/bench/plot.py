"""What was measured, drawn: the phases of each subject beside each other, and what its nodes took of memory.

The same figures give the same bytes: an SVG without its date, and with marks that are no random ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunnelbed.bench import drivers as compared
from tunnelbed.bench import phases
from tunnelbed.bench.measured import Measured, Results, short
from tunnelbed.bench.table import averaged
from tunnelbed.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SECONDS = (phases.BUILD, phases.UP, phases.TUNNELS, phases.FIRST, phases.VERIFICATION, phases.DOWN)
# Told apart by eyes that see no colours, too (P. Tol, "Colour schemes", 2021: bright).
COLOURS = ("#bbbbbb", "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee")
WARNING = "Hatched: processors emulated by software, which says nothing of VMs on a machine that accelerates them"
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "tunnelbed",
    # Text stays text: small, and to be searched.
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True)
class Bars:
    """One subject's bars: what the legend calls it, what was measured, how it looks."""

    label: str
    measured: Sequence[Measured]
    look: Mapping[str, Any]


def bench(results: Results, file: Path) -> None:
    """Draw phases and memory of each subject, averaged over the scenarios."""
    names = ", ".join(dict.fromkeys(one.scenario for one in results.series))
    bars = list(_all_bars(results))
    shown = [name for name in SECONDS if any(found.name == name for one in bars for found in one.measured)]
    with figure(file, (len(shown), 1), (9, 2 + 0.25 * (len(shown) + 1) * len(bars))) as (drawn, (above, below)):
        _bars(above, "seconds", shown, bars)
        _bars(below, "MB", [phases.NODES_MEMORY], bars)
        above.set_title(f"Medians, from least to most; {names}", loc="left")
        drawn.legend(*above.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False)
        if any(one.emulated for one in results.series):
            drawn.supxlabel(WARNING, x=0.01, ha="left", color="#aa3377", weight="bold", size=9)


def _all_bars(results: Results) -> Iterator[Bars]:
    for place, one in enumerate({one.subject: one for one in results.series}.values()):
        found = (averaged(results, one.subject, name) for name in (*SECONDS, phases.NODES_MEMORY))
        look = {"color": COLOURS[place % len(COLOURS)], "edgecolor": "white", "hatch": "//" if one.emulated else ""}
        label = f"{one.subject}, by SOFTWARE EMULATION" if one.emulated else one.subject
        yield Bars(label, [one for one in found if one], {**look, "ecolor": "#333333"})


def drivers(results: Results, file: Path) -> None:
    """Draw what each driver carries on each network, the least delay it adds, and what that costs."""
    forms = list(dict.fromkeys(one.scenario for one in results.series))
    names = list(dict.fromkeys(one.subject for one in results.series))
    panels = {compared.THROUGHPUT: "Mbit/s", compared.RTT[50]: "ms, round trip", compared.CPU_NODES: "CPU s per GB"}
    with figure(file, (1,) * len(panels), (9, 7)) as (drawn, axes):
        for at, (quantity, unit) in zip(axes, panels.items(), strict=True):
            bars = []
            for place, name in enumerate(names):
                found = {one.scenario: one.get(quantity) for one in results.series if one.subject == name}
                kept = [replace(measured, name=form) for form, measured in found.items() if measured]
                look = {"color": COLOURS[place + 1], "edgecolor": "white", "ecolor": "#333333"}
                bars.append(Bars(name, kept, look))
            _bars(at, unit, forms, bars)
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, frameon=False)


@contextmanager
def figure(file: Path, rows: Sequence[float], size: tuple[float, float]) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A drawing of `size` in inches, axes one above another with these shares of its height; at the end an SVG file."""
    try:
        # It takes a second to import, and who wants no plots need not have it.
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as missing:
        advice = "run `scripts/setup --plots`, then `invoke bench --again` to draw what was measured"
        raise BadInput("plots", "", missing, "matplotlib, which draws them", advice) from missing
    with mpl.rc_context(SETTINGS):
        drawn = Figure(size, layout="constrained")
        yield drawn, list(drawn.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0])
        file.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def _bars(axes: Axes, unit: str, rows: Sequence[str], bars: Sequence[Bars]) -> None:
    """A row for each quantity, in it a bar for each subject with a whisker from its least run to its most."""
    height = 0.8 / len(bars)
    for place, one in enumerate(bars):
        for row, found in ((rows.index(found.name), found) for found in one.measured if found.name in rows):
            at = row + (place - (len(bars) - 1) / 2) * height
            whisker = [[found.median - min(found.runs)], [max(found.runs) - found.median]]
            label = one.label if row == rows.index(next(m.name for m in one.measured if m.name in rows)) else None
            axes.barh(at, found.median, height * 0.9, xerr=whisker, label=label, capsize=2, **one.look)
            axes.annotate(short(found.median), (max(found.runs), at), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(unit)
    axes.margins(x=0.12)
