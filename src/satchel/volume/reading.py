"""Reading files of a folder. What the kernel holds in memory is read at once, everything else in a thread: the loop waits for no disk.

`openat2` with RESOLVE_CACHED and `preadv` with RWF_NOWAIT are how the kernel says which it is; where it cannot say, a thread does it.
"""

import asyncio
import ctypes
import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from satchel.volume import Content
from satchel.volume.part import stamp_of

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OPENAT2, RESOLVE_CACHED, AT_FDCWD = 437, 0x20, -100
_BYTE = bytearray(1)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW = _How(FLAGS, 0, RESOLVE_CACHED)
_syscall = ctypes.CDLL(None).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_How), ctypes.c_size_t)


class File(Content):
    """Takes over the file descriptor of a regular file. `threads` do the reads that have to wait for the disk."""

    def __init__(self, fd: int, threads: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._threads = threads
        found = os.fstat(fd)
        self.size = found.st_size
        self.stamp = stamp_of(found)

    async def read(self, offset: int, size: int) -> bytes:
        if _in_memory(self._fd, offset) and _in_memory(self._fd, offset + size - 1):
            return os.pread(self._fd, size, offset)
        return await asyncio.get_running_loop().run_in_executor(self._threads, os.pread, self._fd, size, offset)

    def close(self) -> None:
        os.close(self._fd)


def open_cached(path: str) -> int | None:
    """A descriptor of a regular file whose path the kernel can walk without waiting; None for anything else: ask in a thread."""
    fd = int(_syscall(OPENAT2, AT_FDCWD, path.encode(), _HOW, ctypes.sizeof(_How)))
    if fd < 0:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def open_regular(path: Path | str) -> int:
    """Open for reading; neither a link nor a FIFO somebody put in the file's place is followed or waited for."""
    try:
        fd = os.open(path, FLAGS)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, a socket
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
    return fd


def open_plain(path: Path) -> BinaryIO:
    """A file of the volume, unbuffered. Raises FileNotFoundError for a link, a FIFO or a folder in its place."""
    return os.fdopen(open_regular(path), "rb", buffering=0)


def _in_memory(fd: int, offset: int) -> bool:
    try:
        return os.preadv(fd, [_BYTE], offset, os.RWF_NOWAIT) == 1
    except OSError:  # EAGAIN: on the disk; EOPNOTSUPP: this file system cannot tell
        return False
