"""The formats of a drawing: what `invoke draw --format` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tunnelbed import vpn
from tunnelbed.report.drawing import Tunnel, configured
from tunnelbed.report.drawing.dot import dot
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Scenario

FORMATS: Mapping[str, Callable[[Scenario, Sequence[Tunnel]], str]] = {"dot": dot}


def drawing(bed: Testbed, form: str) -> str:
    """A testbed's scenario in one of the formats, with its tunnels."""
    return FORMATS[form](bed.scenario, configured(bed.scenario, vpn.peers))
