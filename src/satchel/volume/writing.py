"""How files come to be on the volume: part file, fsync, rename, fsync of the folder.

Nothing is written unless the marker file says that this is the volume we know.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from satchel.domain.errors import VOLUME_FULL, VOLUME_NOT_WRITABLE, Fault
from satchel.volume import Scratch, Stored
from satchel.volume.mount import PARTS, Mount
from satchel.volume.part import LARGE_BLOCK, WRITE_BLOCK, Part, Place, gathered

SMALL, LARGE = 128 * 1024, 4 * 1024 * 1024
"""Bytes: up to the one a file is written in one go, from the other on in larger blocks."""


class Writing(Mount):
    """`put`, and the places where a file is made before it is published or thrown away."""

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


def _remove(path: Path) -> None:
    """Never raises: what cannot be removed now is swept later, and what went wrong before is the news."""
    with contextlib.suppress(OSError):
        path.unlink(True)
