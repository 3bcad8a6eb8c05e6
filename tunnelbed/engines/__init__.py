"""Engines run the nodes: one folder for each engine, behind one small interface.

`ENGINES` is the registry, by the name a person types: the folders here that have a `Registration` in their `__init__`.
What every engine must do, tests/contracts/test_engines.py says.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from tunnelbed.engines.registration import Registration
from tunnelbed.errors import BadInput
from tunnelbed.host import waiting
from tunnelbed.host.shell import Completed
from tunnelbed.topology.model import Scenario

DATA_PLANES = ("auto", "kernel", "user")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Mount:
    """A folder of this machine that a node can read, and where it finds it: a name below /etc/tunnelbed."""

    source: Path
    name: str


@dataclass(frozen=True)
class Needs:
    """What one node needs beyond what the stack gives it, because of what it runs.

    `devices` are paths below /dev, which must exist on the node.
    """

    mounts: tuple[Mount, ...] = ()
    devices: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """All an engine needs to run a scenario as one testbed.

    `project` names the testbed on the engine; `state` is the testbed's own folder, `images` the built image for each
    name the stack uses. `needs` names the nodes that need more than the stack says. `driver` is the engine's own word
    for how networks are made.
    """

    scenario: Scenario
    project: str
    state: Path
    images: Mapping[str, str]
    needs: Mapping[str, Needs] = field(default_factory=dict)
    driver: str = ""
    platform: str = ""
    # Of each node, where it is a machine of its own: megabytes and processors; 0 leaves it to the engine.
    memory: int = 0
    cpus: int = 0

    def needed(self, node: str) -> Needs:
        """What a node needs beyond the stack; by default nothing."""
        return self.needs.get(node, Needs())

    def environment(self, node: str) -> Mapping[str, str]:
        """The variables a node gets from us, beside those of its stack and those that name its interfaces."""
        found = dict(self.needed(node).environment)
        # Only where it is more than 1: what waits inside a node reads the same variable.
        if (patience := waiting.stretched(1)) > 1:
            found[waiting.PATIENCE_VARIABLE] = f"{patience:g}"
        return found


@dataclass(frozen=True)
class Usage:
    """The resources that a testbed's nodes have used, each since it was last started.

    `peak_memory` is the sum of every node's own peak in bytes, as whatever runs it counts that: never less than what
    all of them took at one moment. `cpu_seconds` is the sum of their processor time. What the engine itself takes is in
    neither.
    """

    peak_memory: int
    cpu_seconds: float


class Stream(Protocol):
    """A running command's input and output, as bytes."""

    def send(self, data: bytes) -> None:
        """Write to its standard input."""

    def receive(self) -> bytes:
        """Whatever came from its standard output, at least a byte; empty at the end."""

    def close(self) -> None:
        """End the conversation; the command sees the end of its input."""


class Engine(Protocol):
    """How nodes are brought up, reached and taken down. `project` names the testbed in every call."""

    name: str
    # Whether each node has a clock of its own, which differs from this machine's.
    own_clocks: bool
    # Which of the options of a testbed it takes, by name; its module says so, too, as `TAKES`.
    takes: tuple[str, ...]

    def provide(self, images: Sequence[str], platform: str, progress: Progress) -> Mapping[str, str]:
        """Make these images of ours if they are missing; the engine's name of each."""

    def build(self, scenario: Scenario, state: Path, platform: str, progress: Progress) -> None:
        """Make the images that a stack builds itself. Raises `BadInput` where one cannot be."""

    def called(self, image: str, platform: str) -> str:
        """The engine's name of an image as it is now, without making it; empty if there is none."""

    def runs(self, project: str) -> Mapping[str, str]:
        """What each node of a testbed was made from, in the words of `called`."""

    def start(self, plan: Plan, progress: Progress) -> None:
        """Make the networks and nodes. Raises `TunnelbedError`; what was made by then, `stop` removes."""

    def stop(self, project: str, state: Path) -> Mapping[str, int]:
        """Remove all of a testbed, even half of one; how many of each kind were removed."""

    def networks(self, project: str) -> Mapping[str, str]:
        """How each network of a testbed that is up was really made, by name; empty if there is none."""

    def states(self, project: str) -> Mapping[str, str]:
        """Each node's state, `running` or the engine's own word for anything else; empty if there is none."""

    def run(
        self, project: str, node: str, command: Sequence[str], *, stdin: bytes = b"", check: bool = True
    ) -> Completed:
        """Run a command on a node to its end."""

    def open(self, project: str, node: str, command: Sequence[str]) -> Stream:
        """Start a command on a node, with its input and output."""

    def terminal(self, project: str, node: str, command: Sequence[str]) -> Sequence[str]:
        """The command of this machine that runs a command on a node with this terminal."""

    def follow(self, project: str, node: str) -> Sequence[str]:
        """The command of this machine that prints a node's log and goes on printing."""

    def log(self, project: str, node: str, since: str = "") -> str:
        """What the node has logged so far, or since a `mark`."""

    def mark(self, project: str, node: str) -> str:
        """The end of a node's log now: from there `log` reads later lines without all before."""

    def describe(self) -> Mapping[str, str]:
        """Facts for `invoke status`: version, kernel, accelerator."""

    def renew(self, plan: Plan, node: str) -> None:
        """Make one node of a testbed that is up anew, from a stack that changed in nothing but this node."""

    def machine(self, command: Sequence[str]) -> Completed:
        """Run a command in the network stack of the machine that runs the nodes, with no right to change it."""

    def devices(self, project: str) -> Collection[str]:
        """The devices of that machine which are a testbed's networks, or by which these hang together."""

    def restart(self, project: str, node: str) -> None:
        """Stop a node and start it again."""

    def usage(self, project: str) -> Usage:
        """What the nodes of a testbed that is up have used. Raises `TunnelbedError` if the kernel does not count it."""


def connect(name: str, root: Path) -> Engine:
    """The engine of that name, for the testbeds of the folder `root`; raises `EngineUnavailable` with what to do."""
    if name not in ENGINES:
        raise BadInput("--engine", "", repr(name), f"one of: {', '.join(ENGINES)}", "choose one of them")
    return cast("Engine", importlib.import_module(ENGINES[name].module).connect(root))


def takes(name: str) -> Collection[str]:
    """Which of the options of a testbed the engine of that name takes."""
    return ENGINES[name].takes


def _registered() -> dict[str, Registration]:
    """The engines that have a folder here."""
    folders = sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg)
    packages = {name: importlib.import_module(f"{__name__}.{name}") for name in folders}
    return {name: package.ENGINE for name, package in packages.items() if hasattr(package, "ENGINE")}


ENGINES = _registered()
