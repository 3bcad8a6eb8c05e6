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
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tunnelbed import engines
from tunnelbed.engines import Engine, Plan, Progress
from tunnelbed.engines.agents import Agents
from tunnelbed.engines.images import node_images
from tunnelbed.errors import BadInput, NodeFailed, TunnelbedError
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.readiness import Readiness
from tunnelbed.topology import compose_file, yaml_sections
from tunnelbed.topology.model import Address, Node, Scenario, testbed_name
from tunnelbed.vpn.strongswan import config, sas
from tunnelbed.vpn.strongswan.sas import Tunnel

if TYPE_CHECKING:
    from tunnelbed.observe.recording import Recording

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
    # As `image_words` writes it.
    image: str = ""


@dataclass(frozen=True)
class NodeStatus:
    """One line of `status`."""

    node: str
    role: str
    site: str
    addresses: tuple[str, ...]
    state: str
    image: str
    data_plane: str
    daemon: str
    tunnels: tuple[Tunnel, ...]


class Testbed:
    """The handle of a scenario's testbed, whether it is up or not.

    `root` is the folder whose `.tunnelbed/` keeps what belongs to testbeds that are up: the override, keys and options.
    Two checkouts differ in their root's path, and so in every name on the engine.
    """

    def __init__(self, scene: Scenario, root: Path, engine: Engine, instance: str = "") -> None:
        if instance and not re.fullmatch(r"[a-z0-9]{1,12}", instance):
            raise BadInput("--instance", "", repr(instance), "1 to 12 lower-case letters and digits", "choose another")
        # As its files have it, and as it is brought up.
        self.plain = self.scenario = scene
        self.engine, self.instance = engine, instance
        self.patience = PATIENCE
        # Whether what must work is given up sooner, once nothing moves towards it: see `Recording.stalls`.
        self.hasty = False
        # Where a failure leaves what all nodes saw.
        self.captures = Path("reports") / "captures"
        self.name = testbed_name(scene.name, instance)
        checkout = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:6]
        # No scenario's name has two dashes: a scenario `a-b` is not the instance `b` of a scenario `a`.
        self.project = f"{self.name.replace('.', '--')}-{checkout}"
        self.state = root / ".tunnelbed" / self.name
        # Nodes and networks between which a fault has the link down.
        self.absent: set[tuple[str, str]] = set()
        # The addresses that gateways have lent nodes, as they were seen last.
        self.lent: dict[str, Sequence[Address]] = {}
        self.pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix=self.name)

    @property
    def options(self) -> Options | None:
        """How this testbed was brought up, or None if nothing is kept of it."""
        return _kept(self.state)

    def is_up(self) -> bool:
        """Whether every node runs."""
        states = self.engine.states(self.project)
        return bool(states) and all(states.get(name) == "running" for name in self.scenario.nodes)

    def up(self, options: Options, progress: Progress, *, check: bool = True) -> bool:
        """Bring the testbed up and return when its tunnels carry traffic; whether anything had to be made.

        A testbed that is up with the same options is only checked. What fails halfway is taken down again. Without
        `check`, nodes need only be ready: their own checks are not made.
        """
        if options.data_plane not in engines.DATA_PLANES:
            expected = f"one of: {', '.join(engines.DATA_PLANES)}"
            raise BadInput("--data-plane", "", repr(options.data_plane), expected, "correct it")
        with self._alone():
            self.scenario = _as_asked(self.plain, options)
            if options.nested:
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
                self.refuse_other_images()
                progress("already up: checking")
                self._readiness().wait(progress, own=check)
                return False
            try:
                self._start(options, progress)
                self._readiness().wait(progress, own=check)
            except BaseException:
                progress("taking it down again")
                # The first failure is the one to tell; what is left now, `down` removes.
                with contextlib.suppress(TunnelbedError, OSError):
                    self._stop()
                raise
            return True

    def refuse_other_images(self) -> None:
        """Raise `BadInput` where a node that is up runs another image than it would be given now."""
        options = self.options or Options()
        for node, runs in self.engine.runs(self.project).items():
            image = self.scenario.nodes[node].image if node in self.scenario.nodes else ""
            if image and runs != self.engine.called(image, options.platform):
                found = f"{node} runs another image than {image} is now"
                raise BadInput("up", self.name, found, "the one it runs", "take it down first")

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

    def tunnels(self, node: str, peer: Node | None = None) -> tuple[Tunnel, ...]:
        """The tunnels of a gateway, as it sees them now: with `peer`, or with anybody."""
        said = self.node(node).run(["swanctl", "--list-sas", "--raw"])
        found = sas.tunnels(said.stdout)
        return tuple(tunnel for tunnel in found if peer is None or self._is_with(peer, tunnel))

    def _is_with(self, peer: Node, tunnel: Tunnel) -> bool:
        """Whether a node is at the other end: there is its address, or it proved its identity from behind a NAT.

        Raises `NodeFailed` where a node behind a NAT may be it, and does not tell who it says it is.
        """
        if not tunnel.hidden:
            return tunnel.remote_host in {str(address) for address in peer.addresses}
        if not self.is_vpn(peer.name):
            return False
        said = self.node(peer).run(["swanctl", "--list-conns", "--raw"], check=True)
        shown = {name for known in sas.connections(said.stdout) for name in known.identities}
        if shown <= {"", "%any"}:
            raise NodeFailed(peer.name, "has no connection with an id of its own", "give its `local` section one")
        return tunnel.remote_id in shown

    def node(self, which: Node | str) -> NodeHandle:
        """The handle of a node, to ask and to act on; `BadInput` lists the names there are."""
        return NodeHandle(self.scenario.node(which) if isinstance(which, str) else which, self.agents)

    @cached_property
    def agents(self) -> Agents:
        """The conversations with this testbed's nodes; `close` ends them."""
        return Agents(self.engine, self.project)

    def record(self) -> contextlib.AbstractContextManager[Recording]:
        """Record what every node sees on its networks, those aside from which it is `absent`, while the body runs."""
        # Scapy takes half a second and more to import; only judging needs it, no `up` or `status`.
        from tunnelbed.observe.recording import record  # noqa: PLC0415

        watched = {
            name: [at.network for at in node.attachments if (name, at.network) not in self.absent]
            for name, node in self.scenario.nodes.items()
        }
        return record(self.agents, watched)

    @contextlib.contextmanager
    def proven_alone(self) -> Iterator[None]:
        """Hold this testbed against whoever else would prove it meanwhile, and be misled by what we break.

        Raises `BadInput` where somebody is at it. Bringing it up, down, and looking at it are not held back.
        """
        mark = self.state / "proven"
        with self._alone():
            try:
                held = os.open(mark, os.O_CREAT | os.O_RDONLY, 0o600)
            except PermissionError as refused:
                advice = "prove it as whoever brought it up"
                raise BadInput(str(self.state), "", "a folder of somebody else's", "your own", advice) from refused
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                os.close(held)
                advice = "wait for its end, or prove a copy (`-D instance=2`, `--instance 2`)"
                raise BadInput(self.name, "", "a run that proves it now", "nobody at work there", advice) from taken
        try:
            yield
        finally:
            with self._alone():
                # `down` may have removed it, and somebody else made another one.
                if mark.exists() and mark.stat().st_ino == os.fstat(held).st_ino:
                    mark.unlink()
            os.close(held)

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
        return config.file(self.scenario, node).exists()

    def make_keys(self) -> None:
        """Make afresh the keys and certificates that the scenario asks for, if any; `up` does so by itself."""
        # `cryptography` is a tenth of all that a command would import, and only this needs it.
        from tunnelbed.vpn import pki  # noqa: PLC0415

        if asked := self._certificates():
            wanted = pki.read(asked, self.scenario.nodes)
            self._keys.mkdir(mode=0o700, exist_ok=True)
            pki.Pki.make(wanted).write(self._keys)

    def plan(self, options: Options, progress: Progress) -> Plan:
        """What the engine is told; images that are missing are built first."""
        named = {image for node in self.scenario.nodes.values() for image in (node.image, *node.carried)}
        used = {image for image in named if image.startswith(node_images.OURS)}
        known = {f"{node_images.OURS}{target}" for target in node_images.TARGETS}
        stack = (yaml_sections.shorten(self.scenario.stack), "image")
        for image in sorted(named - known - {""}):
            where = ("--image", "") if image in compose_file.asked_images(options.image).values() else stack
            if image in used:
                expected = f"one of: {', '.join(sorted(known))}, or a name that does not begin like those"
                raise BadInput(*where, image, expected, "correct the name")
            if not self.engine.called(image, options.platform):
                raise BadInput(*where, image, "an image that the engine has", "build it, or `docker pull` it")
        return Plan(
            self.scenario,
            self.project,
            self.state,
            self.engine.provide(sorted(used), options.platform, progress),
            self._keys if self._certificates() else None,
            options.data_plane,
            options.driver,
            options.platform,
            options.memory,
            options.cpus,
        )

    def _readiness(self) -> Readiness:
        return Readiness(self.scenario, self.engine, self.project, self.pool)

    def _start(self, options: Options, progress: Progress) -> None:
        (self.state / "options.json").write_text(json.dumps(asdict(options)), encoding="utf-8")
        # Both take as long as a command, and neither needs the other.
        making = self.pool.submit(self.make_keys)
        try:
            plan = self.plan(options, progress)
            if self.engine.states(self.project):
                progress("half of it is there: starting anew")
                self.engine.stop(self.project, self.state)
        finally:
            wait([making])
        making.result()
        self.engine.start(plan, progress)

    @property
    def _keys(self) -> Path:
        """The folder with a tree of keys for each node that has any."""
        return self.state / "pki"

    def _certificates(self) -> Path | None:
        """The file that says which certificates to make, if the scenario has one: even one that cannot be read."""
        file = self.scenario.configs / "pki.yaml"
        return file if file.exists() or file.is_symlink() else None

    def _stop(self) -> Mapping[str, int]:
        removed = dict(self.engine.stop(self.project, self.state))
        found = (list(self._keys.glob(pattern)) for pattern in ("*/private/*", "authorities/*.key.pem"))
        removed["key"] = sum(map(len, found))
        # Not the folder itself: `_alone` removes it last, since a folder made after it is somebody else's.
        for entry in self.state.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        return removed

    def _node_status(self, node: Node, states: Mapping[str, str]) -> NodeStatus:
        state = states.get(node.name, "down")
        plane = daemon = ""
        tunnels: tuple[Tunnel, ...] = ()
        if state == "running" and self.is_vpn(node.name):
            asked = "cat /run/tunnelbed/data-plane; swanctl --version --daemon; swanctl --list-sas --raw"
            said = self.engine.run(self.project, node.name, ["sh", "-c", asked], check=False).stdout
            plane, _, raw = said.partition("\n")
            daemon = sas.version(raw)
            tunnels = sas.tunnels(raw)
        addresses = tuple(str(interface) for at in node.attachments for interface in at.addresses)
        return NodeStatus(node.name, node.role, node.site, addresses, state, node.image, plane, daemon, tunnels)

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
    kept = _kept(root / ".tunnelbed" / testbed_name(scene.name, instance))
    bed = Testbed(scene, root, engines.connect(engine or (kept or Options()).engine, root), instance)
    if scene.nodes and kept:
        bed.scenario = _as_asked(scene, kept)
    return bed


def image_words(said: str) -> str:
    """Which images somebody asks for, `WHO=IMAGE` with commas, in the one way that `Options` have it."""
    return ",".join(f"{who}={image}" for who, image in compose_file.asked_images(said).items())


def find(root: Path, read: Callable[[str, Path], Scenario] = compose_file.load) -> Sequence[Testbed]:
    """Every testbed of which something is kept below `root`, by name.

    To take them down, `read` may be `scenario.named`: their files may have changed or gone since.
    """
    found = []
    for kept in sorted((root / ".tunnelbed").glob("*/")):
        name, _, instance = kept.name.partition(".")
        found.append(open_testbed(read(name, root), root, instance=instance))
    return found


def _as_asked(scene: Scenario, options: Options) -> Scenario:
    """A scenario in the form that these options ask for."""
    if options.nested:
        scene = compose_file.nested(scene)
    return compose_file.with_images(scene, compose_file.asked_images(options.image))


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


def _kept(state: Path) -> Options | None:
    """The options kept in a testbed's folder; whoever was killed while it wrote them had nothing up yet."""
    try:
        return Options(**json.loads((state / "options.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _told(options: Options | None) -> str:
    """Options as a person would type them."""
    if options is None:
        return "no options"
    words = {f"--{key.replace('_', '-')}": value for key, value in asdict(options).items() if value}
    return " ".join(word if value is True else f"{word} {value}" for word, value in words.items())
