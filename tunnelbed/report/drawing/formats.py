"""The formats of a drawing: what `invoke draw --format` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from tunnelbed import vpn
from tunnelbed.report.drawing import Tunnel, configured, seen
from tunnelbed.report.drawing.dot import dot
from tunnelbed.report.drawing.mermaid import mermaid
from tunnelbed.report.drawing.svg import svg
from tunnelbed.testbed.options import Option
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Scenario

FORMATS: Mapping[str, Callable[[Scenario, Sequence[Tunnel]], str]] = {"svg": svg, "dot": dot, "mermaid": mermaid}


@dataclass(frozen=True)
class Drawing:
    """The options of `invoke draw`."""

    format: Annotated[
        str, Option("svg (the default), dot for Graphviz, or mermaid for a Markdown page", choices=FORMATS)
    ] = "svg"


def tunnels(bed: Testbed) -> Sequence[Tunnel]:
    """The tunnels of a testbed: up or down while it is up, else as the scenario's files have them."""
    wanted = configured(bed.scenario, vpn.peers)
    if bed.options is None:
        return wanted
    return seen(wanted, {status.node: status.tunnels for status in bed.status()})


def drawing(bed: Testbed, form: str) -> str:
    """A testbed's scenario in one of the formats, with its tunnels."""
    return FORMATS[form](bed.scenario, tunnels(bed))
