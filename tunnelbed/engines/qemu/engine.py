"""The QEMU engine: nodes are virtual machines, held by a supervisor and reached through its socket."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tunnelbed.engines import Plan, Progress, Usage
from tunnelbed.engines.qemu import ENGINE, accelerator, files, usage, vm_supervisor
from tunnelbed.engines.qemu.accelerator import Accelerator
from tunnelbed.engines.qemu.conversation import Conversation
from tunnelbed.engines.qemu.machine import Machine, machines, settings
from tunnelbed.engines.qemu.supervisor_client import SupervisorClient
from tunnelbed.errors import BadInput, CommandFailed, NodeFailed, TunnelbedError
from tunnelbed.host import shell, waiting
from tunnelbed.host.shell import Completed
from tunnelbed.topology import limits, stack
from tunnelbed.topology.model import Scenario

# Below a testbed's own folder.
FOLDER = "vms"
# A file there, with the name by which every call names the testbed.
PROJECT = "project"
IMAGE = "tunnelbed/node"
# What of a service in a stack a machine makes; and what is Docker's business alone, with no effect on the network.
HONOURED = {
    *(
        "image",
        "entrypoint",
        "command",
        "cap_add",
        "cap_drop",
        "sysctls",
        "environment",
        "labels",
        "networks",
        "healthcheck",
    ),
    *("hostname", "privileged", "stop_grace_period", "init", "profiles", "expose", "depends_on", "pull_policy"),
    *limits.OTHERWISE,
}


def connect(root: Path) -> QemuEngine:
    """The engine for the testbeds of a folder; raises `EngineUnavailable` where there is no QEMU."""
    engine = QemuEngine(root, accelerator.version())
    # What is up decides; else what is known already. `start` finds out.
    for path in root.glob(f".tunnelbed/*/{FOLDER}/{vm_supervisor.MACHINES}"):
        with contextlib.suppress(StopIteration, *vm_supervisor.UNREADABLE):
            engine.believe(path)
            break
    return engine


class QemuEngine:
    """See `engines.Engine` for what each method promises."""

    name = "qemu"
    own_clocks = True
    takes = ENGINE.takes
    # Seconds that a supervisor has to end its machines.
    end_seconds = 10.0

    def __init__(self, root: Path, version: str) -> None:
        self.root, self.version = root, version
        self._found: Accelerator | None = None
        self._kernel = ""
        self._renewing = threading.Lock()
        # Of each project that was asked for, the last known.
        self._folders: dict[str, Path] = {}

    def provide(self, images: Sequence[str], platform: str, progress: Progress) -> Mapping[str, str]:
        """As `Engine.provide`: all nodes share the files of one image."""
        own = accelerator.architecture().platform
        if platform not in ("", own):
            raise BadInput("--platform", "", platform, f"{own}, this machine's own", "omit it, or use --engine docker")
        return {name: str(files.ensure(progress)) for name in images if name == IMAGE}

    def build(self, scenario: Scenario, state: Path, platform: str, progress: Progress) -> None:
        """As `Engine.build`: there is one kind of machine."""
        del state, platform, progress
        for name, service in stack.read(scenario.stack).said.section("services").sections():
            if scenario.nodes[name].build:
                raise service.bad("build", "it", f"the image {IMAGE}, which a VM boots", "use --engine docker")

    def called(self, image: str, platform: str) -> str:
        """As `Engine.called`: the folder of files, the same for all; what else is named, `start` refuses."""
        del platform
        return str(files.current()) if image == IMAGE else image

    def runs(self, project: str) -> Mapping[str, str]:
        """As `Engine.runs`."""
        with contextlib.suppress(*vm_supervisor.UNREADABLE):
            return {machine.node: machine.files for machine in vm_supervisor.read(self._folder(project))}
        return {}

    def start(self, plan: Plan, progress: Progress) -> None:
        """As `Engine.start`: a supervisor is started, with the list of machines."""
        _refuse_what_cannot_work(plan)
        shared = Path(plan.images[IMAGE])
        self._learn(files.find_accelerator(shared, progress), shared)
        folder = plan.state / FOLDER
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        (folder / PROJECT).write_text(plan.project, encoding="utf-8")
        vm_supervisor.write(folder, self._made(plan, folder, plan.scenario.nodes))
        accelerated = self._accelerator
        progress(
            f"starting {len(plan.scenario.nodes)} machines on {len(plan.scenario.networks)} networks, "
            f"by {accelerated.name}{': be patient' if accelerated.emulates else ''}"
        )
        with SupervisorClient(folder).listen() as listener, (folder / "supervisor.log").open("wb") as said:
            # A child of nobody's: it goes on when we have ended.
            words = ["setsid", "--fork", sys.executable, "-m", vm_supervisor.__name__, str(folder)]
            shell.start(words, stdin=listener.fileno(), output=said).wait()

    def stop(self, project: str, state: Path) -> Mapping[str, int]:
        """As `Engine.stop`."""
        del project
        folder = state / FOLDER
        if not folder.exists():
            return {}
        answer = SupervisorClient(folder).ask("end", within=waiting.stretched(self.end_seconds))
        if answer is None:
            _end_by_force(folder)
        known: Sequence[Machine] = ()
        with contextlib.suppress(*vm_supervisor.UNREADABLE):
            known = vm_supervisor.read(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return {"VM": len(known), "network": len({network for machine in known for network, _ in machine.nics})}

    def networks(self, project: str) -> Mapping[str, str]:
        """As `Engine.networks`."""
        with contextlib.suppress(*vm_supervisor.UNREADABLE):
            machines_of = vm_supervisor.read(self._folder(project))
            return {network: "segment" for machine in machines_of for network, _ in machine.nics}
        return {}

    def states(self, project: str) -> Mapping[str, str]:
        """As `Engine.states`; `dead` is a machine that its supervisor has left."""
        folder = self._folder(project)
        if (answer := SupervisorClient(folder).ask("states", within=waiting.stretched(self.end_seconds))) is not None:
            return dict(answer)
        with contextlib.suppress(*vm_supervisor.UNREADABLE):
            return {machine.node: "dead" for machine in vm_supervisor.read(folder)}
        return {}

    def run(
        self, project: str, node: str, command: Sequence[str], *, stdin: bytes = b"", check: bool = True
    ) -> Completed:
        """As `Engine.run`."""
        stream = self.open(project, node, command)
        try:
            # A command may end before it has read everything: its status is the answer.
            with contextlib.suppress(ConnectionError):
                stream.send(stdin)
            stream.end()
            out, err = stream.all()
        finally:
            stream.close()
        if stream.status is None:
            raise NodeFailed(node, "the VM stopped while a command ran", "see `invoke logs`")
        completed = Completed(tuple(command), stream.status, out.decode(errors="replace"), err.decode(errors="replace"))
        if check and stream.status:
            raise CommandFailed(command, stream.status, completed.output, node)
        return completed

    def open(self, project: str, node: str, command: Sequence[str]) -> Conversation:
        """As `Engine.open`."""
        shell.log.info("%s", shell.quoted([*self._by_hand(project, node), *command[:2]]))
        return SupervisorClient(self._folder(project)).run(node, command)

    def terminal(self, project: str, node: str, command: Sequence[str]) -> Sequence[str]:
        """As `Engine.terminal`."""
        self._known(project, node)
        return [*self._by_hand(project, node), *command]

    def follow(self, project: str, node: str) -> Sequence[str]:
        """As `Engine.follow`."""
        return ["tail", "--lines", "+1", "--follow", str(self._known(project, node).log)]

    def log(self, project: str, node: str, since: str = "") -> str:
        """As `Engine.log`: the node's log and, if its machine did not start, the output of the kernel and of QEMU."""
        machine = self._known(project, node)
        if since:
            with machine.log.open("rb") as log:
                log.seek(int(since))
                return log.read().decode(errors="replace")
        said = ""
        for path in (machine.log, machine.said, machine.console):
            if not said and path.exists():
                said = path.read_text(encoding="utf-8", errors="replace")
        return said

    def mark(self, project: str, node: str) -> str:
        """As `Engine.mark`: the length of the log."""
        log = self._known(project, node).log
        return str(log.stat().st_size) if log.exists() else ""

    def describe(self) -> Mapping[str, str]:
        """As `Engine.describe`."""
        facts = {"engine": f"QEMU {self.version}"}
        if self._found:
            facts |= {"kernel": self._kernel, "accelerator": self._found.name}
        return facts

    def renew(self, plan: Plan, node: str) -> None:
        """As `Engine.renew`."""
        folder = plan.state / FOLDER
        with self._renewing:
            # What others have renewed meanwhile stays as it is, whatever this plan says of it.
            (made,) = self._made(plan, folder, [node])
            vm_supervisor.write(folder, [made if one.node == node else one for one in vm_supervisor.read(folder)])
        self.restart(plan.project, node)

    def machine(self, command: Sequence[str]) -> Completed:
        """As `Engine.machine`: that machine is this one."""
        return shell.run(command)

    def devices(self, project: str) -> Collection[str]:
        """As `Engine.devices`: none, since the machines are joined by sockets."""
        del project
        return ()

    def restart(self, project: str, node: str) -> None:
        """As `Engine.restart`."""
        self._known(project, node)
        if SupervisorClient(self._folder(project)).ask("restart", node=node) is None:
            raise NodeFailed(node, "its VM supervisor has ended", "take the testbed down, then bring it up again")

    def usage(self, project: str) -> Usage:
        """As `Engine.usage`: what the kernel counts for each machine's process (proc(5), VmHWM, utime, stime).

        The pages that all of them map from the same files, QEMU's own program most of all, count once.
        """
        said = SupervisorClient(self._folder(project)).ask("processes")
        counted = [usage.of(int(number)) for number in (said or {}).values()]
        if not counted:
            raise TunnelbedError("no VM runs, so its memory cannot be measured; bring the testbed up first")
        own = sum(one.peak - one.shared for one in counted)
        return Usage(own + max(one.shared for one in counted), sum(one.seconds for one in counted))

    @property
    def _accelerator(self) -> Accelerator:
        return self._found or accelerator.emulation()

    def believe(self, path: Path) -> None:
        """Kernel and accelerator, by the testbeds that are up."""
        machine = next(iter(vm_supervisor.read(path.parent)))
        self._learn(machine.accelerator, Path(machine.files))

    def _learn(self, found: Accelerator, shared: Path) -> None:
        self._found, self._kernel = found, files.release(shared)
        waiting.be_patient(found.patience)

    def _made(self, plan: Plan, folder: Path, nodes: Collection[str]) -> Sequence[Machine]:
        """The machines of some nodes, whose settings are written."""
        every = machines(plan, Path(plan.images[IMAGE]), self._accelerator, folder)
        made = [machine for machine in every if machine.node in nodes]
        for machine in made:
            vm_supervisor.put(machine.settings, settings(plan, plan.scenario.nodes[machine.node], machine.nics))
        return made

    def _folder(self, project: str) -> Path:
        """The folder of a testbed, in which `start` wrote its project; one that does not exist if it is not up."""
        if project not in self._folders or not self._folders[project].exists():
            for note in self.root.glob(f".tunnelbed/*/{FOLDER}/{PROJECT}"):
                with contextlib.suppress(OSError):  # it has just been taken down
                    self._folders[note.read_text(encoding="utf-8")] = note.parent
        return self._folders.get(project, self.root / ".tunnelbed" / "none")

    def _known(self, project: str, node: str) -> Machine:
        with contextlib.suppress(*vm_supervisor.UNREADABLE):
            for machine in vm_supervisor.read(self._folder(project)):
                if machine.node == node:
                    return machine
        raise NodeFailed(node, "does not run", "bring the testbed up first")

    def _by_hand(self, project: str, node: str) -> list[str]:
        return [sys.executable, "-m", "tunnelbed.engines.qemu.terminal", str(self._folder(project)), node]


def _refuse_what_cannot_work(plan: Plan) -> None:
    for name, service in stack.read(plan.scenario.stack).said.section("services").sections():
        node = plan.scenario.nodes[name]
        if node.image != (service.said.get("image") or ""):
            raise BadInput("--image", "", node.image, "--engine docker", "a VM is made of the node image")
        if node.image != IMAGE:
            advice = "use that image, or --engine docker"
            raise service.bad("image", node.image or "none", f"{IMAGE}, the image that a VM boots", advice)
        for key, value in service.said.items():
            if value is not None and key not in HONOURED and not str(key).startswith("x-"):
                advice = "remove it, or use --engine docker"
                raise service.bad(
                    str(key), "it", f"only keys that a VM supports: {', '.join(sorted(HONOURED))}", advice
                )


def _end_by_force(folder: Path) -> None:
    """End a supervisor that does not answer, if that number is still its own."""
    with contextlib.suppress(OSError, ValueError):
        number = int((folder / vm_supervisor.NUMBER).read_text(encoding="utf-8"))
        if str(folder).encode() in Path(f"/proc/{number}/cmdline").read_bytes():
            os.kill(number, signal.SIGKILL)
