"""What a page shows of a testbed, and what its buttons do: a trace and captures.

Two handles of the testbed: one watches and asks, the other one sends traces, since a recording ends the watching of the
connections that it uses. Neither takes the testbed's hold but for the moment of a trace, so that a proof may run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from tunnelbed.checks import packet_trace
from tunnelbed.engines.agents import Frame
from tunnelbed.errors import BadInput
from tunnelbed.observe import evidence_json
from tunnelbed.report.drawing import Tunnel
from tunnelbed.report.drawing.svg import svg
from tunnelbed.report.live import plain
from tunnelbed.report.live.feed import Event, Feed
from tunnelbed.report.live.saving import Captures
from tunnelbed.report.live.traffic import Traffic
from tunnelbed.report.live.watching import Watching
from tunnelbed.testbed.status import NodeStatus
from tunnelbed.testbed.testbed import Testbed

# Seconds between two looks: at the packets, and at nodes and daemons.
PACKETS, NODES = 0.25, 2.0
# Lines of a node's log that its details show.
LOG_LINES = 40


class View:
    """A testbed as a page shows it; `tracer` is another handle of the same testbed."""

    def __init__(self, bed: Testbed, tracer: Testbed) -> None:
        self.bed, self._tracer = bed, tracer
        self.traffic = Traffic(bed.scenario, bed.classify)
        self.captures = Captures(bed)
        self.feed = Feed(self._first)
        # Set once there is nothing more to show; `gone` says why.
        self.over = threading.Event()
        self.gone = ""
        self._ended = threading.Event()
        self._statuses: Sequence[NodeStatus] = ()
        self._tunnels: Sequence[Tunnel] = ()
        self._published: Mapping[str, Mapping[str, int]] = {}
        self._watching = Watching(bed, self._hear)
        # By the number of a capture, what each node had lost before it began.
        self._lost_before: dict[int, Mapping[str, int]] = {}
        self._tracing = threading.Lock()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Watch the testbed while the body runs. Raises `BadInput` where it is not up, and what ended the watching."""
        if not self.bed.engine.states(self.bed.project):
            advice = f"bring it up: `invoke up --scenario {self.bed.scenario.name}`"
            raise BadInput(self.bed.name, "", "no testbed that is up", "one that is up", advice)
        try:
            self._look()
            with ThreadPoolExecutor(max_workers=2, thread_name_prefix="show") as pool:
                looks = ((PACKETS, self._publish_traffic), (NODES, self._look))
                loops = [pool.submit(self._go_on, seconds, look) for seconds, look in looks]
                for loop in loops:
                    loop.add_done_callback(self._stopped)
                try:
                    yield
                finally:
                    self._ended.set()
            for loop in loops:
                loop.result()
        finally:
            self.feed.end()
            self.captures.close()
            self._watching.end()

    def state(self) -> Mapping[str, Any]:
        """The testbed's nodes, networks and tunnels as they were seen last, as JSON has them."""
        return {
            "testbed": self.bed.name,
            "nodes": list(map(self._node, self._statuses)),
            "networks": plain.networks(self.bed.scenario),
            "tunnels": [asdict(tunnel) for tunnel in self._tunnels],
            "gone": self.gone,
        }

    def picture(self) -> str:
        """The network's drawing, its tunnels as they were seen last; its style is apart, as the page's policy wants."""
        return svg(self.bed.scenario, self._tunnels, styled=False)

    def details(self, name: str) -> Mapping[str, Any]:
        """What a node has now: addresses, routes, and the end of its log. Raises `BadInput`, `NodeFailed`."""
        if name not in self.bed.scenario.nodes:
            raise BadInput(
                "node", "", repr(name), f"one of: {', '.join(self.bed.scenario.nodes)}", "choose one of them"
            )
        node = self.bed.node(name)
        status = next((self._node(found) for found in self._statuses if found.node == name), {})
        return {
            **status,
            "addresses": plain.addresses(node),
            "routes": plain.routes(node),
            "log": node.log().splitlines()[-LOG_LINES:],
        }

    def trace(self, source: str, target: str, by: str) -> Mapping[str, Any]:
        """Send one packet and return its path. Raises `BadInput` where another trace, or a proof, is under way."""
        if not self._tracing.acquire(blocking=False):
            raise BadInput("trace", "", "a trace that is under way", "one at a time", "wait for its end")
        try:
            wanted = packet_trace.asked(self._tracer, source, target, by)
            (path,) = evidence_json.plain([packet_trace.trace(self._tracer, wanted)])
        finally:
            self._tracing.release()
        return path

    def capture(self, network: str) -> Mapping[str, Any]:
        """Begin a capture. Raises `BadInput`."""
        self._watching.catch_up()
        before = self._watching.lost()
        saved = self.captures.start(network)
        self._lost_before[saved.number] = before
        self.feed.publish("captures", self.captures.plain())
        return saved.plain()

    def stop(self, number: int) -> Mapping[str, Any]:
        """End a capture once all that was seen by now is in its file. Raises `BadInput`."""
        saved = self.captures.get(number)
        failed, before = self._watching.catch_up(), self._lost_before[number]
        lost = {name: count - before.get(name, 0) for name, count in self._watching.lost().items()}
        words = [f"{name} lost {count} packets: its buffer was full" for name, count in lost.items() if count]
        saved.stop("; ".join([*words, *failed]))
        self.feed.publish("captures", self.captures.plain())
        return saved.plain()

    def _node(self, status: NodeStatus) -> Mapping[str, Any]:
        watched, lost = status.node in self._watching.live(), self._watching.lost().get(status.node, 0)
        return plain.node(status, watched=watched, lost=lost)

    def _first(self) -> Iterator[Event]:
        yield "state", self.state()
        yield "captures", self.captures.plain()
        yield "traffic", {"counts": self.traffic.counts(), "lines": self.traffic.last()}

    def _go_on(self, seconds: float, do: Callable[[], None]) -> None:
        while not self._ended.wait(seconds) and not self.over.is_set():
            do()

    def _stopped(self, _: Future[None]) -> None:
        self.over.set()

    def _publish_traffic(self) -> None:
        lines = self.traffic.examine()
        counts = self.traffic.counts()
        if counts != self._published:
            self._published = counts
            self.feed.publish("traffic", {"counts": counts, "lines": [asdict(line) for line in lines]})
        if any(saved["running"] for saved in self.captures.plain()):
            self.captures.bound()
            self.feed.publish("captures", self.captures.plain())

    def _look(self) -> None:
        if not self.bed.engine.states(self.bed.project):
            self.gone = "the testbed was taken down"
            self.feed.publish("state", self.state())
            self.over.set()
            return
        before = self.state()
        self._statuses = self.bed.status()
        self._tunnels = plain.tunnels(self.bed.scenario, self._statuses)
        self._watching.begin(status.node for status in self._statuses if status.state == "running")
        self._watching.catch_up()
        if (now := self.state()) != before:
            self.feed.publish("state", now)

    def _hear(self, frame: Frame) -> None:
        self.traffic.hear(frame)
        self.captures.hear(frame)
