"""When a testbed is ready: every node has logged it, and the health checks of the stack pass."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tunnelbed.engines import Engine, Progress
from tunnelbed.errors import DeadlinePassed, EngineUnavailable, NodeFailed, TunnelbedError
from tunnelbed.host import waiting
from tunnelbed.topology import yaml_sections
from tunnelbed.topology.model import Node, Scenario

READY = "tunnelbed: ready"
# A node names what its kernel or data plane lacks, and what has it: nothing of the node's own files can mend that.
LACKING = re.compile(r"^tunnelbed: lacking: (.*)", re.MULTILINE)
# A node configures itself within a second; a foreign processor under emulation takes much longer.
NODE_SECONDS = 20.0
# A node that runs containers starts an engine and unpacks images first.
CARRYING_SECONDS = 60.0
CHECK_SECONDS = 20.0
# Of many nodes, so many are named.
SHOWN = 8


@dataclass(frozen=True)
class Readiness:
    """Waits until a testbed is ready; checks run in `pool`, side by side."""

    scenario: Scenario
    engine: Engine
    project: str
    pool: ThreadPoolExecutor

    def wait(self, progress: Progress, *, own: bool) -> Mapping[str, str]:
        """Wait until every node is ready and, with `own`, every node's own check passes, or has had its time.

        What those printed last that do not pass, by node. Raises `NodeFailed` for a node that has stopped,
        `DeadlinePassed` with those not ready in time.
        """
        nodes = self.scenario.nodes.values()
        progress("waiting for the nodes")
        seconds = CARRYING_SECONDS if any(node.carried for node in nodes) else NODE_SECONDS
        waiting.until(self._unready(), seconds, "every node to be ready", good=lambda names: not names)
        checked = [node for node in nodes if node.check and own]
        if checked:
            names = [node.name for node in checked]
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            progress(f"checking from {', '.join(names[:SHOWN])}{more}")
        found = list(self.pool.map(self._complaint, checked))
        # A command of a node's own may end after the node was ready.
        for name, state in self.engine.states(self.project).items():
            if state == "exited":
                raise self._ended(name)
        return {node.name: said for node, said in zip(checked, found, strict=True) if said is not None}

    def _unready(self) -> Callable[[], Sequence[str]]:
        """A check that names the nodes that have not logged that they are ready, as far as is known.

        It asks one after another until one is not, which is then the last to be asked again: many nodes that are still
        busy are not kept from it by as many questions.
        """
        unready = deque(self.scenario.nodes)

        def check() -> Sequence[str]:
            states = self.engine.states(self.project)
            for name in unready:
                if states.get(name) == "dead":
                    raise NodeFailed(
                        name, "is dead: its container or VM has ended", "take the testbed down, then bring it up again"
                    )
                if states.get(name) == "exited":
                    raise self._ended(name)
            while unready and unready[0] in states and READY in self.engine.log(self.project, unready[0]):
                unready.popleft()
            unready.rotate(-1)
            return list(unready)

        return check

    def _ended(self, name: str) -> TunnelbedError:
        """Why a node that should run has ended, by its own log."""
        log = self.engine.log(self.project, name)
        if lacking := LACKING.findall(log):
            return EngineUnavailable(f"{name}: {lacking[-1]}")
        files = yaml_sections.shorten(self.scenario.configs / name)
        return NodeFailed(name, _last_lines(log), f"correct {files}, or its command in the stack")

    def _complaint(self, node: Node) -> str | None:
        """What a node's check printed last if it does not pass in time."""
        said = ""

        def attempt() -> bool:
            nonlocal said
            done = self.engine.run(self.project, node.name, node.check, check=False)
            said = _last_lines(done.output)
            return done.status == 0

        try:
            waiting.until(attempt, CHECK_SECONDS, "the check", every=0.1)
        except DeadlinePassed:
            return said
        return None


def _last_lines(text: str, count: int = 5) -> str:
    """The last lines of a node's log: errors, which have no date; a daemon's lines have one."""
    lines = text.strip().splitlines()
    undated = [line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    return "\n".join((undated or lines)[-count:])
