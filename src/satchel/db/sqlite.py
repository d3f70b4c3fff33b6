"""Database on SQLite, through apsw (its wheel carries a current SQLite). One writer thread a process commits waiting closures together.

Two connections write: one with synchronous=FULL, one with NORMAL, since the pragma cannot change inside a transaction.
"""

import asyncio
import contextlib
import os
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import apsw

from satchel.db import Row, Tx
from satchel.domain.errors import DATABASE_DOWN, Later
from satchel.mounts import network_kind

P = ParamSpec("P")
T = TypeVar("T")
GROUP = 64
"""Closures of one commit at the most."""
BEGIN_PATIENCE, POLL = 10.0, 0.010
"""Seconds: how long a writer waits for its turn, and between two looks for what others wrote."""
AWAY = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.CorruptError,
    apsw.NotADBError,
)
"""What is wrong with the file or its disk, and not with a statement of ours."""


@lru_cache(maxsize=512)
def _translate(sql: str) -> str:
    return sql.replace("{for_update}", "").replace("{for_share}", "").replace("{skip_locked}", "")


class SqliteTx(Tx):
    """A transaction on one connection; `:now` is bound when the statement runs."""

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__()
        self._connection = connection

    def all(self, sql: str, **values: Any) -> list[Row]:
        values["now"] = time.time()
        return list(self._connection.execute(_translate(sql), values))

    def run(self, sql: str, **values: Any) -> int:
        self.all(sql, **values)
        return self._connection.changes()

    def script(self, sql: str) -> None:
        for _ in self._connection.execute(sql):
            pass

    def lock(self, key: int) -> None:
        """Nothing to do: SQLite has one writer at a time."""


@dataclass
class _Job:
    fn: Callable[[Tx], Any]
    durable: bool
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Sqlite:
    """`path`: the database file; its folder must exist and be on a local file system."""

    dialect: ClassVar[dict[str, str]] = {
        "identity": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "epoch": "REAL",
        "lane_storage": "",
        "database_bytes": "page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "tables": "SELECT name FROM sqlite_master WHERE type = 'table'",
        "settled": "seq > 0",
        "version": "'SQLite ' || sqlite_version()",
    }

    def __init__(self, path: Path) -> None:
        if (kind := network_kind(path.parent)) is not None:
            raise ValueError(f"{path} lies on {kind}, a network file system, where SQLite loses data: use a local disk, or PostgreSQL")
        self._path = path
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # it holds keys; SQLite gives its other files the same mode
        try:
            self._reader = self._connect("FULL")
        except AWAY as error:
            raise _down(error) from error
        self._alone = SqliteTx(self._reader)
        self._version = -1
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_forever, name="sqlite-writer", daemon=True)
        self._thread.start()

    def _connect(self, synchronous: str) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        # One plan a statement: else SQLite compiles some anew at each call, to look at the values that are bound.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.set_busy_timeout(2000)  # for opening and reading; the writers wait in their own way
        _patiently(connection, "PRAGMA journal_mode=WAL")  # several first starts at once: SQLite does not wait for this one
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA secure_delete=ON")  # the keys of deleted media do not linger in free pages; as fast as without
        return connection

    async def write(self, fn: Callable[[Tx], T], durable: bool = True) -> T:
        loop = asyncio.get_running_loop()
        job = _Job(fn, durable, loop, loop.create_future())
        self._jobs.put(job)
        result: T = await job.done
        return result

    async def read(self, fn: Callable[[Tx], T], alone: bool = False) -> T:
        try:
            if alone:
                return fn(self._alone)
            self._reader.execute("BEGIN")
            try:
                return fn(SqliteTx(self._reader))
            finally:
                self._reader.execute("COMMIT")
        except AWAY as error:
            raise _down(error) from error

    def read_now(self, statement: Callable[Concatenate[Tx, P], T], *args: P.args, **given: P.kwargs) -> T | None:
        try:
            return statement(self._alone, *args, **given)
        except AWAY:
            return None

    async def wait(self, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter = self._loop.create_future()
        self._look(time.monotonic() + timeout)
        try:
            await self._waiter
        finally:
            if self._next_look is not None:
                self._next_look.cancel()
        self._woken = False

    def _look(self, deadline: float) -> None:
        """Other processes give no notice on SQLite: a pragma tells that they wrote, asked every 10 ms."""
        if self._waiter is None or self._waiter.done() or self._loop is None:
            return
        if self._woken or self._changed() or time.monotonic() >= deadline:
            self._waiter.set_result(None)
        else:
            self._next_look = self._loop.call_later(POLL, self._look, deadline)

    def _wake(self) -> None:
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _changed(self) -> bool:
        version = int(self._reader.pragma("data_version"))
        changed = version != self._version
        self._version = version
        return changed

    async def close(self) -> None:
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()

    def _write_forever(self) -> None:
        connections = {True: self._connect("FULL"), False: self._connect("NORMAL")}
        for connection in connections.values():
            connection.set_busy_timeout(0)
        open_ = True
        while open_:
            jobs = [self._jobs.get()]
            while len(jobs) < GROUP and not self._jobs.empty():
                jobs.append(self._jobs.get())
            open_ = None not in jobs
            for durable, connection in connections.items():
                group = [job for job in jobs if job is not None and job.durable is durable]
                if group:
                    self._commit_together(connection, group)
        for connection in connections.values():
            connection.close()

    def _commit_together(self, connection: apsw.Connection, group: list[_Job]) -> None:
        tx = SqliteTx(connection)
        try:
            _patiently(connection, "BEGIN IMMEDIATE")
            for job in group:
                _run_in_savepoint(tx, connection, job)
            connection.execute("COMMIT")
        except apsw.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in group:
                job.error = _down(error) if isinstance(error, AWAY) else error
        if tx.woke and self._loop is not None:
            _tell(self._loop, self._wake)
        for loop in {job.loop for job in group}:
            _tell(loop, _resolve, [job for job in group if job.loop is loop])


def _patiently(connection: apsw.Connection, statement: str) -> None:
    """Run a statement with short random waits while others are in the way: SQLite's own busy time-out starves writers."""
    deadline = time.monotonic() + BEGIN_PATIENCE
    while True:
        try:
            connection.execute(statement)
            return
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0002, 0.002))


def _run_in_savepoint(tx: SqliteTx, connection: apsw.Connection, job: _Job) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.result = job.fn(tx)
    except AWAY:
        raise  # it concerns the whole commit
    except BaseException as error:  # noqa: BLE001 - the closure's own error belongs to its caller, and to its neighbours in the commit not at all
        connection.execute("ROLLBACK TO job")
        job.error = error
    connection.execute("RELEASE job")


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(call, *args)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.done.cancelled():
            continue
        if job.error is not None:
            job.done.set_exception(job.error)
        else:
            job.done.set_result(job.result)


def _down(error: apsw.Error) -> Later:
    if isinstance(error, apsw.FullError):
        details = "The disk that the database lies on (the data directory's) is full: nothing was changed. Free some of it, then try again."
        return Later(DATABASE_DOWN, details, 2.0)
    return Later(DATABASE_DOWN, f"SQLite could not do it: {error}. Check the disk of the data directory, then try again.", 2.0)
