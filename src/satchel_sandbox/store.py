"""The sandbox's own SQLite: one connection, one thread, transactions that are durable before anybody hears of them.

It knows no tables beyond running schema.sql; the SQL lives beside its noun (world, copies, messages, events).
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import apsw

T = TypeVar("T")
Tx = apsw.Connection  # what a transaction function gets

_UPGRADES = (0, 1)  # user_versions that a script leads on from
_BATCH = 256  # transactions that may share one commit: where fsync is slow this is what keeps many messages fast


@dataclass(frozen=True)
class _Job:
    run: Callable[[Tx], Any]
    future: "asyncio.Future[Any]"


@dataclass(frozen=True)
class _Outcome:
    job: _Job
    value: Any = None
    error: Exception | None = None


class Store:
    """`write(fn)` and `read(fn)`: fn(tx) is synchronous, holds SQL only and sees everything that was committed before.

    A write returns after its commit (WAL, synchronous=FULL). An exception of fn undoes fn alone and is raised to its caller.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or create the file; None keeps everything in memory."""
        if path:  # it holds the phones' media keys; SQLite gives its other files the same mode
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._db = apsw.Connection(str(path) if path else ":memory:")
        self._db.set_busy_timeout(5000)  # somebody may look at the file with another program
        self._db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA secure_delete = FAST")  # the keys of a deleted phone do not linger in the file
        _lay_out(self._db)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    async def write(self, fn: Callable[[Tx], T]) -> T:
        return await self._submit(fn)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._submit(fn)

    async def close(self) -> None:
        """Finish what was submitted, then close the file."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._db.close()

    async def _submit(self, fn: Callable[[Tx], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(fn, future))
        return await future

    def _work(self) -> None:
        open_ = True
        while open_:
            batch = self._take()
            open_ = batch[-1] is not None
            jobs = [job for job in batch if job is not None]
            if jobs:
                outcomes = self._commit(jobs)
                jobs[0].future.get_loop().call_soon_threadsafe(_tell, outcomes)

    def _take(self) -> list[_Job | None]:
        batch = [self._jobs.get()]
        while batch[-1] is not None and len(batch) < _BATCH:
            try:
                batch.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return batch

    def _commit(self, jobs: list[_Job]) -> list[_Outcome]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            outcomes = [self._one(job) for job in jobs]
            self._db.execute("COMMIT")
        except apsw.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return [_Outcome(job, error=error) for job in jobs]
        return outcomes

    def _one(self, job: _Job) -> _Outcome:
        try:
            with self._db:  # a savepoint: a refusal inside undoes this job and leaves its neighbours alone
                value = job.run(self._db)
        except Exception as error:  # the worker's boundary: it is raised again where write() is awaited
            if not self._db.in_transaction:  # SQLite gave the whole batch up (disk full): the neighbours are undone too
                raise apsw.AbortError("the transaction was rolled back") from error
            return _Outcome(job, error=error)
        return _Outcome(job, value)


def _lay_out(db: Tx) -> None:
    """Make the tables, or bring those of an earlier version to the present form, whole or not at all."""
    script = _script("schema.sql")
    version, tables = (next(db.execute(question))[0] for question in ("PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"))
    if tables and version in _UPGRADES:
        before, after = _script(f"upgrade_{version}.sql").split("----\n")
        script = before + script + after
    db.execute(f"BEGIN IMMEDIATE; {script}; COMMIT")


def _script(name: str) -> str:
    return resources.files("satchel_sandbox").joinpath(name).read_text("utf-8")


def _tell(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        if outcome.job.future.done():  # its caller was cancelled
            continue
        if outcome.error is not None:
            outcome.job.future.set_exception(outcome.error)
        else:
            outcome.job.future.set_result(outcome.value)
