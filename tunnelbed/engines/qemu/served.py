"""The files of a node, as its machine reads them: a FUSE file system, answered here for each request.

The machine's kernel asks (linux/fuse.h, protocol 7.31), the guest agent hands on, and `Served.answer` looks at the
files at that moment. So a key or a rule that is written here is there at once, as by a bind mount. It is read only.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# struct fuse_in_header, fuse_out_header, fuse_attr; all in the processor's own order.
REQUEST = struct.Struct("=IIQQIIIHH")
ANSWER = struct.Struct("=IiQ")
ATTRIBUTES = struct.Struct("=QQQQQQIIIIIIIIII")
BLOCK = 4096
ROOT = 1
# What is asked without an answer: FORGET, INTERRUPT, BATCH_FORGET.
UNANSWERED = {2, 36, 42}


@dataclass
class Served:
    """One machine's files: `top` names the folders at the top, each some folder of ours, which need not exist."""

    top: Mapping[str, Path]
    # Each file asked for has a number, and the path from the top that it was asked by; a path keeps its number.
    _paths: dict[int, tuple[str, ...]] = field(default_factory=lambda: {ROOT: ()})
    _numbers: dict[tuple[str, ...], int] = field(default_factory=lambda: {(): ROOT})

    def answer(self, request: bytes) -> bytes:
        """The answer to one request, whole; empty where none is wanted."""
        _, what, unique, number, *_ = REQUEST.unpack_from(request)
        if what in UNANSWERED:
            return b""
        asked = request[REQUEST.size :]
        try:
            said, code = _HANDLERS.get(what, Served.refuse)(self, number, asked), 0
        except OSError as wrong:
            said, code = b"", -(wrong.errno or errno.EIO)
        return ANSWER.pack(ANSWER.size + len(said), code, unique) + said

    def initialise(self, _: int, asked: bytes) -> bytes:
        """INIT: the older of both protocols, and no request larger than a port takes in one go."""
        _major, minor, readahead, _flags = struct.unpack_from("=IIII", asked)
        minor = min(minor, 31)
        return struct.pack("=IIIIHHIIHHI28x", 7, minor, readahead, 0, 16, 12, BLOCK * 8, 1, 8, 0, 0)

    def lookup(self, number: int, asked: bytes) -> bytes:
        """LOOKUP: a name in a folder. Nothing is kept in the machine's cache: it may be another file at once."""
        name = os.fsdecode(asked.rstrip(b"\0"))
        if name in ("", ".", "..") or "/" in name:
            raise OSError(errno.ENOENT, "no name")
        path = (*self._paths[number], name)
        attributes = self._attributes(path)
        return struct.pack("=QQQQII", self._number(path), 0, 0, 0, 0, 0) + attributes

    def attributes(self, number: int, _: bytes) -> bytes:
        """GETATTR."""
        return struct.pack("=QII", 0, 0, 0) + self._attributes(self._path(number))

    def link(self, number: int, _: bytes) -> bytes:
        """READLINK."""
        return os.fsencode(self._place(self._path(number)).readlink())

    def open(self, number: int, asked: bytes) -> bytes:
        """OPEN and OPENDIR: every read comes here (FOPEN_DIRECT_IO would forbid mmap; so a cache is thrown away)."""
        flags = struct.unpack_from("=I", asked)[0]
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, "read only")
        self._attributes(self._path(number))
        return struct.pack("=QII", 0, 0, 0)

    def read(self, number: int, asked: bytes) -> bytes:
        """READ."""
        _, offset, size = struct.unpack_from("=QQI", asked)
        with self._place(self._path(number)).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def listing(self, number: int, asked: bytes) -> bytes:
        """READDIR: entries of 8-byte multiples, from an index on."""
        _, offset, size = struct.unpack_from("=QQI", asked)
        path = self._path(number)
        names = sorted(os.listdir(self._place(path)) if path else (n for n, p in self.top.items() if p.is_dir()))  # noqa: PTH208 # names, not paths
        said = b""
        for index, name in enumerate([".", "..", *names]):
            coded = os.fsencode(name)
            entry = struct.pack("=QQII", self._number((*path, name)), index + 1, len(coded), 0) + coded
            entry += b"\0" * (-len(entry) % 8)
            if index < offset:
                continue
            if len(said) + len(entry) > size:
                break
            said += entry
        return said

    def refuse(self, _: int, __: bytes) -> bytes:
        """Anything else."""
        raise OSError(errno.ENOSYS, "not of this file system")

    def nothing(self, _: int, __: bytes) -> bytes:
        """FLUSH, RELEASE, RELEASEDIR: nothing is kept."""
        return b""

    def space(self, _: int, __: bytes) -> bytes:
        """STATFS: a file system that is full."""
        return struct.pack("=QQQQQIII4x24x", 0, 0, 0, 0, 0, BLOCK, 255, BLOCK)

    def _number(self, path: tuple[str, ...]) -> int:
        if path not in self._numbers:
            self._numbers[path] = len(self._numbers) + ROOT
            self._paths[self._numbers[path]] = path
        return self._numbers[path]

    def _path(self, number: int) -> tuple[str, ...]:
        return self._paths[number]

    def _place(self, path: tuple[str, ...]) -> Path:
        """Where a path from the top is on this machine."""
        if path[0] not in self.top:
            raise OSError(errno.ENOENT, "no such folder")
        return self.top[path[0]].joinpath(*path[1:])

    def _attributes(self, path: tuple[str, ...]) -> bytes:
        """The result of stat(2), with the node's root as the owner."""
        if not path:
            return ATTRIBUTES.pack(ROOT, 0, 0, 0, 0, 0, 0, 0, 0, stat.S_IFDIR | 0o755, 2, 0, 0, 0, BLOCK, 0)
        place = self._place(path)
        # A folder at the top may be a link to where it really is; below, links are the node's to follow.
        found = place.stat() if len(path) == 1 else place.lstat()
        times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
        parts = (found.st_atime_ns % 10**9, found.st_mtime_ns % 10**9, found.st_ctime_ns % 10**9)
        size = found.st_size
        return ATTRIBUTES.pack(
            *(self._number(path), size, -(-size // 512), *times, *parts, found.st_mode, found.st_nlink),
            *(0, 0, 0, BLOCK, 0),
        )


_HANDLERS: Mapping[int, Callable[[Served, int, bytes], bytes]] = {
    1: Served.lookup,
    3: Served.attributes,
    5: Served.link,
    14: Served.open,
    15: Served.read,
    17: Served.space,
    18: Served.nothing,
    25: Served.nothing,
    26: Served.initialise,
    27: Served.open,
    28: Served.listing,
    29: Served.nothing,
}
