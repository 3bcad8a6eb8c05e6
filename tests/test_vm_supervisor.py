"""The supervisor of the QEMU engine by itself: what it does where a machine cannot be started, or may not."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tunnelbed.engines.qemu import vm_supervisor
from tunnelbed.engines.qemu.accelerator import Accelerator
from tunnelbed.engines.qemu.machine import Machine
from tunnelbed.engines.qemu.vm_supervisor import Held, Supervisor
from tunnelbed.host import shell


def machine(folder: Path) -> Machine:
    return Machine(
        "n", str(folder), "/files", Accelerator("none", (), 1), 128, 1, [("inside", "02:00:00:00:00:01")], {}
    )


def opened() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def nothing() -> None:
    """What most tests need before a machine boots."""


def boots(folder: Path, *, ending: bool = False, prepare: Callable[[], object] = nothing) -> Held:
    """What becomes of a machine that is told to boot."""

    async def boot() -> Held:
        held = Held(machine(folder))
        kept = Supervisor(folder)
        kept.held["n"] = held
        kept.is_ending = ending
        before = opened()
        # Only now: asyncio needs sockets for itself.
        prepare()
        await asyncio.wait_for(kept.boot(held), 10)
        assert opened() == before
        return held

    return asyncio.run(boot())


def test_no_machine_boots_while_all_are_being_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> None:
        pytest.fail("it was started")

    monkeypatch.setattr(shell, "start", start)
    held = boots(tmp_path, ending=True)
    assert (held.state, held.off.is_set()) == ("exited", True)


@pytest.mark.parametrize("calls", range(4))
def test_a_machine_without_descriptors_is_off_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    left = calls
    makes, begins = socket.socketpair, os.pidfd_open

    def full() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def pair(*said: int) -> tuple[socket.socket, socket.socket]:
        full()
        return makes(*said)

    def watch(number: int) -> int:
        full()
        return begins(number)

    begun: list[shell.Process] = []
    start = shell.start

    def sleep(_: object, fds: list[int], output: object) -> shell.Process:
        begun.append(start(["sleep", "100"]))
        return begun[-1]

    monkeypatch.setattr(shell, "start", sleep)

    def prepare() -> None:
        monkeypatch.setattr(socket, "socketpair", pair)
        monkeypatch.setattr(os, "pidfd_open", watch)

    held = boots(tmp_path, prepare=prepare)
    monkeypatch.undo()
    assert (held.state, held.off.is_set()) == ("exited", True)
    assert "Too many open files" in held.machine.said.read_text()
    assert [process.poll() for process in begun] == [-9] * (calls == 3)


def test_what_a_keeper_is_told_is_whole_at_any_moment(tmp_path: Path) -> None:
    vm_supervisor.write(tmp_path, [machine(tmp_path)])
    with (tmp_path / vm_supervisor.MACHINES).open() as before:
        vm_supervisor.write(tmp_path, [])
        assert before.read().startswith('[{"node": "n"')
    assert vm_supervisor.read(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [vm_supervisor.MACHINES]
