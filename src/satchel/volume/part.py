"""A file being written to a folder: aside, hashed on the way, then published by a rename. Blocks, so each step runs in a thread."""

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from satchel.volume import Stored

WRITE_BLOCK, LARGE_BLOCK = 256 * 1024, 1024 * 1024
"""Bytes written at once, and for large files; smaller ones cost clearly more."""

LONGEST_GROUP = 1000
"""Blocks; the system takes 1024 in one call."""


class Part:
    """`path`: where it is written; `durable`: whether `publish` waits for the disk.

    A cancelled task leaves a step running in its thread: `discard` waits for it, and no step begins after `discard`.
    """

    def __init__(self, path: str, durable: bool = True) -> None:
        self._path = path
        self._durable = durable
        self._step = threading.Lock()
        self._over = False
        self._ours = False
        self._fd = -1
        self._size = 0
        self._hash = hashlib.sha256()

    def create(self) -> None:
        """Begin. Raises `FileExistsError`, and what the system says of a full or absent disk, as every step does."""
        with self._stepping():
            self._fd = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
            self._ours = True
            os.fchmod(self._fd, 0o644)  # whatever the umask: the business may read the file by its path

    def adopt(self) -> None:
        """Begin with a file that somebody else has written; of its bytes `publish` says nothing."""
        with self._stepping():
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._ours = True
            os.fchmod(self._fd, 0o644)

    def write(self, blocks: list[bytes]) -> None:
        """Add to the file and to its hash."""
        with self._stepping():
            size = sum(map(len, blocks))
            if len(blocks) > LONGEST_GROUP:
                blocks = [b"".join(blocks)]
            if os.writev(self._fd, blocks) < size:
                self._write_rest(b"".join(blocks))
            for block in blocks:
                self._hash.update(block)
            self._size += size

    def publish(self, path: str) -> Stored:
        """Give the file its name. Whatever is there under that name is replaced."""
        with self._stepping():
            if self._durable:
                os.fsync(self._fd)
            found = os.fstat(self._fd)
            self._close()  # NFS reports a full disk at close
            try:
                os.rename(self._path, path)
            except FileNotFoundError:
                os.stat(self._path)  # it is there, so the volume is: the folder was tidied away
                os.mkdir(os.path.dirname(path))
                os.rename(self._path, path)
            self._path = path  # from here on a discard takes the published file back
            if self._durable:
                _sync_folder(os.path.dirname(path))
            return Stored(self._size, self._hash.hexdigest(), stamp_of(found))

    def discard(self) -> None:
        """Remove what was begun here, and nothing that lay there before.

        Never raises: what cannot be removed now is swept at the next start, and what went wrong before is the news.
        """
        with self._step:
            self._over = True
            with contextlib.suppress(OSError):
                self._close()
            with contextlib.suppress(OSError):
                if self._ours:
                    os.unlink(self._path)

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        with self._step:
            if self._over:
                raise OSError(errno.EBADF, "discarded")  # nobody listens any more
            yield

    def _write_rest(self, whole: bytes) -> None:
        """The disk took a part of a block, as it does before it says that it is full."""
        rest = memoryview(whole)[os.lseek(self._fd, 0, os.SEEK_CUR) - self._size :]
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class Place:
    """See `Scratch`. `begun`: whether something may be there; `require_room`: raises where there is none."""

    def __init__(self, path: Path, require_room: Callable[[], None]) -> None:
        self.path, self._require_room, self.begun = path, require_room, False

    def begin(self) -> Path:
        self._require_room()
        self.begun = True
        return self.path


async def gathered(body: AsyncIterator[bytes], at_least: int) -> AsyncIterator[list[bytes]]:
    """Small network reads in groups of at least so many bytes, but for the last."""
    waiting: list[bytes] = []
    size = 0
    async for block in body:
        waiting.append(block)
        size += len(block)
        if size >= at_least:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def stamp_of(found: os.stat_result) -> str:
    """Changes when the file is rewritten, cut or put in another's place by hand."""
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


def unlink(folder: int, key: str) -> None:
    """Remove a file, or a link in its place, below an open folder. None there, or a folder in its place, is no file of ours."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        os.unlink(key, dir_fd=folder)


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
