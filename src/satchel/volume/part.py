"""A file being written to a folder: aside, hashed on the way, then published by a rename. Blocks, so each step runs in a thread."""

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from satchel.volume import Stored

WRITE_BLOCK = 256 * 1024
"""Bytes; smaller ones cost clearly more."""


class Part:
    """A file being written: hashed on the way, published by a rename or discarded.

    A cancelled task leaves a step running in its thread: `discard` waits for it, and no step begins after `discard`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._step = threading.Lock()
        self._over = False
        self._fd = -1
        self._size = 0
        self._hash = hashlib.sha256()

    def create(self) -> None:
        with self._stepping():
            self._fd = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
            os.fchmod(self._fd, 0o644)  # whatever the umask: the business may read the file by its path

    def write(self, block: bytes) -> None:
        with self._stepping():
            view = memoryview(block)
            while view:
                view = view[os.write(self._fd, view) :]
            self._hash.update(block)
            self._size += len(block)

    def publish(self, path: Path) -> Stored:
        with self._stepping():
            os.fsync(self._fd)
            found = os.fstat(self._fd)
            self._close()  # NFS reports a full disk at close
            self._path.rename(path)
            _sync_folder(path.parent)
            return Stored(self._size, self._hash.hexdigest(), stamp_of(found))

    def discard(self) -> None:
        """Never raises: what cannot be removed now is swept at the next start, and what went wrong before is the news."""
        with self._step:
            self._over = True
            with contextlib.suppress(OSError):
                self._close()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        with self._step:
            if self._over:
                raise OSError(errno.EBADF, "discarded")  # nobody listens any more
            yield

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


async def coalesced(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Small network reads put together: 64 KiB writes cost clearly more."""
    waiting: list[bytes] = []
    size = 0
    async for block in body:
        waiting.append(block)
        size += len(block)
        if size >= WRITE_BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def stamp_of(found: os.stat_result) -> str:
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
