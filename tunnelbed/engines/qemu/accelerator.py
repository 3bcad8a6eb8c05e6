"""Who carries out a machine's instructions: the processor by KVM, where that boots our kernel, or QEMU in software."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.errors import BadInput, EngineUnavailable
from tunnelbed.host import shell

VARIABLE = "TUNNELBED_ACCELERATOR"
KVM = Path("/dev/kvm")
# The first with `-netdev dgram`.
OLDEST = (7, 2)


@dataclass(frozen=True)
class Architecture:
    """A processor architecture: QEMU's options for it, and Debian's name."""

    program: str
    package: str
    platform: str
    board: str
    serial: str
    processor: str
    # Where it is emulated. On x86, a kernel finds out at its start how fast the processor counts; on a busy machine it
    # mistakes that, and its clock is wrong for ever after: it ran at 0.88 to 0.99 of its speed. The HPET says its own.
    clock: str


ARCHITECTURES = {
    # la57: page tables of five levels, which emulation would walk for nothing. cx16: after cmpxchg16b, QEMU 7.2 may
    # show rubbish as flags (seen once: a kernel that died of it in its allocator); the kernel does without.
    "x86_64": Architecture(
        "qemu-system-x86_64", "qemu-system-x86", "linux/amd64", "q35", "ttyS0", "max,-la57,-cx16", "clocksource=hpet"
    ),
    "aarch64": Architecture("qemu-system-aarch64", "qemu-system-arm", "linux/arm64", "virt", "ttyAMA0", "max", ""),
}


@dataclass(frozen=True)
class Accelerator:
    """An accelerator: its name, its options for QEMU, and the factor by which all takes longer."""

    name: str
    words: Sequence[str]
    patience: float
    # For the kernel.
    clock: str = ""

    @property
    def emulates(self) -> bool:
        """Whether it is software that carries out the instructions."""
        return self.patience > 1


def kvm() -> Accelerator:
    """The processor itself."""
    return Accelerator("KVM", ("-accel", "kvm", "-cpu", "host"), 1)


def emulation() -> Accelerator:
    """Software. Its cache of translated code is kept small: by itself it would take a gigabyte, if it could.

    A machine's processors take turns. Side by side, one may go on with code as it was before another changed it, as
    Linux does whenever it turns a static key: kernels died of a breakpoint that was gone already ("Oops: int3", seen
    with QEMU 7.2 and 10.0; docs/kernel-lane.md).
    """
    here = architecture()
    words = ("-accel", "tcg,thread=single,tb-size=32", "-cpu", here.processor)
    return Accelerator("software emulation", words, 10, here.clock)


def architecture() -> Architecture:
    """This machine's; raises `EngineUnavailable` where none of ours."""
    found = ARCHITECTURES.get(platform.machine())
    if found is None:
        raise EngineUnavailable(f"the QEMU engine supports {' and '.join(ARCHITECTURES)}, not {platform.machine()}")
    return found


def version() -> str:
    """QEMU's version; raises `EngineUnavailable` where it is missing or too old."""
    here = architecture()
    if shutil.which(here.program) is None:
        raise EngineUnavailable(
            f"{here.program} is not installed; run `scripts/setup --engine qemu`, or `apt-get install {here.package}`"
        )
    if shutil.which("setpriv") is None:
        raise EngineUnavailable("setpriv is not installed; `apt-get install util-linux`")
    said = shell.run([here.program, "--version"]).stdout
    found = re.search(r"version (\d+)\.(\d+)\S*", said)
    if not found or tuple(map(int, found.groups())) < OLDEST:
        raise EngineUnavailable(f"{here.program} is {said.split(chr(10))[0]}; {'.'.join(map(str, OLDEST))} is needed")
    return found[0].removeprefix("version ")


def chosen() -> Accelerator | None:
    """The accelerator that TUNNELBED_ACCELERATOR names, `kvm` or `tcg`, or the only one that can be; else None."""
    asked = os.environ.get(VARIABLE, "")
    if asked not in ("", "kvm", "tcg"):
        raise BadInput(VARIABLE, "", repr(asked), "kvm or tcg", "correct the variable, or unset it")
    if asked == "tcg" or (not asked and not os.access(KVM, os.R_OK | os.W_OK)):
        return emulation()
    return kvm() if asked == "kvm" else None
