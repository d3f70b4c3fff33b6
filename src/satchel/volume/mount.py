"""The folder that a volume is mounted at: whether it is the one we know, how much room it has, and what its errors mean.

Reads and writes no media: `writing.py` and `folder.py` do, on top of it.
"""

import asyncio
import errno
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

from satchel.domain import room
from satchel.domain.errors import VOLUME_FULL, Fault, not_writable, storage_fault
from satchel.domain.quantities import shown_size
from satchel.mounts import network_kind
from satchel.volume import Space
from satchel.volume.marker import Marker
from satchel.volume.memory import Memory

T = TypeVar("T")
PARTS = "parts"
THREADS = 8
PLENTY, LOOK_AGAIN = 64 * 1024 * 1024, 1.0
"""Bytes beside the reserve that are hardly gone within so many seconds: till then small uploads need no look of their own."""


class Mount:
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

    def _require(self) -> None:
        """The volume is there. Also notes whether it is on a local disk: only there may paths be walked on the loop."""
        if not self.marker.is_ours():
            raise self.marker.missing()
        device = os.stat(self._at).st_dev
        if device != self._device:
            self._device, self._on_network = device, network_kind(self._root) is not None

    def _space(self) -> Space:
        found = os.statvfs(self._at)
        total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        return Space(total, free, found.f_files, found.f_favail, not found.f_flag & os.ST_RDONLY)

    def _check_room(self, size: int, urgent: bool) -> None:
        space = self._space()
        if not space.writable:
            raise not_writable(OSError(errno.EROFS, os.strerror(errno.EROFS)), "a file")
        bytes_, inodes = room.kept(space, urgent)
        if size > space.free - bytes_ or (space.inodes and space.inodes_free < inodes):
            self._roomy_until = 0.0
            wanted = f"{shown_size(size)} do not fit" if size > 1 else "nothing more fits"
            raise Fault(
                VOLUME_FULL,
                f"The media volume is {room.told(space)}: {wanted}, since "
                f"{shown_size(bytes_)} are kept in reserve. To go on, {room.REMEDY} (satchel volume df shows what fills it).",
            )
        self._roomy_until = time.monotonic() + LOOK_AGAIN if space.free - bytes_ > PLENTY else 0.0

    def _look_for_room(self, size: int, urgent: bool) -> None:
        self._require()
        self._check_room(size, urgent)

    def _require_room(self, size: int = 1) -> None:
        """The volume is there with a folder for part files and room for so much of what accepted messages need."""
        self._look_for_room(size, urgent=True)
        (self._root / PARTS).mkdir(exist_ok=True)

    def _write_failed(self, error: OSError, what: str) -> Exception:
        if not self.marker.is_ours():
            return self.marker.missing()
        in_the_way = {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP}
        return not_writable(error, what) if error.errno in in_the_way else storage_fault(error, what)

    def _part_path(self) -> str:
        """Another for each writer, also of the same file: two lanes may bring one at the same time."""
        return f"{self._at}/{PARTS}/.{uuid.uuid4()}.{self._instance}.part"

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
