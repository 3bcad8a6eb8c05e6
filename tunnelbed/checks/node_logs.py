"""Logs of nodes since a moment: what they logged after a change or an attack.

journal = Journal(bed)                     # the moment
...                                        # something happens
journal.count("gateway-s", "certificate was revoked")
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence

from tunnelbed.checks.unmet import unmet
from tunnelbed.errors import DeadlinePassed
from tunnelbed.host import waiting
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.topology.model import Node
from tunnelbed.vpn.api import Refusal, Since

# Seconds within which a daemon has written down what it just did.
WRITTEN = 2.0


class Journal:
    """The logs of all nodes since this was made, `at` a moment of `Testbed.time`."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self.at = bed.time.now()
        names = list(bed.scenario.nodes)
        marks = bed.pool.map(lambda name: bed.engine.mark(bed.project, name), names)
        self._begun = dict(zip(names, marks, strict=True))

    def since(self, node: str) -> Since:
        """The moment that it began, as a node's daemon is asked about it."""
        return Since(self._begun[node])

    def lines(self, node: str) -> Sequence[str]:
        """What a node has logged since then."""
        return self._bed.engine.log(self._bed.project, node, self._begun[node]).splitlines()

    def until(self, written: Callable[[], bool], seconds: float | waiting.Allowance = WRITTEN) -> bool:
        """Whether something is logged, waiting up to `seconds` for it."""
        with contextlib.suppress(DeadlinePassed):
            waiting.until(written, seconds, "a line", every=0.05)
            return True
        return False

    def matching(self, node: str, pattern: str) -> Sequence[str]:
        """Those lines in which a regular expression is found."""
        return [line for line in self.lines(node) if re.search(pattern, line)]

    def count(self, node: str, pattern: str, wanted: int = 1, seconds: float = WRITTEN) -> int:
        """How many lines match, waiting up to `seconds` until there are at least `wanted`."""
        with contextlib.suppress(DeadlinePassed):
            waiting.until(lambda: len(self.matching(node, pattern)) >= wanted, seconds, "a line", every=0.05)
        return len(self.matching(node, pattern))


def says(
    bed: Testbed,
    journal: Journal,
    node: Node,
    pattern: str,
    expected: str,
    within: waiting.Allowance | None = None,
) -> None:
    """A node has logged, since the journal began, a line that matches the pattern; else raises `Unmet`, `expected`.

    Raises `MachineBusy` if it may have done so `within` that time, and was only seen too late.
    """
    has(bed, journal, node, lambda: bool(journal.matching(node.name, pattern)), expected, within or WRITTEN)
    if within:
        within.judged(expected)


def has(
    bed: Testbed,
    journal: Journal,
    node: Node,
    written: Callable[[], bool],
    expected: str,
    seconds: float | waiting.Allowance = WRITTEN,
) -> None:
    """A node's log has a text, since the journal began; else raises `Unmet`, `expected`."""
    if not journal.until(written, seconds):
        said = journal.lines(node.name)
        seen = f"{len(said)} other lines" if said else "nothing"
        raise unmet(bed, expected, seen, nodes=[node.name])


def refuses_peer(bed: Testbed, journal: Journal, node: Node, why: str) -> None:
    """A gateway has refused its peer for that reason (a value of `Refusal`) since the journal began. Raises `Unmet`."""
    daemon, since = bed.node(node).daemon, journal.since(node.name)
    has(bed, journal, node, lambda: daemon.refused(Refusal(why), since), f"{node.name} refuses its peer: {why}")


def is_notified(bed: Testbed, journal: Journal, node: Node, notify: str) -> None:
    """A gateway has received that notify (RFC 7296, 3.10.1) since the journal began. Raises `Unmet`."""
    daemon, since = bed.node(node).daemon, journal.since(node.name)
    has(bed, journal, node, lambda: daemon.notified(notify, since), f"{node.name} receives the notify {notify}")
