"""A node's VM: QEMU's command line, and the arguments of the first process inside.

Everything that is not the node itself is the same for all: the kernel, the initrd, and one root file system that nobody
writes to. What a node writes stays in its memory.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.engines import Plan
from tunnelbed.engines.qemu.accelerator import Accelerator, architecture
from tunnelbed.errors import BadInput
from tunnelbed.topology.capabilities import NAMES, given
from tunnelbed.topology.model import Node

# Megabytes and processors of a machine, unless told. docs/vms.md says what was measured with less.
MEMORY, CPUS = 192, 1
LEAST_MEMORY, MOST_MEMORY, MOST_CPUS = 96, 65536, 64
# The node image's own (compose/images/Dockerfile), and what an engine for containers adds to it.
ENVIRONMENT = {
    "PATH": "/usr/lib/tunnelbed:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
}
# The one device that a machine makes where its node needs it (scripts/vm/enter).
TUN = "/dev/net/tun"
# What an engine for containers sets by itself (Docker since 20.10): any port may be listened at, and anybody may ping.
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
# quiet: an emulated serial line costs a pause for each letter. mitigations, lsm, audit, cryptomgr: they have no part in
# what is proven, and emulation pays dearly for each. tsc=reliable: else a busy machine is taken for a broken clock, and
# every look at the time becomes an access to a device. panic, reboot: what fails is off, and not started again.
KERNEL_WORDS = "console={serial} quiet panic=-1 reboot=t mitigations=off tsc=reliable lsm= audit=0 cryptomgr.notests"


@dataclass(frozen=True)
class Ports:
    """The descriptors that a machine inherits: of its ports, and of its interfaces, in the order of the stack."""

    talk: int
    files: int
    nics: Sequence[int]


@dataclass(frozen=True)
class Machine:
    """One node's VM, as the supervisor gets it: as JSON, since the supervisor is another process.

    `nics` are pairs of a network and a MAC; `top` the folders it is served; `folder` is where its own files are kept.
    """

    node: str
    folder: str
    files: str
    accelerator: Accelerator
    memory: int
    cpus: int
    nics: Sequence[tuple[str, str]]
    top: Mapping[str, str]

    @property
    def settings(self) -> Path:
        """The arguments of its first process."""
        return Path(self.folder) / f"{self.node}.settings"

    @property
    def log(self) -> Path:
        """The node's log; continued when it starts again."""
        return Path(self.folder) / f"{self.node}.log"

    @property
    def console(self) -> Path:
        """The kernel's console: empty, if all is well."""
        return Path(self.folder) / f"{self.node}.console"

    @property
    def said(self) -> Path:
        """QEMU's output: why it does not start, if so."""
        return Path(self.folder) / f"{self.node}.qemu"

    def command(self, ports: Ports) -> list[str]:
        """QEMU's command line. It ends with its supervisor, whatever ends that (prctl(2), PR_SET_PDEATHSIG)."""
        here = architecture()
        files = Path(self.files)
        command = [
            *("setpriv", "--pdeathsig", "KILL", here.program),
            *("-name", self.node, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
            *("-M", here.board, *self.accelerator.words),
            *("-m", f"{self.memory}M", "-smp", str(self.cpus)),
            *("-kernel", str(files / "vmlinux"), "-initrd", str(files / "initrd")),
            *("-append", f"{KERNEL_WORDS.format(serial=here.serial)} {self.accelerator.clock}".strip()),
            *("-serial", f"file:{_quoted(self.console)}"),
            *("-fw_cfg", f"name=opt/org.tunnelbed.settings,file={_quoted(self.settings)}"),
            *("-drive", f"if=none,id=root,format=raw,readonly=on,file={_quoted(files / 'root')}"),
            *("-device", "virtio-blk-pci,drive=root"),
            *("-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=talk,fd={ports.talk}", "-device", "virtserialport,chardev=talk,name=talk"),
            *("-chardev", f"socket,id=files,fd={ports.files}", "-device", "virtserialport,chardev=files,name=files"),
            *("-chardev", f"file,id=log,path={_quoted(self.log)},append=on"),
            *("-device", "virtserialport,chardev=log,name=log"),
        ]
        for number, ((_, mac), nic) in enumerate(zip(self.nics, ports.nics, strict=True)):
            command += ["-netdev", f"dgram,id=net{number},local.type=fd,local.str={nic}"]
            # No boot from the network: the firmware need not look for it.
            command += ["-device", f"virtio-net-pci,netdev=net{number},mac={mac},romfile="]
        return command


def machines(plan: Plan, files: Path, accelerator: Accelerator, folder: Path) -> Sequence[Machine]:
    """The machines of a scenario; raises `BadInput` for a size no machine can have."""
    memory, cpus = plan.memory or MEMORY, plan.cpus or CPUS
    if not LEAST_MEMORY <= memory <= MOST_MEMORY:
        raise BadInput("--memory", "", memory, f"{LEAST_MEMORY} to {MOST_MEMORY} MB for each node", "choose another")
    if not 1 <= cpus <= MOST_CPUS:
        raise BadInput("--cpus", "", cpus, f"1 to {MOST_CPUS} for each node", "choose another")
    return [
        Machine(
            node.name,
            str(folder),
            str(files),
            accelerator,
            memory,
            cpus,
            [(at.network, at.mac or mac(plan.project, node.name, at.network)) for at in node.attachments],
            _top(plan, node),
        )
        for node in plan.scenario.nodes.values()
    ]


def mac(project: str, node: str, network: str) -> str:
    """The MAC of a node's interface on a network: locally administered (IEEE 802, bit 1), and always the same."""
    digest = hashlib.sha256(f"{project} {node} {network}".encode()).hexdigest()
    return ":".join(["02", *(digest[at : at + 2] for at in range(0, 10, 2))])


def settings(plan: Plan, node: Node, nics: Sequence[tuple[str, str]]) -> str:
    """The settings of a node for scripts/vm/init: a shell fragment, with the node's command as its arguments."""
    needs = plan.needed(node.name)
    addresses = {at.network: " ".join(map(str, at.addresses)) for at in node.attachments}
    environment = {
        **ENVIRONMENT,
        "HOSTNAME": node.hostname or node.name,
        **node.environment,
        "TUNNELBED_INTERFACES": "".join(
            f"{plan.scenario.networks[name].interface} {found} {addresses[name]}".rstrip() + "\n"
            for name, found in nics
        ),
        **plan.environment(node.name),
    }
    kept = set(NAMES) if node.privileged else given(node)
    dropped = ",".join(f"cap_{name.lower()}" for name in NAMES if name not in kept)
    sysctls = [
        f"    sysctl {shlex.quote(key)} {shlex.quote(value)}" for key, value in (SYSCTLS | dict(node.sysctls)).items()
    ]
    words = [shlex.quote(f"{key}={value}") for key, value in environment.items()]
    return "\n".join(
        [
            # What it calls itself.
            f"node={shlex.quote(node.hostname or node.name)}",
            # As capsh(1) has it.
            f"limits={shlex.quote(f'--drop={dropped}' if dropped else '')}",
            f"tunnel={'yes' if TUN in needs.devices else ''}",
            "settings() {",
            *(sysctls or ["    :"]),
            "}",
            f'within() {{ exec env -i {" ".join(words)} "$@"; }}',
            f"set -- {shlex.join(node.command or ('rest',))}",
            "",
        ]
    )


def _top(plan: Plan, node: Node) -> Mapping[str, str]:
    """What a node finds below /etc/tunnelbed: what a container would have mounted there."""
    found = {"node": str((plan.scenario.configs / node.name).resolve())}
    return found | {mount.name: str(mount.source.resolve()) for mount in plan.needed(node.name).mounts}


def _quoted(path: Path) -> str:
    """A path as a value of QEMU's, in which a comma ends it unless there are two."""
    return str(path).replace(",", ",,")
