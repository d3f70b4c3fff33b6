"""Temporary files in memory, for when the volume takes none: what is prepared must leave without room. Few at once, since it is memory."""

import io
import os
import threading
from typing import BinaryIO, cast

from satchel.domain.errors import NOT_READY, Fault, Later

AT_ONCE = 2
"""Each holds one encrypted blob, of 100 MiB at the most."""


class Memory:
    """Lends files; counts those that are open."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(AT_ONCE)

    def open(self, why: Fault) -> BinaryIO:
        """A file in memory. `why`: the volume takes none. Raises `Later` while `AT_ONCE` of them are open."""
        if not self._free.acquire(blocking=False):
            details = f"{why.details} Meanwhile large files leave through memory, {AT_ONCE} at once, and this one waits for its turn."
            raise Later(NOT_READY, details)
        try:
            return cast(BinaryIO, _Lent(os.memfd_create("satchel", os.MFD_CLOEXEC), self._free))
        except BaseException:
            self._free.release()
            raise


class _Lent(io.FileIO):
    """Gives its place back when it is closed."""

    def __init__(self, fd: int, place: threading.Semaphore) -> None:
        super().__init__(fd, "w+b")
        self._place: threading.Semaphore | None = place

    def close(self) -> None:
        super().close()
        place, self._place = self._place, None
        if place is not None:
            place.release()
