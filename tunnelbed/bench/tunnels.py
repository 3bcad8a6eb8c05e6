"""When a testbed's tunnels were established, read afterwards from what charon said: nothing is asked meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from tunnelbed.errors import NodeFailed
from tunnelbed.testbed.testbed import Testbed

# `2026-11-24T06:01:15.730 10[IKE] <site-b|1> CHILD_SA site-b{3} established with SPIs ...`
ESTABLISHED = re.compile(
    r"^(?P<when>\d{4}-\d\d-\d\dT[\d:.]+) .*<(?P<connection>[^|>]+)\|\d+> CHILD_SA (?P<child>\S+)\{\d+\} established",
    re.MULTILINE,
)


def established(bed: Testbed) -> float:
    """The moment, on this machine's clock (Unix time), when the last tunnel was established for the first time.

    Raises `NodeFailed` where a gateway has none.
    """
    return max(when for node in bed.gateways() for when in _of(bed, node.name))


def first_times(log: str) -> dict[tuple[str, str], float]:
    """When each child of each connection was first established, in Unix time of the node's own clock, which is UTC."""
    found: dict[tuple[str, str], float] = {}
    for line in ESTABLISHED.finditer(log):
        when = datetime.fromisoformat(line["when"]).replace(tzinfo=UTC).timestamp()
        found.setdefault((line["connection"], line["child"]), when)
    return found


def _of(bed: Testbed, node: str) -> Iterator[float]:
    times = first_times(bed.engine.log(bed.project, node))
    if not times:
        raise NodeFailed(node, "its log tells of no tunnel", "see it with `invoke logs`")
    ahead = _ahead(bed, node)
    yield from (when - ahead for when in times.values())


def _ahead(bed: Testbed, node: str) -> float:
    """By how many seconds a node's clock is ahead of this machine's, as exactly as one question can tell."""
    asked = time.time()
    said = float(bed.engine.run(bed.project, node, ["date", "+%s.%N"]).stdout)
    return said - (asked + time.time()) / 2
