"""A testbed: one scenario, brought up on one engine, and what a person does with it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tunnelbed import documents, engines, images, pki, scenario, strongswan, waiting
from tunnelbed.agents import Agents
from tunnelbed.engines import Engine, Plan, Progress
from tunnelbed.errors import BadInput, DeadlinePassed, NodeFailed, TunnelbedError
from tunnelbed.model import Node, Scenario
from tunnelbed.strongswan import Tunnel

if TYPE_CHECKING:
    from tunnelbed.recording import Recording

READY = "tunnelbed: ready"
# A node configures itself within a second; a foreign processor under emulation takes much longer.
NODE_SECONDS = 20.0
# A node that runs containers starts an engine and unpacks images first.
CARRYING_SECONDS = 60.0
CHECK_SECONDS = 20.0
# Seconds until something that must work is given up. A tunnel on demand costs the first packet and an IKE exchange; a
# peer that was away, some seconds.
PATIENCE = 10.0


@dataclass(frozen=True)
class Options:
    """How a testbed is brought up; kept with it, since every later command must agree."""

    engine: str = "docker"
    driver: str = ""
    data_plane: str = "auto"
    platform: str = ""
    nested: bool = False
    memory: int = 0
    cpus: int = 0


@dataclass(frozen=True)
class NodeStatus:
    """One line of `status`."""

    node: str
    role: str
    site: str
    addresses: tuple[str, ...]
    state: str
    data_plane: str
    tunnels: tuple[Tunnel, ...]


class Testbed:
    """The handle of a scenario's testbed, whether it is up or not.

    `root` is the folder whose `.tunnelbed/` keeps what belongs to testbeds that are up: the override, keys and options.
    Two checkouts differ in their root's path, and so in every name on the engine.
    """

    def __init__(self, scene: Scenario, root: Path, engine: Engine, instance: str = "") -> None:
        if instance and not re.fullmatch(r"[a-z0-9]{1,12}", instance):
            raise BadInput("--instance", "", repr(instance), "1 to 12 lower-case letters and digits", "choose another")
        self.scenario, self.engine, self.instance = scene, engine, instance
        self.patience = PATIENCE
        # Whether what must work is given up sooner, once nothing moves towards it: see `Recording.stalls`.
        self.hasty = False
        # Where a failure leaves what all nodes saw.
        self.captures = Path("reports") / "captures"
        self.name = _name(scene.name, instance)
        checkout = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:6]
        # No scenario's name has two dashes: a scenario `a-b` is not the instance `b` of a scenario `a`.
        self.project = f"{self.name.replace('.', '--')}-{checkout}"
        self.state = root / ".tunnelbed" / self.name
        # Nodes and networks between which a fault has the link down.
        self.absent: set[tuple[str, str]] = set()
        self.pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix=self.name)

    @property
    def options(self) -> Options | None:
        """How this testbed was brought up, or None if nothing is kept of it."""
        try:
            return Options(**json.loads((self.state / "options.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_up(self) -> bool:
        """Whether every node runs."""
        states = self.engine.states(self.project)
        return bool(states) and all(states.get(name) == "running" for name in self.scenario.nodes)

    def up(self, options: Options, progress: Progress, *, check: bool = True) -> bool:
        """Bring the testbed up and return when its tunnels carry traffic; whether anything had to be made.

        A testbed that is up with the same options is only checked. What fails halfway is taken down again. Without
        `check`, nodes need only be ready: their own checks are not made.
        """
        with self._alone():
            if options.nested:
                self.scenario = scenario.nested(self.scenario)
                for node in self.scenario.nodes.values():
                    if node.privileged:
                        progress(f"WARNING: {node.name} is privileged: what runs there can do anything to this machine")
            kept = self.options
            if kept and kept.engine != options.engine:
                expected = f"--engine {kept.engine}, on which it is now"
                raise BadInput("up", self.name, f"--engine {options.engine}", expected, "take it down first")
            if self.is_up():
                if kept != options:
                    raise BadInput(
                        "up", self.name, _told(options), f"{_told(kept)}, as it is up now", "take it down first"
                    )
                progress("already up: checking")
                self._check(progress, own=check)
                return False
            try:
                self._start(options, progress)
                self._check(progress, own=check)
            except BaseException:
                progress("taking it down again")
                # The first failure is the one to tell; what is left now, `down` removes.
                with contextlib.suppress(TunnelbedError, OSError):
                    self._stop()
                raise
            return True

    def down(self) -> Mapping[str, int]:
        """Remove the testbed, or what is left of one; how many of each kind were removed."""
        with self._alone():
            return self._stop()

    def renew(self, node: str) -> None:
        """Make one node anew as the stack has it now; its networks and every other node stay as they are."""
        with self._alone():
            self.engine.renew(self.plan(self.options or Options(), lambda _: None), node)

    def status(self) -> Sequence[NodeStatus]:
        """Every node of the scenario, up or not."""
        states = self.engine.states(self.project)
        return list(self.pool.map(lambda node: self._node_status(node, states), self.scenario.nodes.values()))

    def tunnels(self, node: str) -> tuple[Tunnel, ...]:
        """The tunnels of a gateway, as it sees them now."""
        said = self.agents.on(node).run(["swanctl", "--list-sas", "--raw"])
        return strongswan.tunnels(said.stdout)

    def node(self, name: str) -> Node:
        """The node of that name; `BadInput` lists those there are."""
        if name not in self.scenario.nodes:
            raise BadInput("--node", "", repr(name), f"one of: {', '.join(self.scenario.nodes)}", "choose one of them")
        return self.scenario.nodes[name]

    @cached_property
    def agents(self) -> Agents:
        """The conversations with this testbed's nodes; `close` ends them."""
        return Agents(self.engine, self.project)

    def record(self) -> contextlib.AbstractContextManager[Recording]:
        """Record what every node sees on its networks, those aside from which it is `absent`, while the body runs."""
        # Scapy takes half a second and more to import; only judging needs it, no `up` or `status`.
        from tunnelbed.recording import record  # noqa: PLC0415

        watched = {
            name: [at.network for at in node.attachments if (name, at.network) not in self.absent]
            for name, node in self.scenario.nodes.items()
        }
        return record(self.agents, watched)

    def mac(self, node: str, network: str) -> str:
        """The MAC of a node's interface."""
        return self.agents.on(node).run(["cat", f"/sys/class/net/{network}/address"]).stdout.strip()

    def close(self) -> None:
        """End every conversation; the testbed stays up."""
        if "agents" in self.__dict__:
            self.agents.close()
            del self.agents
        self.pool.shutdown()

    def gateways(self) -> Sequence[Node]:
        """The nodes with connections of their own."""
        return [node for node in self.scenario.nodes.values() if self.is_vpn(node.name)]

    def is_vpn(self, node: str) -> bool:
        """Whether a node runs strongSwan."""
        return (self.scenario.configs / node / "swanctl.conf").exists()

    def plan(self, options: Options, progress: Progress) -> Plan:
        """What the engine is told; images that are missing are built first."""
        named = {image for node in self.scenario.nodes.values() for image in (node.image, *node.carried)}
        used = {image for image in named if image.startswith(images.OURS)}
        known = {f"{images.OURS}{target}" for target in images.TARGETS}
        if strange := sorted(used - known):
            stack = documents.shorten(self.scenario.stack)
            raise BadInput(stack, "image", strange[0], f"one of: {', '.join(sorted(known))}", "correct the name")
        return Plan(
            self.scenario,
            self.project,
            self.state,
            self.engine.provide(sorted(used), options.platform, progress),
            self.state / "pki" if self._certificates() else None,
            options.data_plane,
            options.driver,
            options.platform,
            options.memory,
            options.cpus,
        )

    def _start(self, options: Options, progress: Progress) -> None:
        (self.state / "options.json").write_text(json.dumps(asdict(options)), encoding="utf-8")
        asked = self._certificates()
        wanted = pki.read(asked, self.scenario.nodes) if asked else None
        plan = self.plan(options, progress)
        if self.engine.states(self.project):
            progress("half of it is there: starting anew")
            self.engine.stop(self.project, self.state)
        if wanted and plan.keys:
            plan.keys.mkdir(mode=0o700, exist_ok=True)
            pki.Pki.make(wanted).write(plan.keys)
        self.engine.start(plan, progress)

    def _certificates(self) -> Path | None:
        """The file that says which certificates to make, if the scenario has one: even one that cannot be read."""
        file = self.scenario.configs / "pki.yaml"
        return file if file.exists() or file.is_symlink() else None

    def _check(self, progress: Progress, *, own: bool) -> None:
        """Wait until every node is ready and, if wanted, every node's own check passes."""
        progress("waiting for the nodes")
        carrying = any(node.carried for node in self.scenario.nodes.values())
        seconds = CARRYING_SECONDS if carrying else NODE_SECONDS
        waiting.until(self._ready(), seconds, "every node to be ready", good=lambda names: not names)
        checked = [node for node in self.scenario.nodes.values() if node.check and own]
        if checked:
            progress(f"checking from {', '.join(node.name for node in checked)}")
        list(self.pool.map(self._passes, checked))

    def _ready(self) -> Callable[[], Sequence[str]]:
        """A check that names the nodes that have not said they are ready; each is asked until it has, no longer."""
        unready = list(self.scenario.nodes)

        def says(name: str) -> bool:
            return READY in self.engine.log(self.project, name)

        def check() -> Sequence[str]:
            states = self.engine.states(self.project)
            for name in unready:
                if states.get(name) == "exited":
                    files = documents.shorten(self.scenario.configs / name)
                    said = _last_lines(self.engine.log(self.project, name))
                    raise NodeFailed(name, said, f"mend {files}, or its command in the stack")
            there = [name for name in unready if name in states]
            for name, ready in zip(there, self.pool.map(says, there), strict=True):
                if ready:
                    unready.remove(name)
            return unready

        return check

    def _passes(self, node: Node) -> None:
        said = ""

        def attempt() -> bool:
            nonlocal said
            done = self.engine.run(self.project, node.name, node.check, check=False)
            said = _last_lines(done.output)
            return done.status == 0

        try:
            waiting.until(attempt, CHECK_SECONDS, "the check", every=0.1)
        except DeadlinePassed as late:
            raise NodeFailed(
                node.name,
                f"its check `{' '.join(node.check)}` does not pass: {said}",
                f"see the gateways' logs, `invoke logs --scenario {self.scenario.name}`",
            ) from late

    def _stop(self) -> Mapping[str, int]:
        removed = dict(self.engine.stop(self.project, self.state))
        keys = self.state / "pki"
        removed["key"] = len(list(keys.glob("*/private/*"))) + len(list(keys.glob("authorities/*.key.pem")))
        # Not the folder itself: `_alone` removes it last, since a folder made after it is somebody else's.
        for entry in self.state.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        return removed

    def _node_status(self, node: Node, states: Mapping[str, str]) -> NodeStatus:
        state = states.get(node.name, "down")
        plane = ""
        tunnels: tuple[Tunnel, ...] = ()
        if state == "running" and self.is_vpn(node.name):
            asked = "cat /run/tunnelbed/data-plane; swanctl --list-sas --raw"
            said = self.engine.run(self.project, node.name, ["sh", "-c", asked], check=False).stdout
            plane, _, raw = said.partition("\n")
            tunnels = strongswan.tunnels(raw)
        addresses = tuple(str(interface) for at in node.attachments for interface in at.addresses)
        return NodeStatus(node.name, node.role, node.site, addresses, state, plane, tunnels)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold this testbed's folder against any other `up` or `down`; an empty one is removed at the end."""
        held = None
        while held is None:
            # The one before us may remove the folder at any moment, even while it is made or waited for.
            try:
                self.state.mkdir(parents=True, exist_ok=True)
                held = _lock(self.state)
            except (FileNotFoundError, FileExistsError):
                if self.state.is_file():
                    raise
        try:
            yield
        finally:
            for folder in (self.state, self.state.parent):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            os.close(held)


def open_testbed(scene: Scenario, root: Path, engine: str = "", instance: str = "") -> Testbed:
    """The testbed of a scenario on the engine and in the form it is up, or else on the engine named."""
    kept = root / ".tunnelbed" / _name(scene.name, instance) / "options.json"
    if not engine and kept.exists():
        engine = str(json.loads(kept.read_text(encoding="utf-8")).get("engine", ""))
    bed = Testbed(scene, root, engines.connect(engine or "docker", root), instance)
    if scene.nodes and bed.options and bed.options.nested:
        bed.scenario = scenario.nested(scene)
    return bed


def find(root: Path, read: Callable[[str, Path], Scenario] = scenario.load) -> Sequence[Testbed]:
    """Every testbed of which something is kept below `root`, by name.

    To take them down, `read` may be `scenario.named`: their files may have changed or gone since.
    """
    found = []
    for kept in sorted((root / ".tunnelbed").glob("*/")):
        name, _, instance = kept.name.partition(".")
        found.append(open_testbed(read(name, root), root, instance=instance))
    return found


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder, or None if it was removed while somebody else held it.

    Commands inherit it, so that one which outlives us (we may be killed) still holds the folder until it has ended.
    """
    held = os.open(folder, os.O_RDONLY)
    os.set_inheritable(held, True)  # noqa: FBT003 # its only parameter
    fcntl.flock(held, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        if folder.stat().st_ino == os.fstat(held).st_ino:
            return held
    os.close(held)
    return None


def _name(scene: str, instance: str) -> str:
    return f"{scene}.{instance}" if instance else scene


def _told(options: Options | None) -> str:
    """Options as a person would type them."""
    if options is None:
        return "no options"
    words = {f"--{key.replace('_', '-')}": value for key, value in asdict(options).items() if value}
    return " ".join(word if value is True else f"{word} {value}" for word, value in words.items())


def _last_lines(text: str, count: int = 5) -> str:
    """The last that a node said itself; what charon does is dated, what is wrong is not."""
    lines = text.strip().splitlines()
    undated = [line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    return "\n".join((undated or lines)[-count:])
