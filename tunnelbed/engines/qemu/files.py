"""The files that all machines share: the kernel, what it starts with, and the root file system. Made once.

They lie in `.cache/vm/FINGERPRINT/`, named for all that they are made from. Making them needs Docker's builder; running
machines from them needs no Docker.

    python -m tunnelbed.engines.qemu.files          make them, if they are not there
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import select
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tunnelbed.engines.images.bake import CACHE, RECIPE, ROOT, Bakery, Progress
from tunnelbed.engines.images.node_images import NODE_SCRIPTS, UNATTESTED, fingerprint, one_at_a_time
from tunnelbed.engines.qemu import accelerator
from tunnelbed.engines.qemu.accelerator import Accelerator
from tunnelbed.engines.qemu.machine import MEMORY, Machine, Ports
from tunnelbed.errors import DeadlinePassed, TunnelbedError
from tunnelbed.host import shell, waiting

VM_SCRIPTS = ROOT / "scripts" / "vm"
TARGET = "machine-files"
# Seconds in which a kernel boots on a processor that carries it out itself, several times over.
TRIAL_SECONDS = 15.0
# What a machine on trial is told: be a node that does nothing.
TRIAL = (
    "node=trial\nlimits=\ntunnel=\nsettings() { :; }\n"
    'within() { exec env -i PATH=/usr/lib/tunnelbed:/bin "$@"; }\nset -- rest\n'
)


def current() -> Path:
    """Where the files are, once they are made: what they are made from is in its name."""
    return CACHE / "vm" / fingerprint([RECIPE, NODE_SCRIPTS, VM_SCRIPTS], ROOT)


def ensure(progress: Progress) -> Path:
    """The folder of the files, made if it must be. Raises `ImageFailed` or `EngineUnavailable`."""
    if not (made := current()).exists():
        with one_at_a_time():
            if not made.exists():
                progress("making the kernel and root file system of the VMs (once)")
                _make(made, progress)
    return made


def release(folder: Path) -> str:
    """The name of the kernel."""
    return (folder / "release").read_text(encoding="utf-8").strip()


def find_accelerator(folder: Path, progress: Progress) -> Accelerator:
    """KVM, if it boots this kernel here, else software emulation; tried once for each kernel, ours and the host's."""
    if found := accelerator.chosen():
        return found
    note = folder.parent / "accelerators.json"
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):  # none, or one that is broken: it is found out anew
        known = dict(json.loads(note.read_text(encoding="utf-8")))
    key = f"{folder.name} on {platform.release()}"
    if key not in known:
        progress("testing whether KVM boots this kernel here (once)")
        known[key] = "kvm" if boots(folder, accelerator.kvm()) else "tcg"
        note.write_text(json.dumps(known), encoding="utf-8")
    return accelerator.kvm() if known[key] == "kvm" else accelerator.emulation()


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """While the body runs, the files stay, even if newer ones are made."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield
    finally:
        os.close(held)


def _make(folder: Path, progress: Progress) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    bakery = Bakery.open([accelerator.architecture().platform], progress)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as scratch:
        # Quoted as a CSV field: a path may hold a comma.
        output = f'type=local,"dest={scratch}/files"'
        bakery.bake([TARGET], [*UNATTESTED[1:], "--set", f"{TARGET}.output={output}"], progress)
        Path(scratch, "files").rename(folder)
    for other in folder.parent.iterdir():
        if other.is_dir() and other != folder:
            _remove_unused(other)


def _remove_unused(folder: Path) -> None:
    """Remove files that newer ones replace, unless machines run from them."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except BlockingIOError:
        return
    finally:
        os.close(held)


def boots(folder: Path, candidate: Accelerator) -> bool:
    """Whether a machine gets as far as its guest agent's first word."""
    (talk, talk_theirs), (served, served_theirs) = socket.socketpair(), socket.socketpair()
    with tempfile.TemporaryDirectory() as scratch, talk, talk_theirs, served, served_theirs:
        machine = Machine("trial", scratch, str(folder), candidate, MEMORY, 1, [], {})
        machine.settings.write_text(TRIAL, encoding="utf-8")
        ports = Ports(talk_theirs.fileno(), served_theirs.fileno(), [])
        process = shell.start(machine.command(ports), fds=(ports.talk, ports.files))

        def spoke() -> bool:
            return bool(select.select([talk], [], [], 0)[0])

        try:
            waiting.until(lambda: spoke() or process.poll() is not None, TRIAL_SECONDS, "a machine to boot", every=0.1)
        except DeadlinePassed:
            return False
        finally:
            process.kill()
            process.wait()
        return spoke()


def main() -> int:
    """Make the files; print their folder and the accelerator."""

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 (a command)

    try:
        version = accelerator.version()
        folder = ensure(say)
        say(f"QEMU {version}, Linux {release(folder)}, by {find_accelerator(folder, say).name}: {folder}")
    except TunnelbedError as error:
        say(f"tunnelbed: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
