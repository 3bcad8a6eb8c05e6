"""One order for what nodes with clocks of their own have seen.

No frame is received before it was sent. Each frame that crossed a network once, and has no equal, bounds the difference
of two clocks: the receiver's is behind by at least the time by which the frame seems to have come too early. The least
shifts within all of these bounds are found as shortest paths are (Bellman and Ford: a system of difference
constraints). No clock need be synchronised, and within one node the order stays as it was.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tunnelbed.observe.recording import Sighting


def in_order(sightings: Sequence[Sighting]) -> Sequence[Sighting]:
    """The same in the order in which it happened, each at a time by one clock."""
    late = shifts(sightings)
    moved = [seen.moved(seen.frame.at + late[seen.node]) if late.get(seen.node) else seen for seen in sightings]
    left: dict[tuple[str, bytes], float] = {}
    for seen in moved:
        if seen.outgoing:
            left.setdefault((seen.network, seen.frame.data), seen.frame.at)
    # Frames that are like others say nothing of clocks; each of them comes in no sooner than the first went out.
    moved = [
        seen if (at := left.get((seen.network, seen.frame.data), 0.0)) <= seen.frame.at else seen.moved(at)
        for seen in moved
    ]
    return sorted(moved, key=lambda seen: (seen.frame.at, not seen.outgoing))


def shifts(sightings: Sequence[Sighting]) -> Mapping[str, float]:
    """Seconds by which clocks of nodes are behind, where they are: the least that let no frame come before it went."""
    crossed: defaultdict[tuple[str, bytes], list[Sighting]] = defaultdict(list)
    for seen in sightings:
        crossed[seen.network, seen.frame.data].append(seen)
    early: dict[tuple[str, str], float] = {}
    for those in crossed.values():
        senders = [seen for seen in those if seen.outgoing]
        receivers = [seen for seen in those if not seen.outgoing]
        if len(senders) != 1 or len({seen.node for seen in receivers}) != len(receivers):
            continue
        for seen in receivers:
            pair = (senders[0].node, seen.node)
            early[pair] = max(early.get(pair, -math.inf), senders[0].frame.at - seen.frame.at)
    found: defaultdict[str, float] = defaultdict(float)
    for _ in {node for pair in early for node in pair}:
        changed = False
        for (sender, receiver), seconds in early.items():
            if found[sender] + seconds > found[receiver]:
                found[receiver] = found[sender] + seconds
                changed = True
        if not changed:
            break
    return {node: seconds for node, seconds in found.items() if seconds}
