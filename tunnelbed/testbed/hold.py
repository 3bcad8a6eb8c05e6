"""A testbed's folder, and its locks: one `up` or `down`, and one run of its features at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunnelbed.errors import BadInput


@dataclass(frozen=True)
class Hold:
    """A testbed's folder `state`, which exists only while it has content or is locked."""

    state: Path
    testbed: str

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the folder against any other `up` or `down`; if empty, it is removed at the end."""
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

    @contextlib.contextmanager
    def proven_alone(self) -> Iterator[None]:
        """Lock the testbed against other runs of its features, which would fail by what this one breaks.

        Raises `BadInput` where somebody is at it. Bringing it up, down, and looking at it are not held back.
        """
        mark = self.state / "proven"
        with self.alone():
            try:
                held = os.open(mark, os.O_CREAT | os.O_RDONLY, 0o600)
            except PermissionError as refused:
                advice = "run it as the user who brought the testbed up"
                raise BadInput(str(self.state), "", "a folder of another user", "your own", advice) from refused
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                os.close(held)
                advice = "wait for its end, or use another copy (`-D instance=2`, `--instance 2`)"
                raise BadInput(self.testbed, "", "another run of its features", "one run at a time", advice) from taken
        try:
            yield
        finally:
            with self.alone():
                # `down` may have removed it, and somebody else made another one.
                if mark.exists() and mark.stat().st_ino == os.fstat(held).st_ino:
                    mark.unlink()
            os.close(held)


def _lock(folder: Path) -> int | None:
    """A descriptor with the lock, or None if the folder was removed while another process had it.

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
