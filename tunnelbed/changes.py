"""Changes to a testbed that a test makes, each undone at its end, and the proof that nothing is left of them.

changes = Changes(bed)
changes.make(trust.revoked(bed, gateway))  # any context manager: entered now, left by `undo`
changes.undo()                             # raises if the testbed is not as it was found
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TypeVar

from tunnelbed import daemon, waiting
from tunnelbed.errors import DeadlinePassed, NodeFailed, TunnelbedError
from tunnelbed.model import Node
from tunnelbed.testbed import Testbed

T = TypeVar("T")
# With its tunnels up, a testbed answers at once.
WELL_SECONDS = 15.0

# What of a node outlives a test, a line each: addresses, routes, firewall, connections, credentials, settings. Numbers
# that the kernel counts up (indexes of interfaces, lifetimes, packets) are left out, and the table in which ESP in user
# space keeps the routes of tunnels that are up (charon.routing_table, 220).
STATE = r"""
ip -o address show scope global | sed 's/^[0-9]*: /address /; s/\\.*//'
{ ip -o -4 route show; ip -o -6 route show; } | sed 's/^/route /; s/ pref medium//; s/ expires [0-9]*sec//'
nft -s list ruleset 2>/dev/null | sed 's/^/firewall /'
[ ! -S /run/charon.vici ] || swanctl --list-conns --raw | sed 's/^/connection /'
sha256sum /etc/tunnelbed/keys/*/* 2>/dev/null | sed 's/^/credential /'
echo "settings $(readlink /etc/strongswan.conf)"
ls /etc/swanctl/overlay.conf 2>/dev/null
"""


class Changes:
    """The changes to one testbed, made and undone test by test."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._made = contextlib.ExitStack()
        self._found: Mapping[str, frozenset[str]] = {}
        self._changed = False

    def make(self, change: contextlib.AbstractContextManager[T]) -> T:
        """Make a change, to be undone by `undo`; before the first one, the testbed's state is written down."""
        self._found = self._found or state(self._bed)
        self._changed = True
        return self._made.enter_context(change)

    def undo(self) -> None:
        """Undo all changes, the last one first; then every node's check passes and its state is as it was found.

        Raises `TunnelbedError` if it is not.
        """
        if not self._changed:
            return
        self._changed = False
        self._made.close()
        daemon.start_tunnels(self._bed)
        well(self._bed, self._bed.patience if self._bed.hasty else WELL_SECONDS)
        if left := difference(self._found, state(self._bed)):
            told = "; ".join(left[:5])
            raise TunnelbedError(f"{self._bed.name} is not as it was found: {told}; take it down and up again")

    def abandon(self) -> None:
        """Undo all changes and look no further: for a testbed that is not proven again before it begins anew."""
        self._changed = False
        self._made.close()


def well(bed: Testbed, seconds: float = WELL_SECONDS) -> None:
    """Every node's own check passes, or will within `seconds`. Raises `NodeFailed`."""

    def is_well(node: Node) -> None:
        def attempt() -> str:
            done = bed.agents.on(node.name).run(node.check)
            return done.output if done.status else ""

        try:
            waiting.until(attempt, seconds, "the check", good=lambda complaint: not complaint)
        except DeadlinePassed as late:
            raise NodeFailed(node.name, f"its check does not pass: {late.last}", "see `invoke logs`") from late

    list(bed.pool.map(is_well, [node for node in bed.scenario.nodes.values() if node.check]))


def state(bed: Testbed) -> Mapping[str, frozenset[str]]:
    """What of each node outlives a test, as lines."""
    names = list(bed.scenario.nodes)
    said = bed.pool.map(lambda name: bed.agents.on(name).run(["sh", "-c", STATE]).stdout, names)
    return {name: frozenset(text.splitlines()) for name, text in zip(names, said, strict=True)}


def difference(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> list[str]:
    """What was lost and what was added, a line each.

    Rules that a tunnel adds to a firewall while it is up are no difference: it may have been down before.
    """
    found = []
    for node, lines in before.items():
        found += [f"{node} lost {line}" for line in sorted(lines - after[node])]
        added = sorted(after[node] - lines)
        found += [f"{node} has more: {line}" for line in added if not line.startswith("firewall ")]
    return found
