"""Volume in a folder of a POSIX file system (a local disk or NFS).

Part file, fsync, rename, fsync of the folder. Nothing is written unless the marker file says that this is the volume we know.
"""

import asyncio
import contextlib
import errno
import os
import stat
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal, TypeVar, cast

from satchel.domain import room
from satchel.domain.errors import (
    MEDIA_GONE,
    VOLUME_FULL,
    VOLUME_NOT_WRITABLE,
    Fault,
    not_writable,
    reading_fault,
    storage_fault,
)
from satchel.domain.quantities import shown_size
from satchel.mounts import network_kind
from satchel.volume import Content, Entry, Scratch, Space, Stored, Trial
from satchel.volume.marker import Marker
from satchel.volume.memory import Memory
from satchel.volume.part import LARGE_BLOCK, WRITE_BLOCK, Part, Place, gathered, stamp_of, unlink
from satchel.volume.reading import File, open_cached, open_regular, some_of, stamp_at, stat_cached
from satchel.volume.trial import require_removal, try_out

T = TypeVar("T")
HOLDING, PARTS = ("shared", "renditions"), "parts"
SMALL, LARGE = 128 * 1024, 4 * 1024 * 1024
"""Bytes: up to the one a file is written in one go, from the other on in larger blocks."""
STALE_PART = 3600.0
"""Seconds untouched after which a part file is nobody's."""
THREADS = 8
PLENTY, LOOK_AGAIN = 64 * 1024 * 1024, 1.0
"""Bytes beside the reserve that are hardly gone within so many seconds: till then small uploads need no look of their own."""


class Folder:
    """`root`: the volume; `instance`: names our part files, so that our next life can sweep them.

    `durability`: whether a put waits for the disk; with `fast` a power cut may undo the last seconds. `told_path`: where the business
    finds it, if that is elsewhere. `marker`: says which volume it is.
    """

    def __init__(self, root: Path, instance: str, durability: Literal["safe", "fast"] = "safe", told_path: Path | None = None) -> None:
        self._root = root
        self._at = str(root)
        self._told_path = told_path or root
        self._roomy_until = 0.0
        self._memory = Memory()
        self._instance = instance
        self._durable = durability == "safe"
        self.marker = Marker(self._at)
        self._device = -1
        self._on_network = True
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="volume")

    def settle_in(self, known_id: str, first: bool) -> None:
        """Expect the volume with this id. Sweeps our own old part files.

        `first`: no volume was ever marked with it, so a fresh, empty folder is. Later an empty folder is an unmounted volume:
        it stays as it is, as does a folder that is another's, and `present` says no.
        """
        if first and self.marker.found() is None and self.is_fresh():
            for name in (*HOLDING, PARTS):
                (self._root / name).mkdir(parents=True, exist_ok=True)
            self.marker.write(known_id, Part(self._part_path()))
        self.marker.expect(known_id)
        if self.marker.is_ours():
            self._require()
            self._sweep()

    async def present(self) -> bool:
        return await self._in_thread(self.marker.is_ours)

    def is_fresh(self) -> bool:
        """Whether nothing lies in the folder but what mkfs makes and what an interrupted first start leaves."""
        if not self._root.is_dir():
            return True
        if {path.name for path in self._root.iterdir()} - {*HOLDING, PARTS, "lost+found"}:
            return False
        return not any(any((self._root / name).iterdir()) for name in HOLDING if (self._root / name).is_dir())

    async def space(self) -> Space:
        await self._in_thread(self._require)
        return await self._in_thread(self._space)

    async def put(self, key: str, body: AsyncIterator[bytes], size: int | None = None, urgent: bool = False) -> Stored:
        part = Part(self._part_path(), self._durable)
        async with self._writing(part, key):
            if size is None or size > SMALL:
                return await self._put_blocks(part, key, body, size or 0, urgent)
            if time.monotonic() > self._roomy_until:  # so that what will be refused is refused unread
                await self._in_thread(self._look_for_room, size, urgent)
            whole = [block async for block in body]
            return await self._in_thread(self._put_small, part, key, whole, urgent)

    @asynccontextmanager
    async def _writing(self, part: Part, key: str) -> AsyncIterator[None]:
        """Whatever goes wrong leaves no part file, and what the system says is told in our words."""
        try:
            yield
        except OSError as error:
            await self._in_thread(part.discard)
            raise await self._in_thread(self._write_failed, error, key) from error
        except BaseException:
            await asyncio.shield(self._in_thread(part.discard))
            raise

    async def _put_blocks(self, part: Part, key: str, body: AsyncIterator[bytes], size: int, urgent: bool) -> Stored:
        await self._fill(part, body, size, urgent)
        return await self._in_thread(self._publish, part, key)

    async def _fill(self, part: Part, body: AsyncIterator[bytes], size: int, urgent: bool) -> None:
        await self._in_thread(self._begin, part, size, urgent)
        async for blocks in gathered(body, LARGE_BLOCK if size > LARGE else WRITE_BLOCK):
            await self._in_thread(self._go_on, part, blocks, urgent)

    def _put_small(self, part: Part, key: str, whole: list[bytes], urgent: bool) -> Stored:
        """One visit to a thread: each costs as much as the writing itself."""
        self._begin(part, sum(map(len, whole)), urgent)
        part.write(whole)
        return self._publish(part, key)

    def _publish(self, part: Part, key: str) -> Stored:
        """Publish, and look that it is on the volume: the mount may have gone since we began, and come back over what we wrote."""
        stored = part.publish(f"{self._at}/{key}")
        with self.marker.held() as root:
            try:
                os.stat(key, dir_fd=root, follow_symlinks=False)
            except FileNotFoundError as error:
                raise self.marker.missing() from error
        return stored

    def _begin(self, part: Part, size: int, urgent: bool) -> None:
        self._require()
        self._check_room(size, urgent)
        try:
            part.create()
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{self._at}/{PARTS}")  # people tidy it away
            part.create()

    def _go_on(self, part: Part, blocks: list[bytes], urgent: bool) -> None:
        self._check_room(sum(map(len, blocks)), urgent)
        part.write(blocks)

    def _look_for_room(self, size: int, urgent: bool) -> None:
        self._require()
        self._check_room(size, urgent)

    def _check_room(self, size: int, urgent: bool) -> None:
        space = self._space()
        if not space.writable:
            raise not_writable(OSError(errno.EROFS, os.strerror(errno.EROFS)), "a file")
        bytes_, inodes = room.kept(space, urgent)
        if size > space.free - bytes_ or (space.inodes and space.inodes_free < inodes):
            self._roomy_until = 0.0
            raise Fault(
                VOLUME_FULL,
                f"The media volume is {room.told(space)}: {shown_size(size)} do not fit, since {shown_size(bytes_)} are kept in "
                f"reserve. To go on, {room.REMEDY} (satchel volume df shows what fills it).",
            )
        self._roomy_until = time.monotonic() + LOOK_AGAIN if space.free - bytes_ > PLENTY else 0.0

    def _space(self) -> Space:
        found = os.statvfs(self._at)
        total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        return Space(total, free, found.f_files, found.f_favail, not found.f_flag & os.ST_RDONLY)

    async def open(self, key: str) -> Content:
        path = f"{self._at}/{key}"
        opened = None if self._on_network else open_cached(path)
        if opened is None:
            async with self._told(key):
                opened = await self._opened(path)
        return File(*opened, self._threads)

    def open_now(self, key: str) -> Content | None:
        opened = None if self._on_network else open_cached(f"{self._at}/{key}")
        return None if opened is None else File(*opened, self._threads)

    async def delete(self, key: str) -> None:
        try:
            await self._in_thread(self._unlink, key)
        except OSError as error:
            raise await self._in_thread(self._write_failed, error, key) from error

    async def remove(self, keys: Sequence[str]) -> dict[str, str]:
        return await self._in_thread(self._remove, keys)

    def _remove(self, keys: Sequence[str]) -> dict[str, str]:
        left: dict[str, str] = {}
        with self.marker.held() as root:
            for key in keys:
                try:
                    unlink(root, key)
                except OSError as error:
                    left[key] = error.strerror or str(error)
        return left

    def _unlink(self, key: str) -> None:
        with self.marker.held() as root:
            unlink(root, key)

    async def stat(self, key: str) -> str | None:
        try:
            found = await self._looked_at(key)
        except FileNotFoundError as error:
            if not await self._in_thread(self.marker.is_there_without, key):
                raise self.marker.missing() from error
            return None
        except OSError as error:
            await self._in_thread(self._require)
            raise reading_fault(error, key) from error
        return stamp_of(found) if stat.S_ISREG(found.st_mode) else None

    async def stamps(self, keys: Sequence[str]) -> list[str | None]:
        try:
            return await self._in_thread(self._stamps, keys)
        except OSError as error:
            await self._in_thread(self._require)
            raise reading_fault(error, "a file") from error

    def _stamps(self, keys: Sequence[str]) -> list[str | None]:
        with self.marker.held() as root:
            return [stamp_at(root, key) for key in keys]

    async def require_removal(self) -> None:
        await self._in_thread(self._require)
        await self._in_thread(require_removal, [self._root / folder for folder in HOLDING])

    async def try_out(self) -> Trial:
        await self._in_thread(self._require)
        return await self._in_thread(try_out, self._root, self._root / PARTS)

    async def entries(self, folder: str) -> AsyncGenerator[list[Entry], None]:
        await self._in_thread(self._require)
        try:
            listing = await self._in_thread(os.scandir, self._root / folder)
        except FileNotFoundError:  # people tidy away `parts`
            return
        with listing:
            while batch := await self._in_thread(some_of, listing):
                yield batch

    def path(self, key: str) -> str:
        return str(self._told_path / key)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        path = self._root / key
        async with self._told(key):
            if not stat.S_ISREG((await self._looked_at(key)).st_mode):
                raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
            yield path

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Scratch]:
        place = Place(Path(self._part_path()), self._require_room)
        try:
            yield place
        finally:
            if place.begun:
                await asyncio.shield(self._in_thread(_remove, place.path))

    async def take(self, key: str, scratch: Scratch) -> str:
        part = Part(str(scratch.path), self._durable)
        async with self._writing(part, key):
            return (await self._in_thread(self._take, part, key)).stamp

    def _take(self, part: Part, key: str) -> Stored:
        self._require()
        part.adopt()
        self._check_room(0, urgent=True)
        return self._publish(part, key)

    @asynccontextmanager
    async def aside(self, body: AsyncIterator[bytes], size: int | None = None) -> AsyncIterator[Path]:
        path = self._part_path()
        part = Part(path, durable=False)
        try:
            try:
                await self._fill(part, body, size or 0, urgent=False)
            except OSError as error:
                raise await self._in_thread(self._write_failed, error, "a file to look into") from error
            yield Path(path)
        finally:
            await asyncio.shield(self._in_thread(part.discard))

    def spool(self, size: int) -> BinaryIO:
        try:
            return self._spool(size)
        except Fault as fault:
            if fault.situation not in {VOLUME_FULL, VOLUME_NOT_WRITABLE}:
                raise
            return self._memory.open(fault)

    def _spool(self, size: int) -> BinaryIO:
        try:
            self._require_room(size)
            return cast(BinaryIO, TemporaryFile(dir=self._root / PARTS, buffering=0))
        except OSError as error:
            raise self._write_failed(error, "a temporary file") from error

    def _require_room(self, size: int = 1) -> None:
        """The volume is there with a folder for part files and room for so much of what accepted messages need."""
        self._look_for_room(size, urgent=True)
        (self._root / PARTS).mkdir(exist_ok=True)

    async def _looked_at(self, key: str) -> os.stat_result:
        """Of the name itself, never of what a link leads to. Raises FileNotFoundError and what else the system says."""
        path = f"{self._at}/{key}"
        found = None if self._on_network else stat_cached(path)
        return await self._in_thread(os.lstat, path) if found is None else found

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    async def _opened(self, path: str) -> tuple[int, os.stat_result]:
        """A file descriptor and what it is of; one that comes after its reader was cancelled is closed."""
        opening = asyncio.get_running_loop().run_in_executor(self._threads, open_regular, path)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unread)
            raise

    def _part_path(self) -> str:
        """Another for each writer, also of the same file: two lanes may bring one at the same time."""
        return f"{self._at}/{PARTS}/.{uuid.uuid4()}.{self._instance}.part"

    def _require(self) -> None:
        """The volume is there. Also notes whether it is on a local disk: only there may paths be walked on the loop."""
        if not self.marker.is_ours():
            raise self.marker.missing()
        device = os.stat(self._at).st_dev
        if device != self._device:
            self._device, self._on_network = device, network_kind(self._root) is not None

    def _write_failed(self, error: OSError, what: str) -> Exception:
        if not self.marker.is_ours():
            return self.marker.missing()
        in_the_way = {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP}
        return not_writable(error, what) if error.errno in in_the_way else storage_fault(error, what)

    @asynccontextmanager
    async def _told(self, key: str) -> AsyncIterator[None]:
        """The name of a key that is not there means a missing file only on a volume that is there; other names are not our news."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and error.filename in (str(self._root / key), self._root / key):
                raise (await self._gone(key) or self.marker.missing()) from error
            if not await self.present():
                raise self.marker.missing() from error
            if error.filename in (str(self._root / key), self._root / key):
                raise reading_fault(error, key) from error
            raise

    async def _gone(self, key: str) -> Fault | None:
        """The fault of a file that is certainly not there; None where the volume is not, or was not a moment ago."""
        if not await self._in_thread(self.marker.is_there_without, key):
            return None
        return Fault(MEDIA_GONE, f"The file {key} is no longer on the media volume: upload it again.")

    def _sweep(self) -> None:
        """Remove part files that our earlier life left, and anybody's that have not been touched for an hour."""
        for part in (self._root / PARTS).glob(".*.part"):
            with contextlib.suppress(FileNotFoundError):
                _, _, instance = part.name[1:].partition(".")
                if instance == f"{self._instance}.part" or time.time() - part.stat().st_mtime > STALE_PART:
                    part.unlink()


def _remove(path: Path) -> None:
    """Never raises: what cannot be removed now is swept later, and what went wrong before is the news."""
    with contextlib.suppress(OSError):
        path.unlink(True)


def _close_unread(opening: "asyncio.Future[tuple[int, os.stat_result]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])
