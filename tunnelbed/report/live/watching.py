"""The nodes whose packets a page watches, and how many packets of each were lost before they could be counted."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from tunnelbed.engines.agents import Agent, Frame
from tunnelbed.errors import TunnelbedError
from tunnelbed.testbed.testbed import Testbed


class Watching:
    """The watched nodes of a testbed; `hear` takes each frame, in a thread of its node."""

    def __init__(self, bed: Testbed, hear: Callable[[Frame], None]) -> None:
        self._bed, self._hear = bed, hear
        self._agents: dict[str, Agent] = {}
        self._lost: Counter[str] = Counter()
        # Two threads that catch up at the same time do so in turn: a node reports its losses once.
        self._lock, self._catching = threading.Lock(), threading.Lock()

    def live(self) -> Mapping[str, Agent]:
        """The nodes that are watched now; the connection to one that was stopped has ended."""
        return {name: agent for name, agent in list(self._agents.items()) if not agent.ended}

    def begin(self, names: Iterable[str]) -> None:
        """Watch those of these nodes that are not watched; one that cannot be asked is tried again next time."""

        def watch(name: str) -> None:
            with contextlib.suppress(TunnelbedError):
                agent = self._bed.agents.on(name)
                agent.watch(self._hear)
                self._agents[name] = agent

        live = self.live()
        list(self._bed.pool.map(watch, [name for name in names if name not in live]))

    def catch_up(self) -> Sequence[str]:
        """Wait until every packet seen by now has been taken, and count the lost; a line for each node that failed."""

        def catch_up(name: str, agent: Agent) -> str:
            try:
                lost = agent.delivered()
            except TunnelbedError as failed:
                return f"{name}: {failed}"
            with self._lock:
                self._lost[name] += lost
            return ""

        with self._catching:
            live = self.live()
            return [line for line in self._bed.pool.map(catch_up, live, live.values()) if line]

    def lost(self) -> Mapping[str, int]:
        """How many packets each node has lost since it was watched: its kernel's buffer was full."""
        with self._lock:
            return dict(+self._lost)

    def end(self) -> None:
        """Watch no node."""
        for agent in self.live().values():
            with contextlib.suppress(TunnelbedError):  # the testbed may be going down
                agent.unwatch()
