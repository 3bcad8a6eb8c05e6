"""The status of testbeds, as a table for people and as JSON for scripts."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tunnelbed.testbed.status import NodeStatus
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.testbed.verification import Outcome, summary
from tunnelbed.vpn.api import Tunnel

# Characters in a line that is long enough for whatever there is.
PIPED = 1000
# Characters between two columns.
GAP = 2
HEADINGS = ("node", "role", "site", "addresses", "state", "tunnel")


def heading(bed: Testbed) -> str:
    """One line: the testbed, its engine, its network drivers and its images."""
    options = bed.options
    facts = {**bed.engine.describe(), **_networks(bed.engine.networks(bed.project))}
    if options and options.image:
        facts["images"] = options.image
    return f"{bed.name}: " + ", ".join(f"{key} {value}" for key, value in facts.items())


def _networks(drivers: Mapping[str, str]) -> Mapping[str, str]:
    """How the networks were made: one driver for all, or the networks of each."""
    by_driver: dict[str, list[str]] = {}
    for network, driver in drivers.items():
        by_driver.setdefault(driver, []).append(network)
    if len(by_driver) == 1:
        return {"network driver": next(iter(by_driver))}
    told = [f"{driver} ({', '.join(sorted(names))})" for driver, names in sorted(by_driver.items())]
    return {"network drivers": " and ".join(told)} if told else {}


def table(statuses: Sequence[NodeStatus], width: int | None = None) -> str:
    """The nodes as a table, a line each where there is room; `width` in characters, by default the terminal's.

    In a pipe (`grep`) each node is one line in any case. Nothing is cut short.
    """
    terminal = Console().is_terminal
    console = Console(
        file=io.StringIO(),
        width=width or (None if terminal else PIPED),
        force_terminal=terminal,
        # All is shown as it is: `:100:` in fd00:100::1 is no emoji.
        emoji=False,
        markup=False,
        highlight=False,
    )
    rows = [_cells(status) for status in statuses]
    words = [[word for cell in column for word in cell.split()] for column in zip(HEADINGS, *rows, strict=True)]
    # Every word keeps whole where there is room for that; elsewhere long ones go on in the next line.
    least = [max(map(len, column), default=0) for column in words]
    there_is_room = sum(least) + GAP * (len(HEADINGS) - 1) <= console.width
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for heading, longest in zip(HEADINGS, least, strict=True):
        made.add_column(heading, overflow="fold", min_width=longest if there_is_room else None)
    for row, status in zip(rows, statuses, strict=True):
        made.add_row(*row, style=None if status.state == "running" else "red")
    with console.capture() as said:
        console.print(made)
    return said.get().rstrip("\n")


def as_json(beds: Sequence[Testbed]) -> str:
    """The same for a script: a list of testbeds, each with its nodes."""
    return json.dumps(
        [
            {
                "testbed": bed.name,
                "scenario": bed.scenario.name,
                "instance": bed.instance,
                "project": bed.project,
                "up": bed.is_up(),
                "options": asdict(bed.options) if bed.options else None,
                **bed.engine.describe(),
                "networks": dict(bed.engine.networks(bed.project)),
                "nodes": [asdict(status) for status in bed.status()],
            }
            for bed in beds
        ],
        indent=2,
    )


def outcomes(found: Sequence[Outcome]) -> str:
    """The result of each scenario's features: one line each, then every sentence that does not hold."""
    lines = [f"{outcome.scenario}: {summary(outcome)}" for outcome in found]
    for outcome in found:
        lines += [f"  does not hold: {sentence}" for sentence in outcome.failed]
        lines += [f"  could not be judged: {sentence}" for sentence in outcome.errors]
    return "\n".join(lines)


def removed(counts: Mapping[str, int]) -> str:
    """What `down` removed: `removed 10 containers, 7 networks, 7 links, 5 keys`."""
    told = [f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in counts.items() if count]
    return f"removed {', '.join(told)}" if told else "nothing to remove"


def _cells(status: NodeStatus) -> tuple[str, ...]:
    """A node's row, in the order of the headings."""
    addresses = " ".join(status.addresses)
    return status.node, status.role, status.site, addresses, status.state, _tunnels(status)


def _tunnels(status: NodeStatus) -> str:
    if not status.data_plane:
        return ""
    told = ", ".join(_tunnel(tunnel) for tunnel in status.tunnels) or "none yet"
    return f"{told} ({status.data} in {'the kernel' if status.data_plane == 'kernel' else 'user space'})"


def _tunnel(tunnel: Tunnel) -> str:
    return f"{tunnel.name} {'up' if tunnel.carries else tunnel.state.lower()}"
