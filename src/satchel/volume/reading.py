"""Reading files of a folder. What the kernel holds in memory is read at once, everything else in a thread: the loop waits for no disk.

The kernel says which it is through `openat2` with RESOLVE_CACHED, `cachestat` and RWF_NOWAIT; where it cannot, a thread does it.
"""

import asyncio
import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from satchel.volume import Content, Entry
from satchel.volume.part import stamp_of

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OPENAT2, RESOLVE_CACHED, AT_FDCWD, CACHESTAT = 437, 0x20, -100, 451
"""System calls have these numbers on every processor."""
BATCH = 500
"""Entries of a folder at a time."""
PAGE = os.sysconf("SC_PAGE_SIZE")
_BYTE = bytearray(1)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _Pages(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("cached", "dirty", "writeback", "evicted", "recently_evicted"))


_HOW, _HOW_SIZE = ctypes.byref(_How(FLAGS, 0, RESOLVE_CACHED)), ctypes.sizeof(_How)
_LOOK = ctypes.byref(_How(os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, 0, RESOLVE_CACHED))
_syscall = ctypes.CDLL(None).syscall
_syscall.restype = ctypes.c_long


class File(Content):
    """Takes over the file descriptor of a regular file. `threads` do the reads that have to wait for the disk."""

    def __init__(self, fd: int, found: os.stat_result, threads: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._threads = threads
        self.size = found.st_size
        self.stamp = stamp_of(found)

    @property
    def descriptor(self) -> int:
        return self._fd

    def is_at_hand(self, offset: int, size: int) -> bool:
        return _in_memory(self._fd, offset, size)

    async def warm(self, offset: int, size: int) -> None:
        if not self.is_at_hand(offset, size):
            await self._in_thread(offset, size)

    async def read(self, offset: int, size: int) -> bytes:
        block = bytearray(size)
        return bytes(block) if self.read_now(offset, memoryview(block)) else await self._in_thread(offset, size)

    def read_now(self, offset: int, into: memoryview) -> bool:
        try:
            return os.preadv(self._fd, (into,), offset, os.RWF_NOWAIT) == len(into)
        except OSError:  # EAGAIN: on the disk; EOPNOTSUPP: this file system cannot tell
            return False

    async def _in_thread(self, offset: int, size: int) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._threads, os.pread, self._fd, size, offset)

    def close(self) -> None:
        os.close(self._fd)


def open_cached(path: str) -> tuple[int, os.stat_result] | None:
    """A regular file whose path the kernel can walk without waiting; None for anything else: ask in a thread."""
    fd = int(_syscall(OPENAT2, AT_FDCWD, path.encode(), _HOW, _HOW_SIZE))
    if fd < 0:
        return None
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode):
        return fd, found
    os.close(fd)
    return None


def stat_cached(path: str) -> os.stat_result | None:
    """What lies at a path that the kernel has at hand; None for anything else: ask in a thread."""
    fd = int(_syscall(OPENAT2, AT_FDCWD, path.encode(), _LOOK, _HOW_SIZE))
    if fd < 0:
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def open_regular(path: Path | str) -> tuple[int, os.stat_result]:
    """Open for reading; neither a link nor a FIFO somebody put in the file's place is followed or waited for."""
    try:
        fd = os.open(path, FLAGS)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, a socket
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path)) from error
        raise
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
    return fd, found


def stamp_at(folder: int, key: str) -> str | None:
    """The stamp of a regular file below an open folder; None when there is none. Raises what the system says of anything else."""
    try:
        found = os.stat(key, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stamp_of(found) if stat.S_ISREG(found.st_mode) else None


def some_of(listing: Iterator[os.DirEntry[str]]) -> list[Entry]:
    """The next entries of a folder; one that vanishes meanwhile is left out."""
    found: list[Entry] = []
    for entry in islice(listing, BATCH):
        with contextlib.suppress(FileNotFoundError):
            looked = entry.stat(follow_symlinks=False)
            found.append(Entry(entry.name, looked.st_size, looked.st_mtime, stat.S_ISREG(looked.st_mode)))
    return found


def open_plain(path: Path) -> BinaryIO:
    """A file of the volume, unbuffered. Raises FileNotFoundError for a link, a FIFO or a folder in its place."""
    return os.fdopen(open_regular(path)[0], "rb", buffering=0)


def _in_memory(fd: int, offset: int, size: int) -> bool:
    """Whether the kernel holds all these bytes. It also counts pages still being read: hence the look at the first and the last."""
    pages = _Pages()
    if _syscall(CACHESTAT, fd, ctypes.byref(_Range(offset, size)), ctypes.byref(pages), 0) == 0:
        last, first = (offset + size - 1) // PAGE, offset // PAGE
        if pages.cached <= last - first:
            return False
    return _look(fd, offset) and _look(fd, offset + size - 1)


def _look(fd: int, offset: int) -> bool:
    try:
        return os.preadv(fd, [_BYTE], offset, os.RWF_NOWAIT) == 1
    except OSError:  # EAGAIN: on the disk; EOPNOTSUPP: this file system cannot tell
        return False
