"""The supervisor: a process that holds the machines of one testbed, joins them by networks, and hands commands to them.

`python -m tunnelbed.engines.qemu.vm_supervisor FOLDER` is started by the engine and runs until it gets `end`, or its
folder has gone; its machines end with it. In the folder are `machines.json` (what to hold), and `socket`, the socket at
which it listens and which it inherits as its standard input. Who connects says a line of JSON and gets one:

    {"do": "run", "node": ..., "argv": [...], "terminal": null}    then the conversation (see conversation.py)
    {"do": "states"}   {"do": "restart", "node": ...}   {"do": "processes"}   {"do": "end"}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunnelbed.engines.qemu import files
from tunnelbed.engines.qemu.accelerator import Accelerator
from tunnelbed.engines.qemu.conversation import CLOSE, EXIT, HEADER, HELLO, RUN, asked, message
from tunnelbed.engines.qemu.machine import Machine, Ports
from tunnelbed.engines.qemu.segment import Segment
from tunnelbed.engines.qemu.served import Served
from tunnelbed.errors import TunnelbedError
from tunnelbed.host import shell

# What `read` raises where `machines.json` is not there, or not as this version writes it.
UNREADABLE = (OSError, ValueError, TypeError, KeyError)
MACHINES, SOCKET, NUMBER = "machines.json", "socket", "supervisor.pid"
# Seconds between two looks whether our folder is still there.
LOOK_SECONDS = 5.0
LONGEST_LINE = 1 << 22


class Held:
    """One machine, and everything of it that is open."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.process: shell.Process | None = None
        self.state = "created"
        # Set once its guest agent has spoken, and once it is off.
        self.answers, self.off = asyncio.Event(), asyncio.Event()
        self.talk: asyncio.StreamWriter | None = None
        self.listeners: dict[int, asyncio.StreamWriter] = {}
        self.last = 0
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self.state == "running"


class Supervisor:
    """All machines of a testbed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, Held] = {}
        self.segments: dict[str, Segment] = {}
        self.ended = asyncio.Event()
        # From then on no machine is switched on.
        self.is_ending = False
        # Machines that boot at the same time: more than there are processors would only be in each other's way.
        self.booting = asyncio.Semaphore(max(len(os.sched_getaffinity(0)), 1))
        self.tasks: set[asyncio.Task[None]] = set()

    async def keep(self, listener: socket.socket) -> None:
        """Run until the request to end."""
        server = await asyncio.start_unix_server(self.serve, sock=listener, limit=LONGEST_LINE)
        for machine in read(self.folder):
            self.held[machine.node] = Held(machine)
        for held in self.held.values():
            self._begin(self.boot(held))
        self._begin(self.look())
        await self.ended.wait()
        server.close()
        for held in self.held.values():
            self.switch_off(held)

    async def look(self) -> None:
        """End when the folder has gone: it was removed by hand."""
        while (self.folder / SOCKET).exists() and not self.ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), LOOK_SECONDS)
        self.ended.set()

    async def boot(self, held: Held) -> None:
        """Start a VM, and return when its guest agent answers or it is off again."""
        async with self.booting:
            if self.held.get(held.machine.node) is not held:
                return
            await self.switch_on(held)
            waits = [asyncio.create_task(event.wait()) for event in (held.answers, held.off)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in waits:
                task.cancel()

    async def switch_on(self, held: Held) -> None:
        """Start a machine's process, joined to its networks."""
        if self.is_ending or self.ended.is_set():
            held.state = "exited"
            held.off.set()
            return
        try:
            talk, served, watch = self.start(held)
        except (TunnelbedError, OSError) as refused:
            for network, mac in held.machine.nics:
                if segment := self.segments.get(network):
                    segment.leave(mac)
            held.state = "exited"
            held.off.set()
            with contextlib.suppress(OSError):
                held.machine.said.write_text(f"{refused}\n", encoding="utf-8")
            return
        held.state = "running"
        loop = asyncio.get_running_loop()
        loop.add_reader(watch, self.has_ended, held, watch)
        for network, mac in held.machine.nics:
            nic = self.segments[network].nic(mac)
            loop.add_reader(nic, self.carry, self.segments[network], nic)
        reader, held.talk = await asyncio.open_connection(sock=talk)
        held.tasks.append(asyncio.create_task(self.hear(held, reader)))
        held.tasks.append(
            asyncio.create_task(self.serve_files(held.machine, *await asyncio.open_connection(sock=served)))
        )

    def start(self, held: Held) -> tuple[socket.socket, socket.socket, int]:
        """Start a VM's process; our ends of its ports, and its pidfd. Nothing is left if it fails."""
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            (talk, talk_theirs), (served, served_theirs) = _pair(ours, theirs), _pair(ours, theirs)
            nics = [
                theirs.enter_context(self.segments.setdefault(network, Segment()).join(mac))
                for network, mac in held.machine.nics
            ]
            ports = Ports(talk_theirs.fileno(), served_theirs.fileno(), [nic.fileno() for nic in nics])
            with held.machine.said.open("wb") as said:
                fds = [ports.talk, ports.files, *ports.nics]
                held.process = shell.start(held.machine.command(ports), fds=fds, output=said)
            ours.callback(held.process.wait)
            ours.callback(held.process.kill)
            watch = os.pidfd_open(held.process.pid)
            ours.pop_all()
            return talk, served, watch

    def carry(self, segment: Segment, nic: socket.socket) -> None:
        """Frames came to an interface."""
        if not segment.carry(nic):
            asyncio.get_running_loop().remove_reader(nic)

    def has_ended(self, held: Held, watch: int) -> None:
        """A machine's process is over."""
        asyncio.get_running_loop().remove_reader(watch)
        os.close(watch)
        if held.process:
            held.process.wait()
        held.state = "exited"
        held.off.set()
        for network, mac in held.machine.nics:
            if self.held[held.machine.node] is held:
                nic = self.segments[network].nic(mac)
                asyncio.get_running_loop().remove_reader(nic)
                self.segments[network].leave(mac)
        for listener in held.listeners.values():
            listener.close()
        if held.talk:
            held.talk.close()

    def switch_off(self, held: Held) -> None:
        """At once, as by its plug."""
        if held.process and held.is_on:
            held.process.kill()

    async def restart(self, node: str) -> None:
        """Switch a machine off, and on again as `machines.json` has it now."""
        before = self.held[node]
        self.switch_off(before)
        if before.is_on:
            await before.off.wait()
        held = self.held[node] = Held(next(machine for machine in read(self.folder) if machine.node == node))
        await self.switch_on(held)

    async def hear(self, held: Held, reader: asyncio.StreamReader) -> None:
        """Forward what a VM's guest agent sends to its client."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                number, what, length = HEADER.unpack(await reader.readexactly(HEADER.size))
                data = await reader.readexactly(length)
                if what == HELLO:
                    held.answers.set()
                elif listener := held.listeners.get(number):
                    listener.write(message(0, what, data))
                    if what == EXIT:
                        del held.listeners[number]
                        listener.close()

    async def serve_files(self, machine: Machine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what a machine's kernel asks of its node's files."""
        served = Served({name: Path(path) for name, path in machine.top.items()})
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                start = await reader.readexactly(4)
                request = start + await reader.readexactly(struct.unpack("=I", start)[0] - 4)
                writer.write(served.answer(request))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One who connects: what is asked, then the answer."""
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                request = json.loads(await reader.readline())
                if request["do"] == "run":
                    await self.converse(request, reader, writer)
                else:
                    writer.write(json.dumps(await self.do(request)).encode() + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    async def do(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Everything but a conversation."""
        match request["do"]:
            case "states":
                return {name: held.state for name, held in self.held.items()}
            case "restart":
                await self.restart(request["node"])
                return {}
            case "processes":
                return {name: held.process.pid for name, held in self.held.items() if held.process and held.is_on}
            case "end":
                # First of all: each that goes off lets another begin to boot.
                self.is_ending = True
                running = [held for held in self.held.values() if held.is_on]
                for held in self.held.values():
                    self.switch_off(held)
                for held in running:
                    await held.off.wait()
                self.ended.set()
                return {"VM": len(self.held), "network": len(self.segments)}
        return {"error": "nothing that a supervisor does"}

    async def converse(
        self, request: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Connect a client to a command on a node, until one of them ends."""
        held = self.held.get(request["node"])
        if held:
            waits = [asyncio.create_task(event.wait()) for event in (held.answers, held.off)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in waits:
                task.cancel()
        if held is None or held.talk is None or not held.is_on:
            writer.write(json.dumps({"state": held.state if held else "not there"}).encode() + b"\n")
            return
        held.last += 1
        number = held.last
        held.listeners[number] = writer
        writer.write(json.dumps({"state": "running"}).encode() + b"\n")
        held.talk.write(message(number, RUN, asked(request["argv"], request["terminal"])))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                _, what, length = HEADER.unpack(await reader.readexactly(HEADER.size))
                held.talk.write(message(number, what, await reader.readexactly(length)))
        if held.listeners.pop(number, None):
            held.talk.write(message(number, CLOSE))

    def _begin(self, work: Any) -> None:  # noqa: ANN401 # a coroutine
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def read(folder: Path) -> Sequence[Machine]:
    """The VMs that a supervisor runs."""
    said = json.loads((folder / MACHINES).read_text(encoding="utf-8"))
    return [Machine(**{**one, "accelerator": Accelerator(**one["accelerator"])}) for one in said]


def write(folder: Path, machines: Sequence[Machine]) -> None:
    """Write the list of VMs for a supervisor."""
    put(folder / MACHINES, json.dumps([asdict(machine) for machine in machines]))


def put(path: Path, text: str) -> None:
    """Write a file that others may read at any moment: they see the one before or this, whole."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as unfinished:
        unfinished.write(text)
    Path(unfinished.name).replace(path)


def _pair(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """A pair of sockets, one end for us and one for a machine."""
    our, their = socket.socketpair()
    return ours.enter_context(our), theirs.enter_context(their)


def main() -> None:
    """Keep the machines of the folder that is named."""
    folder = Path(sys.argv[1])
    (folder / NUMBER).write_text(str(os.getpid()), encoding="utf-8")
    listener = socket.socket(fileno=os.dup(0))
    with files.in_use(Path(read(folder)[0].files)):
        asyncio.run(_keep(folder, listener))


async def _keep(folder: Path, listener: socket.socket) -> None:
    await Supervisor(folder).keep(listener)


if __name__ == "__main__":
    main()
