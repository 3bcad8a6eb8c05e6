"""Packets of nodes, written live to a file for Wireshark."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.engines import Progress
from tunnelbed.engines.agents import Agent, Frame
from tunnelbed.errors import BadInput, TunnelbedError
from tunnelbed.host import shell, waiting
from tunnelbed.observe.pcapng import Pcapng
from tunnelbed.testbed import tunnels
from tunnelbed.testbed.capturing import Capturing
from tunnelbed.testbed.testbed import Testbed
from tunnelbed.vpn.api import Feature, Keys

# Frames of several nodes come in any order. Those of the last moments wait for what may still come before them; both
# in seconds, stretched.
EVERY, LAG = 0.2, 0.3


@dataclass(frozen=True)
class Captured:
    """How many frames the file has, the keys that gateways agreed on meanwhile, and which nodes lost some frames."""

    frames: int
    keys: Keys | None
    lost: tuple[TunnelbedError, ...]


def target(bed: Testbed, wanted: Capturing, *, terminal: bool) -> Path | None:
    """The file to write: as it is named, else one of its own below `bed.captures`; None for `-`, standard output.

    Its folder is made. Raises `BadInput` where keys cannot lie beside it, or standard output is a terminal.
    """
    output, keys = wanted.output, wanted.keys
    if output == "-":
        if keys or terminal:
            found = "--keys with it" if keys else "a terminal"
            expected = "a program that reads pcapng, and no --keys"
            raise BadInput("--output -", "", found, expected, "name a file instead")
        return None
    file = Path(output) if output else bed.captures / f"{bed.name}-{time.strftime('%Y%m%d-%H%M%S')}.pcapng"
    folder = keys_beside(file)
    if keys and folder.exists() and not folder.is_dir():
        raise BadInput(str(folder), "", "a file", "a folder for the keys, or a free name", "rename the file")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def wireshark(folder: Path, file: Path) -> str:
    """The command that opens a capture with the keys of a folder."""
    return shell.quoted(["env", f"WIRESHARK_CONFIG_DIR={folder}", "wireshark", str(file)])


def keys_beside(file: Path) -> Path:
    """The folder with the keys for a captured file, as Wireshark's configuration."""
    return file.with_suffix(".keys")


def capture(bed: Testbed, wanted: Capturing, to: Path | int, progress: Progress) -> Captured:
    """Write what is wanted to a path, or to a descriptor, until the time has passed or Ctrl-C.

    Of one network each packet is written once, as its sender had it; of a node, or of all, whatever they see.
    """
    nodes = _nodes(bed, wanted)
    # Who cannot be asked is told of before there is a file.
    bed.agents.each(nodes, lambda agent: agent.sync())
    with contextlib.ExitStack() as stack:
        daemons = [bed.node(gateway).able(Feature.KEYLOG) for gateway in bed.gateways()] if wanted.keys else []
        if wanted.keys:
            stack.enter_context(bed.proven_alone())
        for daemon in daemons:
            daemon.awaited()
            stack.enter_context(daemon.keylog())
        file = stack.enter_context(contextlib.closing(File(to, wanted)))
        bed.agents.each(nodes, lambda agent: agent.watch(file.hear))
        progress(f"capturing at {', '.join(nodes)}{'' if wanted.seconds else '; Ctrl-C ends it'}")
        # Written by a thread of its own, which no Ctrl-C interrupts halfway.
        ended = threading.Event()
        writing = stack.enter_context(ThreadPoolExecutor(max_workers=1)).submit(file.go_on, ended)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                if wanted.keys:
                    progress("setting the tunnels up again")
                    tunnels.renew(bed)
                wait([writing], wanted.seconds or None)
        finally:
            ended.set()
        writing.result()
        found: Keys | None = None
        for daemon in daemons:
            found = daemon.keys() if found is None else found + daemon.keys()
        lost = _synced(bed, nodes)
    return Captured(file.written, found, lost)


class File:
    """The file, and the frames that wait for those before them."""

    def __init__(self, to: Path | int, wanted: Capturing) -> None:
        self._wanted, self._pcapng = wanted, Pcapng(to)
        self._heard: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._waiting: list[Frame] = []
        self.written = 0

    def hear(self, frame: Frame) -> None:
        """Take a frame from a node, in a thread of its own."""
        network, alone = self._wanted.network, not self._wanted.node
        if not network or (frame.interface == network and (frame.outgoing or not alone)):
            self._heard.put(frame)

    def write(self, until: float) -> None:
        """Write what was seen before that moment, in seconds since the epoch, in the order of time."""
        while not self._heard.empty():
            self._waiting.append(self._heard.get())
        ready = sorted((frame for frame in self._waiting if frame.at < until), key=lambda frame: frame.at)
        self._waiting = [frame for frame in self._waiting if frame.at >= until]
        for frame in ready:
            self._pcapng.write(frame, f"{frame.node} {frame.interface}")
        self.written += len(ready)
        self._pcapng.flush()

    def go_on(self, ended: threading.Event) -> None:
        """Write as it comes, until that is over."""
        while not ended.wait(EVERY):
            self.write(time.time() - waiting.stretched(LAG))

    def close(self) -> None:
        """Write the rest and end the file."""
        try:
            self.write(float("inf"))
        finally:
            self._pcapng.close()


def _synced(bed: Testbed, nodes: Sequence[str]) -> tuple[TunnelbedError, ...]:
    """Return when each node has sent its last frame; the errors of nodes that lost some."""
    lost: list[TunnelbedError] = []

    def sync(agent: Agent) -> None:
        try:
            agent.sync()
        except TunnelbedError as failed:
            lost.append(failed)

    bed.agents.each(nodes, sync)
    return tuple(lost)


def _nodes(bed: Testbed, wanted: Capturing) -> Sequence[str]:
    """The nodes that see what is wanted. Raises `BadInput`."""
    scene, network = bed.scenario, wanted.network
    if network and network not in scene.networks:
        expected = f"one of: {', '.join(scene.networks)}"
        raise BadInput("--network", "", repr(network), expected, "choose one of them")
    if not wanted.seconds >= 0:
        raise BadInput("--seconds", "", wanted.seconds, "0 or more", "correct it")
    nodes = [bed.scenario.node(wanted.node)] if wanted.node else list(scene.nodes.values())
    found = [node.name for node in nodes if not network or network in {at.network for at in node.attachments}]
    if not found:
        its = ", ".join(at.network for at in nodes[0].attachments)
        raise BadInput("--network", "", network, f"one of {wanted.node}'s: {its}", "choose one of them")
    return found
