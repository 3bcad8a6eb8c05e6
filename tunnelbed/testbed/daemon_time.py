"""The time of gateways' daemons, which may pass faster than that of the machine while somebody waits for what they do.

A dead peer is given up after some ten seconds, most of which a daemon only waits. `within 20 s` means 20 s of its time,
so nobody else need wait as long: between two looks, more of its time passes than of ours. What the network takes, and
a look, count as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tunnelbed.errors import NodeFailed
from tunnelbed.host import waiting
from tunnelbed.testbed.node_handle import NodeHandle

# While a pause passes for the daemons: as fast as that is done with.
PACE = 1000.0
# Looks are so far apart for the daemons, at least: a look may take half a second, and is worth a step.
STEP = 1.0


@dataclass(frozen=True)
class DaemonTime:
    """Of these gateways, one at least; a pause is up to `speed` times as long for their daemons as for us."""

    gateways: Sequence[NodeHandle]
    speed: float

    def now(self) -> float:
        """The moment (`waiting.now`) by the clock that is furthest ahead."""
        return waiting.now() + max((_ahead(gateway) for gateway in self.gateways if self.speed > 1), default=0.0)

    def allowance(self, seconds: float, since: float | None = None) -> waiting.Allowance:
        """Seconds that a sentence gives, from now or from a moment of `now` on."""
        return (
            waiting.Allowance(seconds, since, self.now, self.rest)
            if self.speed > 1
            else waiting.Allowance(seconds, since)
        )

    def told(self, seconds: float) -> str:
        """Such seconds for a person: `20 s`, or `20 s of daemons' time (speed 10)`."""
        told = waiting.told(seconds)
        return f"{told} of daemons' time (speed {self.speed:g})" if self.speed > 1 else told

    def rest(self, seconds: float) -> None:
        """A pause of so many seconds for daemons that run, `STEP` at least; up to `speed` times shorter for us."""
        began, step = waiting.now(), max(seconds, STEP)
        # In threads of its own: those of the testbed may all be waiting here.
        with ThreadPoolExecutor(len(self.gateways)) as pool:
            list(pool.map(lambda gateway: _pass(gateway, step), self.gateways))
        waiting.rest(max(0.0, step / self.speed - (waiting.now() - began)))


def _pass(gateway: NodeHandle, seconds: float) -> None:
    # One that was killed, or whose node restarts, has no time of its own now.
    with contextlib.suppress(NodeFailed):
        gateway.daemon.pass_time(seconds, PACE)


def _ahead(gateway: NodeHandle) -> float:
    with contextlib.suppress(NodeFailed):
        return gateway.daemon.ahead()
    return 0.0
