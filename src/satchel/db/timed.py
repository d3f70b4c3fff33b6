"""A database whose transactions are timed: as long as its callers waited, the way to a thread and back included."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from satchel.db import Database, Tx
from satchel.observe.metrics import db_request_duration_us

T = TypeVar("T")


class Timed:
    """Around an engine; counts what failed, too."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.read_now = inner.read_now  # it waits for nothing
        self._read, self._write = db_request_duration_us.cell("read"), db_request_duration_us.cell("write")

    @property
    def dialect(self) -> Mapping[str, str]:
        return self._inner.dialect

    async def write(self, fn: Callable[[Tx], T], durable: bool = True) -> T:
        started = time.perf_counter()
        try:
            return await self._inner.write(fn, durable)
        finally:
            self._write.add((time.perf_counter() - started) * 1e6)

    async def read(self, fn: Callable[[Tx], T], alone: bool = False) -> T:
        started = time.perf_counter()
        try:
            return await self._inner.read(fn, alone)
        finally:
            self._read.add((time.perf_counter() - started) * 1e6)

    async def wait(self, timeout: float) -> None:
        await self._inner.wait(timeout)

    async def close(self) -> None:
        await self._inner.close()
