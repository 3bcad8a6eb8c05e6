"""A testbed: one scenario, brought up on one engine, and what a person does with it."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tunnelbed import engines, vpn
from tunnelbed.engines import Engine, Needs, Plan, Progress
from tunnelbed.engines.agents import Agents
from tunnelbed.engines.images import node_images
from tunnelbed.errors import BadInput, ChecksFailed, TunnelbedError
from tunnelbed.testbed import options as given
from tunnelbed.testbed import status
from tunnelbed.testbed.daemon_time import DaemonTime
from tunnelbed.testbed.daemons import Daemons
from tunnelbed.testbed.hold import Hold
from tunnelbed.testbed.node_handle import NodeHandle
from tunnelbed.testbed.options import Options
from tunnelbed.testbed.readiness import Readiness
from tunnelbed.testbed.status import NodeStatus
from tunnelbed.topology import compose_file, yaml_sections
from tunnelbed.topology.model import Address, Node, Scenario, testbed_name
from tunnelbed.vpn.api import Carried, Kind, Setup, Tunnel, Vpn

if TYPE_CHECKING:
    from scapy.packet import Packet

    from tunnelbed.observe.recording import Recording

# Seconds until something that must work is given up. A tunnel on demand costs the first packet and an IKE exchange; a
# peer that was away, some seconds.
PATIENCE = 10.0


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
        self.fail_fast = False
        # How many times as fast daemons' time passes while a sentence waits for what they do within some seconds.
        self.speed = 1.0
        # Where a failure leaves what all nodes saw.
        self.captures = Path("reports") / "captures"
        self.name = testbed_name(scene.name, instance)
        checkout = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:6]
        # No scenario's name has two dashes: a scenario `a-b` is not the instance `b` of a scenario `a`.
        self.project = f"{self.name.replace('.', '--')}-{checkout}"
        self.state = kept_folder(root, scene.name, instance)
        self._hold = Hold(self.state, self.name)
        # Nodes and networks between which a fault has the link down.
        self.absent: set[tuple[str, str]] = set()
        # The addresses that gateways have lent nodes, as they were seen last.
        self.lent: dict[str, Sequence[Address]] = {}
        self.pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix=self.name)

    @property
    def options(self) -> Options | None:
        """How this testbed was brought up, or None if nothing is kept of it. Raises `BadInput`."""
        return given.kept(self.state)

    def is_up(self) -> bool:
        """Whether every node runs."""
        states = self.engine.states(self.project)
        return bool(states) and all(states.get(name) == "running" for name in self.scenario.nodes)

    def up(self, options: Options, progress: Progress, *, check: bool = True) -> bool:
        """Bring the testbed up and return when its tunnels carry traffic; whether anything had to be made.

        A testbed that is up with the same options is only checked. What fails halfway is taken down again. Where all
        nodes run and a check of the stack's own does not pass, it stays up, and `ChecksFailed` is raised. Without
        `check`, nodes need only be ready: their own checks are not made.
        """
        given.refuse_foreign(options, self.engine)
        with self._hold.alone():
            self.scenario = _as_asked(self.plain, options)
            self._warn(progress)
            kept = self.options
            if kept and kept.engine != options.engine:
                expected = f"--engine {kept.engine}, on which it is up"
                raise BadInput("up", self.name, f"--engine {options.engine}", expected, "take it down first")
            made = not self.is_up()
            if made:
                failing = self._make(options, progress, check=check)
            else:
                if differing := given.differing(options, kept or given.DEFAULT):
                    found = given.words(options, differing)
                    expected = f"{given.words(kept or given.DEFAULT, differing)}, which the running testbed has"
                    raise BadInput("up", self.name, found, expected, "take it down first")
                self.refuse_other_images()
                progress("already up: checking")
                failing = self._readiness().wait(progress, own=check)
            self._failing.unlink(missing_ok=True)
            if failing:
                self._failing.write_text("\n".join(failing), encoding="utf-8")
                raise ChecksFailed(self.name, failing, made=made)
            return made

    @property
    def failing(self) -> Collection[str]:
        """The nodes whose own check did not pass when the testbed was last brought up, or checked by `up`."""
        try:
            return self._failing.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return ()

    def refuse_other_images(self) -> None:
        """Raise `BadInput` where a node that is up runs another image than it would be given now."""
        options = self.options or Options()
        for node, runs in self.engine.runs(self.project).items():
            image = self.scenario.nodes[node].image if node in self.scenario.nodes else ""
            if image and runs != self.engine.called(image, options.platform):
                found = f"{node} runs another image than the current {image}"
                raise BadInput("up", self.name, found, "the current one", "take it down first")

    def down(self) -> Mapping[str, int]:
        """Remove the testbed, or what is left of one; how many of each kind were removed."""
        with self._hold.alone():
            return self._stop()

    def renew(self, node: str) -> None:
        """Recreate one node as the stack has it now; its networks and every other node stay as they are."""
        with self._hold.alone():
            self.engine.renew(self.plan(self.options or Options(), lambda _: None), node)

    def status(self) -> Sequence[NodeStatus]:
        """Every node of the scenario, up or not."""
        nodes = [self.node(node) for node in self.scenario.nodes.values()]
        return status.of(nodes, self.engine.states(self.project), self.pool)

    def snapshot(self) -> Mapping[str, tuple[Tunnel, ...]]:
        """The tunnels of every gateway now, by its name. Raises `NodeFailed` where a daemon does not answer."""
        return self.daemons.snapshot()

    def classify(self, packet: Packet) -> Carried | None:
        """What a packet is to the VPNs of this scenario, by the numbers that their daemons list or listed."""
        return self.daemons.classify(packet)

    def node(self, which: Node | str) -> NodeHandle:
        """The handle of a node, to ask and to act on; `BadInput` lists the names there are."""
        node = self.scenario.node(which) if isinstance(which, str) else which
        return NodeHandle(node, self.scenario, self.engine, self.project, self.agents, self.daemons)

    @cached_property
    def agents(self) -> Agents:
        """The connections to this testbed's nodes; `close` ends them."""
        return Agents(self.engine, self.project, {net.name: net.interface for net in self.scenario.networks.values()})

    @cached_property
    def daemons(self) -> Daemons:
        """The daemons of this testbed's nodes, and what they list."""
        return Daemons(list(self.scenario.nodes.values()), self.node)

    def record(self) -> contextlib.AbstractContextManager[Recording]:
        """Record what every node sees on its networks, those aside from which it is `absent`, while the body runs."""
        # Scapy takes half a second and more to import; only judging needs it, no `up` or `status`.
        from tunnelbed.observe.recording import record  # noqa: PLC0415

        watched = {
            name: [at.network for at in node.attachments if (name, at.network) not in self.absent]
            for name, node in self.scenario.nodes.items()
        }
        return record(self.agents, watched, self.classify)

    def proven_alone(self) -> contextlib.AbstractContextManager[None]:
        """As `Hold.proven_alone`."""
        return self._hold.proven_alone()

    def close(self) -> None:
        """End every connection; the testbed stays up."""
        if "agents" in self.__dict__:
            self.agents.close()
            del self.agents
        if "daemons" in self.__dict__:
            self.daemons.close()
            del self.daemons
        self.pool.shutdown()

    def gateways(self) -> Sequence[Node]:
        """The nodes that run a VPN, in the order of the stack."""
        return [node for node in self.scenario.nodes.values() if vpn.of(node)]

    @property
    def vpns(self) -> tuple[Vpn, ...]:
        """The VPNs of this scenario, each once."""
        return tuple(dict.fromkeys(kind for node in self.gateways() if (kind := vpn.of(node))))

    def tunnel_data(self, packet: Packet) -> Carried | None:
        """Which tunnel's data a packet is; None: no tunnel's of this scenario."""
        carried = self.classify(packet)
        return carried if carried and carried.kind is Kind.DATA else None

    def data_number(self, packet: Packet) -> int | None:
        """To which tunnel's data a packet belongs, as the receiver lists it; None: to no tunnel's of this scenario."""
        carried = self.tunnel_data(packet)
        return carried.number if carried else None

    @property
    def time(self) -> DaemonTime:
        """The time of the gateways' daemons."""
        return DaemonTime([self.node(gateway) for gateway in self.gateways()], self.speed)

    def setup(self, node: Node) -> Setup:
        """What the files of a node's VPN ask for; nothing, where it runs none."""
        return vpn.setup(self.scenario, node)

    def make_keys(self) -> None:
        """Make afresh the keys and certificates that the scenario asks for, if any; `up` does so by itself."""
        # `cryptography` is a tenth of all that a command would import, and only this needs it.
        from tunnelbed.vpn import pki  # noqa: PLC0415

        if asked := self._certificates():
            wanted = pki.read(asked, self.scenario.nodes)
            self._keys.mkdir(mode=0o700, exist_ok=True)
            pki.Pki.make(wanted).write(self._keys)

    def plan(self, options: Options, progress: Progress) -> Plan:
        """The plan for the engine; images that are missing are built first."""
        named = {image for node in self.scenario.nodes.values() for image in (node.image, *node.carried)}
        used = {image for image in named if image.startswith(node_images.OURS)}
        known = {f"{node_images.OURS}{target}" for target in node_images.TARGETS}
        stack = (yaml_sections.shorten(self.scenario.stack), "image")
        self.engine.build(self.scenario, self.state, options.platform, progress)
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
            self._needs(options),
            options.driver,
            options.platform,
            options.memory,
            options.cpus,
        )

    def _needs(self, options: Options) -> Mapping[str, Needs]:
        """What each gateway must have to run its VPN."""
        keys = self._keys if self._certificates() else None
        kinds = {node.name: kind for node in self.gateways() if (kind := vpn.of(node))}
        return {name: kind.needs(keys / name if keys else None, options.data_plane) for name, kind in kinds.items()}

    def _readiness(self) -> Readiness:
        return Readiness(self.scenario, self.engine, self.project, self.pool)

    def _warn(self, progress: Progress) -> None:
        for note in self.scenario.notes:
            progress(note)
        for node in self.scenario.nodes.values():
            if node.privileged:
                progress(f"WARNING: {node.name} is privileged: its processes can do anything to this machine")

    def _make(self, options: Options, progress: Progress, *, check: bool) -> Mapping[str, str]:
        """Start every node; the health checks that fail. If a node does not run, the testbed is taken down again."""
        try:
            self._start(options, progress)
            return self._readiness().wait(progress, own=check)
        except BaseException:
            progress("taking the testbed down again")
            # The first failure is the one to tell; what is left now, `down` removes.
            with contextlib.suppress(TunnelbedError, OSError):
                self._stop()
            raise

    def _start(self, options: Options, progress: Progress) -> None:
        given.write(options, self.state)
        # Both take as long as a command, and neither needs the other.
        making = self.pool.submit(self.make_keys)
        try:
            plan = self.plan(options, progress)
            # Whoever brought it up before may have been killed at any moment: with networks made, and no node yet.
            if any(self.engine.stop(self.project, self.state).values()):
                progress("removed the rest of an interrupted start")
        finally:
            wait([making])
        making.result()
        self.engine.start(plan, progress)

    @property
    def _failing(self) -> Path:
        """The file that names the nodes whose own check does not pass, a line each; not there if all do."""
        return self.state / "failing"

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
        # Not the folder itself: `Hold.alone` removes it last, since a folder made after it is somebody else's.
        for entry in self.state.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        return removed


def kept_folder(root: Path, scenario: str, instance: str) -> Path:
    """The folder of what is kept of a testbed; it is there while the testbed is."""
    return root / ".tunnelbed" / testbed_name(scenario, instance)


def open_testbed(scene: Scenario, root: Path, engine: str = "", instance: str = "") -> Testbed:
    """The testbed of a scenario on the engine and in the form it is up, or else on the engine named.

    Raises `BadInput` where what is kept of it cannot be read; to take it down (`compose_file.named`), its engine may be
    named instead.
    """
    try:
        kept = given.kept(kept_folder(root, scene.name, instance))
    except BadInput:
        if scene.nodes or not engine:
            raise
        kept = None
    if kept and not scene.nodes and engine not in ("", kept.engine):
        expected = f"{kept.engine}, on which {testbed_name(scene.name, instance)} is up"
        raise BadInput("--engine", "", engine, expected, "name that one, or omit it")
    bed = Testbed(scene, root, engines.connect(engine or (kept or given.DEFAULT).engine, root), instance)
    if scene.nodes and kept:
        bed.scenario = _as_asked(scene, kept)
    return bed


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
