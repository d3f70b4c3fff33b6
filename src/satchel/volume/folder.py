"""Volume in a folder of a POSIX file system (a local disk or NFS): settling in, reading, looking, removing. `writing.py` writes."""

import asyncio
import contextlib
import errno
import os
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from satchel.domain.errors import MEDIA_GONE, Fault, reading_fault
from satchel.volume import Content, Entry, Space, Trial
from satchel.volume.mount import PARTS
from satchel.volume.part import Part, stamp_of, unlink
from satchel.volume.reading import File, open_cached, open_regular, some_of, stamp_at, stat_cached
from satchel.volume.trial import require_removal, try_out
from satchel.volume.writing import Writing

HOLDING = ("shared", "renditions")
STALE_PART = 3600.0
"""Seconds untouched after which a part file is nobody's."""


class Folder(Writing):
    """The whole of the port on one folder; see `Mount` for what it takes."""

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

    async def _looked_at(self, key: str) -> os.stat_result:
        """Of the name itself, never of what a link leads to. Raises FileNotFoundError and what else the system says."""
        path = f"{self._at}/{key}"
        found = None if self._on_network else stat_cached(path)
        return await self._in_thread(os.lstat, path) if found is None else found

    async def _opened(self, path: str) -> tuple[int, os.stat_result]:
        """A file descriptor and what it is of; one that comes after its reader was cancelled is closed."""
        opening = asyncio.get_running_loop().run_in_executor(self._threads, open_regular, path)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unread)
            raise

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


def _close_unread(opening: "asyncio.Future[tuple[int, os.stat_result]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])
