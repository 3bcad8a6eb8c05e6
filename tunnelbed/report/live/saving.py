"""Captures that a page starts and stops: files of a testbed's packets, fed by what is watched anyway."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunnelbed.engines.agents import Frame
from tunnelbed.errors import BadInput
from tunnelbed.testbed import capture
from tunnelbed.testbed.capturing import Capturing
from tunnelbed.testbed.testbed import Testbed

# Captures at a time, bytes of a file after which it ends, and frames that may wait to be written.
AT_ONCE, LARGEST, WAITING = 4, 200_000_000, 20_000


class Saved:
    """One capture: its file while it is written, and afterwards."""

    def __init__(self, number: int, path: Path, network: str) -> None:
        self.number, self.path, self.network = number, path, network
        self._file = capture.File(path, Capturing(network=network))
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.taken = self.lost = 0
        self.why = ""
        self._failed: OSError | None = None
        self._writing = threading.Thread(target=self._write, name=f"capture {number}", daemon=True)
        self._writing.start()

    @property
    def running(self) -> bool:
        """Whether it is still written."""
        return self._writing.is_alive()

    def hear(self, frame: Frame) -> None:
        """Take a frame from a node, in a thread of its own."""
        if self.network and (frame.interface != self.network or not frame.outgoing):
            return
        with self._lock:
            if self._ended.is_set():
                return
            if self.taken - self._file.written >= WAITING:
                self.lost += 1
                return
            self.taken += 1
        self._file.hear(frame)

    def stop(self, why: str = "") -> None:
        """End it; its file is whole when this returns."""
        with self._lock:
            self.why = self.why or why
            self._ended.set()
        self._writing.join()

    def full(self) -> bool:
        """Whether the file is as large as it may become."""
        return self.path.stat().st_size >= LARGEST

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "number": self.number,
            "file": str(self.path),
            "network": self.network,
            "running": self.running,
            "frames": self._file.written,
            "lost": self.lost,
            "why": str(self._failed) if self._failed else self.why,
        }

    def _write(self) -> None:
        try:
            try:
                self._file.go_on(self._ended)
            finally:
                self._file.close()
        except OSError as failed:  # a disk that is full
            self._failed = failed
            self._ended.set()


class Captures:
    """The captures of one page."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._saved: dict[int, Saved] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start(self, network: str) -> Saved:
        """Begin a file of one network, or where it is empty of all. Raises `BadInput`."""
        if network and network not in self._bed.scenario.networks:
            expected = f"one of: {', '.join(self._bed.scenario.networks)}"
            raise BadInput("network", "", repr(network), expected, "choose one of them")
        with self._lock:
            if sum(saved.running for saved in self._saved.values()) >= AT_ONCE:
                raise BadInput("capture", "", f"{AT_ONCE} running", f"at most {AT_ONCE}", "stop one of them first")
            number = next(self._numbers)
            folder = self._bed.captures
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{self._bed.name}-{time.strftime('%Y%m%d-%H%M%S')}-{number}.pcapng"
            self._saved[number] = Saved(number, path, network)
            return self._saved[number]

    def hear(self, frame: Frame) -> None:
        """Take a frame from a node."""
        for saved in list(self._saved.values()):
            saved.hear(frame)

    def bound(self) -> None:
        """End the captures whose file is as large as it may become."""
        for saved in list(self._saved.values()):
            if saved.running and saved.full():
                saved.stop(f"ended at {LARGEST // 1_000_000} MB")

    def get(self, number: int) -> Saved:
        """The capture of that number. Raises `BadInput`."""
        if number not in self._saved:
            raise BadInput("capture", "", number, "the number of a capture of this page", "choose one of them")
        return self._saved[number]

    def plain(self) -> Sequence[Mapping[str, Any]]:
        """All of them, as JSON has them."""
        return [saved.plain() for saved in list(self._saved.values())]

    def close(self) -> None:
        """End all of them."""
        for saved in list(self._saved.values()):
            saved.stop()
