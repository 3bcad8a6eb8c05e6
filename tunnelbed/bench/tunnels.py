"""When a testbed's tunnels were established, read afterwards from their daemons' logs: nothing is asked meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tunnelbed.errors import NodeFailed
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node


def established(bed: Testbed) -> float:
    """The moment, on this machine's clock (Unix time), when the last tunnel was established for the first time.

    Raises `NodeFailed` where a gateway has none.
    """
    return max(when for node in bed.gateways() for when in _of(bed, node))


def _of(bed: Testbed, node: Node) -> Iterator[float]:
    times = bed.node(node).daemon.established()
    if not times:
        raise NodeFailed(node.name, "its log has no tunnel", "see `invoke logs`")
    ahead = _ahead(bed, node.name)
    yield from (when - ahead for when in times)


def _ahead(bed: Testbed, node: str) -> float:
    """By how many seconds a node's clock is ahead of this machine's, as exactly as one request can measure."""
    asked = time.time()
    said = float(bed.engine.run(bed.project, node, ["date", "+%s.%N"]).stdout)
    return said - (asked + time.time()) / 2
