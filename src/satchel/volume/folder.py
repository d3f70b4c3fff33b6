"""Volume in a folder of a POSIX file system (a local disk or NFS).

Part file, fsync, rename, fsync of the folder. The marker file tells a mounted volume from the empty folder under a missing mount.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import stat
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, TypeVar, cast

from satchel.domain.errors import MEDIA_GONE, VOLUME_MISSING, Fault, Later, storage_fault
from satchel.volume import Content, Stored

T = TypeVar("T")
MARKER = ".satchel-volume"
HOLDING, PARTS = ("shared", "renditions"), "parts"
WRITE_BLOCK = 256 * 1024
READ_BLOCK = 384 * 1024
STALE_PART = 3600.0
THREADS = 4


class Folder:
    """`root`: the volume; `worker`: names our part files, so that our next life can sweep them."""

    def __init__(self, root: Path, worker: str) -> None:
        self._root = root
        self._worker = worker
        self._id: str | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="volume")

    def marker(self) -> str | None:
        """The id in the volume's marker file; None where there is none."""
        try:
            return (self._root / MARKER).read_text().strip() or None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def settle_in(self, known_id: str, first: bool) -> None:
        """Expect the volume with this id. Sweeps our own old part files.

        `first`: no volume was ever marked with it, so a fresh, empty folder is. Later an empty folder is an unmounted volume: it stays as it is, as
        does a folder that is another's, and `present` says no.
        """
        if first and self.marker() is None and self._fresh():
            for name in (*HOLDING, PARTS):
                (self._root / name).mkdir(parents=True, exist_ok=True)
            self._write_marker(known_id)
        self._id = known_id
        if self.present():
            self._sweep()

    def present(self) -> bool:
        """Whether the volume is there and is the one we know; a marker that cannot be read, as on a dead NFS mount, is not."""
        try:
            return self._id is not None and self.marker() == self._id
        except OSError:
            return False

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        self._require()
        part = _Part(self._part_path())
        try:
            await self._in_thread(part.create)
            async for block in _coalesced(body):
                await self._in_thread(part.write, block)
            return await self._in_thread(part.publish, self._root / key)
        except OSError as error:
            raise self._write_failed(error, key) from error
        finally:
            await asyncio.shield(self._in_thread(part.discard))

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[Content]:
        with self._told(key):
            fd = await self._opened(self._root / key)
        try:
            size = os.fstat(fd).st_size
            yield Content(size, self._blocks(fd, size))
        finally:
            os.close(fd)

    async def delete(self, key: str) -> None:
        self._require()
        try:
            await self._in_thread((self._root / key).unlink)
        except (FileNotFoundError, IsADirectoryError):  # a folder in a file's place is no file of ours
            pass
        except OSError as error:
            raise self._write_failed(error, key) from error

    async def stat(self, key: str) -> str | None:
        try:
            found = await self._in_thread((self._root / key).lstat)
        except OSError as error:
            self._require()
            if not isinstance(error, FileNotFoundError):
                raise
            return None
        return _stamp(found) if stat.S_ISREG(found.st_mode) else None

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        path = self._root / key
        with self._told(key):
            if not stat.S_ISREG(path.lstat().st_mode):
                raise FileNotFoundError(path)
            yield path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        self._require()
        path = self._part_path()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def spool(self) -> BinaryIO:
        self._require()
        try:
            return cast(BinaryIO, TemporaryFile(dir=self._root / PARTS, buffering=0))
        except OSError as error:
            raise self._write_failed(error, "a temporary file") from error

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    async def _opened(self, path: Path) -> int:
        """A file descriptor; one that comes after its reader was cancelled is closed."""
        opening = asyncio.get_running_loop().run_in_executor(self._threads, _open_regular, path)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unread)
            raise

    async def _blocks(self, fd: int, size: int) -> AsyncIterator[bytes]:
        """The file from its start; a file cut short meanwhile ends early, which its reader must notice."""
        offset = 0
        while offset < size and (block := await self._in_thread(os.pread, fd, min(READ_BLOCK, size - offset), offset)):
            yield block
            offset += len(block)

    def _part_path(self) -> Path:
        return self._root / PARTS / f".{uuid.uuid4()}.{self._worker}.part"

    def _require(self) -> None:
        if not self.present():
            raise self._missing()

    def _missing(self) -> Later:
        return Later(
            VOLUME_MISSING,
            f"The media volume is not at {self._root} (its {MARKER} is absent or another's): mount it; nothing is lost.",
            5.0,
        )

    def _write_failed(self, error: OSError, what: str) -> Exception:
        return storage_fault(error, what) if self.present() else self._missing()

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """A name that is not there means a missing file only on a volume that is there."""
        try:
            yield
        except OSError as error:
            if not self.present():
                raise self._missing() from error
            if not isinstance(error, FileNotFoundError):
                raise
            raise Fault(MEDIA_GONE, f"The file {key} is no longer on the media volume: upload it again.") from error

    def _fresh(self) -> bool:
        """Whether nothing lies in the folder but what mkfs makes and what an interrupted first start leaves."""
        if not self._root.is_dir():
            return True
        if {path.name for path in self._root.iterdir()} - {*HOLDING, PARTS, "lost+found"}:
            return False
        return not any(any((self._root / name).iterdir()) for name in HOLDING if (self._root / name).is_dir())

    def _write_marker(self, id_: str) -> None:
        part = _Part(self._part_path())
        try:
            part.create()
            part.write(f"{id_}\n".encode())
            part.publish(self._root / MARKER)
        finally:
            part.discard()

    def _sweep(self) -> None:
        """Remove part files that our earlier life left, and anybody's that have not been touched for an hour."""
        for part in (self._root / PARTS).glob(".*.part"):
            with contextlib.suppress(FileNotFoundError):
                _, _, worker = part.name[1:].partition(".")
                if worker == f"{self._worker}.part" or time.time() - part.stat().st_mtime > STALE_PART:
                    part.unlink()


class _Part:
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
            return Stored(self._size, self._hash.hexdigest(), _stamp(found))

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


async def _coalesced(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
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


def _open_regular(path: Path) -> int:
    """Open for reading; neither a link nor a FIFO somebody put in the file's place is followed or waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, a socket
            raise FileNotFoundError(path) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(path)
    return fd


def _close_unread(opening: "asyncio.Future[int]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
