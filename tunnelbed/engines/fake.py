"""An engine that runs nothing: nodes are entries in a table. For tests of what stands above an engine.

It is not in the registry, since no person wants it. What its nodes say and answer, a test decides:

    engine = FakeEngine(answer=lambda node, command: Completed(tuple(command), 0, "pong", ""))
    engine.words["router"] = "nftables.conf:3: syntax error"   # in its log, instead of "ready"
    engine.exits.add("router")                                 # stops as soon as it is started
    engine.costs = Usage(peak_memory=3_000_000, cpu_seconds=0.5)   # of each node
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tunnelbed.engines import Plan, Progress, Usage
from tunnelbed.engines.registration import Registration
from tunnelbed.errors import CommandFailed, NodeFailed
from tunnelbed.host.shell import Completed
from tunnelbed.topology.model import Scenario

ENGINE = Registration(
    module="tunnelbed.engines.fake",
    maker="",
    takes=("driver", "data_plane", "platform", "nested", "memory", "cpus", "image"),
)


def whole(plan: Plan) -> None:
    """Nothing happens halfway."""
    del plan


def well(node: str, command: Sequence[str]) -> Completed:
    """Every command succeeds and prints nothing."""
    del node
    return Completed(tuple(command), 0, "", "")


def connect(root: Path) -> FakeEngine:
    """An engine on which nothing is up."""
    del root
    return FakeEngine()


class FakeEngine:
    """See `engines.Engine` for what each method promises. `halfway` is called when half of the nodes are there."""

    name = "fake"
    driver = "none"
    own_clocks = False
    takes = ENGINE.takes

    def __init__(
        self,
        answer: Callable[[str, Sequence[str]], Completed] = well,
        halfway: Callable[[Plan], object] = whole,
    ) -> None:
        self.answer, self.halfway = answer, halfway
        self.words: dict[str, str] = {}
        self.exits: set[str] = set()
        self.ends_as = "exited"
        self.plans: list[Plan] = []
        # The testbeds of which there was something to remove.
        self.stopped: list[str] = []
        self.costs = Usage(0, 0.0)
        self.own_devices: set[str] = set()
        # What images are called otherwise than after themselves; nothing: they are not there.
        self.images: dict[str, str] = {}
        self._made_from: dict[str, dict[str, str]] = {}
        self._nodes: dict[str, dict[str, str]] = {}
        self._networks: dict[str, list[str]] = {}
        # How often each node was started, and so has said its words.
        self._starts: Counter[tuple[str, str]] = Counter()
        # What the command that is being answered was given.
        self.input = b""

    def provide(self, images: Sequence[str], platform: str, progress: Progress) -> Mapping[str, str]:
        """As `Engine.provide`: a name is enough."""
        del platform, progress
        return {name: f"{name}:fake" for name in images}

    def build(self, scenario: Scenario, state: Path, platform: str, progress: Progress) -> None:
        """As `Engine.build`: a name is enough."""
        del state, platform
        for node in scenario.nodes.values():
            if node.build:
                progress(f"building {node.image}")

    def called(self, image: str, platform: str) -> str:
        """As `Engine.called`."""
        del platform
        return self.images.get(image, f"{image}:fake")

    def runs(self, project: str) -> Mapping[str, str]:
        """As `Engine.runs`."""
        return dict(self._made_from.get(project, {}))

    def start(self, plan: Plan, progress: Progress) -> None:
        """As `Engine.start`."""
        self.plans.append(plan)
        progress("making entries in a table")
        nodes = self._nodes.setdefault(plan.project, {})
        self._made_from[plan.project] = {
            node.name: self.called(node.image, "") for node in plan.scenario.nodes.values()
        }
        self._networks[plan.project] = list(plan.scenario.networks)
        for number, name in enumerate(plan.scenario.nodes):
            if number == len(plan.scenario.nodes) // 2:
                self.halfway(plan)
            self._starts[plan.project, name] = 1
            nodes[name] = self.ends_as if name in self.exits else "running"

    def stop(self, project: str, state: Path) -> Mapping[str, int]:
        """As `Engine.stop`."""
        del state
        if self._nodes.get(project) or self._networks.get(project):
            self.stopped.append(project)
        return {"container": len(self._nodes.pop(project, {})), "network": len(self._networks.pop(project, ()))}

    def networks(self, project: str) -> Mapping[str, str]:
        """As `Engine.networks`: entries, too."""
        return dict.fromkeys(self._networks.get(project, ()), self.driver)

    def states(self, project: str) -> Mapping[str, str]:
        """As `Engine.states`."""
        return dict(self._nodes.get(project, {}))

    def run(
        self, project: str, node: str, command: Sequence[str], *, stdin: bytes = b"", check: bool = True
    ) -> Completed:
        """As `Engine.run`: what `answer` says."""
        self._known(project, node)
        self.input = stdin
        done = self.answer(node, command)
        if check and done.status:
            raise CommandFailed(command, done.status, done.output, node)
        return done

    def open(self, project: str, node: str, command: Sequence[str]) -> Said:
        """As `Engine.open`: `answer` of all that was sent before the first read, then the end."""
        self._known(project, node)

        def say(data: bytes) -> bytes:
            self.input = data
            return self.answer(node, command).stdout.encode(errors="surrogateescape")

        return Said(say)

    def terminal(self, project: str, node: str, command: Sequence[str]) -> Sequence[str]:
        """As `Engine.terminal`: a command that prints what was asked."""
        self._known(project, node)
        return ["echo", node, *command]

    def follow(self, project: str, node: str) -> Sequence[str]:
        """As `Engine.follow`."""
        return ["echo", self.log(project, node)]

    def log(self, project: str, node: str, since: str = "") -> str:
        """As `Engine.log`."""
        self._known(project, node)
        return (self.words.get(node, "tunnelbed: ready\n") * self._starts[project, node])[int(since or 0) :]

    def mark(self, project: str, node: str) -> str:
        """As `Engine.mark`."""
        return str(len(self.log(project, node)))

    def describe(self) -> Mapping[str, str]:
        """As `Engine.describe`."""
        return {"engine": "a table", "kernel": "none"}

    def renew(self, plan: Plan, node: str) -> None:
        """As `Engine.renew`."""
        self.plans.append(plan)
        self.restart(plan.project, node)

    def machine(self, command: Sequence[str]) -> Completed:
        """As `Engine.machine`: what `answer` says for a node called `machine`."""
        return self.answer("machine", command)

    def devices(self, project: str) -> Collection[str]:
        """As `Engine.devices`: what a test says."""
        del project
        return self.own_devices

    def restart(self, project: str, node: str) -> None:
        """As `Engine.restart`."""
        self._known(project, node)
        self._nodes[project][node] = "running"
        self._starts[project, node] += 1

    def usage(self, project: str) -> Usage:
        """As `Engine.usage`: what a test says of one node, times how many there are."""
        count = len(self._nodes.get(project, {}))
        return Usage(count * self.costs.peak_memory, count * self.costs.cpu_seconds)

    def _known(self, project: str, node: str) -> None:
        if node not in self._nodes.get(project, {}):
            raise NodeFailed(node, "does not run", "bring the testbed up first")


class Said:
    """A command's output, all at once, in answer to all that was sent by then."""

    def __init__(self, say: Callable[[bytes], bytes]) -> None:
        self._say, self._sent, self._is_read = say, b"", False

    def send(self, data: bytes) -> None:
        """Keep it."""
        self._sent += data

    def receive(self) -> bytes:
        """All output, then the end."""
        if self._is_read:
            return b""
        self._is_read = True
        return self._say(self._sent)

    def close(self) -> None:
        """Nothing is open."""
