"""Database on PostgreSQL 15 or newer, through psycopg 3: the same closures, each in a thread that owns one connection.

A closure is run again on deadlock, serialization failure or a connection lost before the commit; one lost during it is `CommitUnknown`.
"""

import asyncio
import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, ClassVar, Concatenate, LiteralString, ParamSpec, TypeVar

import psycopg

from satchel.db import CommitUnknown, Row, Tx
from satchel.db.notices import FAREWELL, Notices
from satchel.domain.errors import DATABASE_DOWN, Later

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 8
PATIENCE = 3.0
"""Seconds for which a closure is tried again while the server is away."""
DEADLINE = 10.0
"""Seconds after which nobody waits any more for a server that took the connection and then went silent."""
LOCK_WAIT = 2.0
"""Seconds a statement waits for a row that somebody else holds."""
KEEPALIVE = {"connect_timeout": 3, "keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 3000}
NOW = "extract(epoch from statement_timestamp())::double precision"
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.IdleInTransactionSessionTimeout)
"""The session is gone or was refused a lock: the closure may run again. A frozen owner's transaction is ended by the server."""
TOKEN = re.compile(r"('(?:[^']|'')*'|::|%)|:([a-z_]\w*)")


@lru_cache(maxsize=512)
def _translate(sql: str) -> str:
    """`:name` to psycopg's form; literals and casts stay, `%` is doubled, `:now` becomes the statement's own time."""

    def swap(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal is not None:
            return str(literal).replace("%", "%%")
        return NOW if name == "now" else f"%({name})s"

    locks = sql.replace("{for_update}", "FOR UPDATE").replace("{for_share}", "FOR SHARE").replace("{skip_locked}", "FOR UPDATE SKIP LOCKED")
    return TOKEN.sub(swap, locks)


class PostgresTx(Tx):
    """A transaction on one connection."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        super().__init__()
        self._connection = connection

    def _execute(self, sql: str, values: dict[str, Any]) -> psycopg.Cursor[Row]:
        return self._connection.execute(_translate(sql), values)

    def all(self, sql: str, **values: Any) -> list[Row]:
        cursor = self._execute(sql, values)
        return cursor.fetchall() if cursor.description else []

    def run(self, sql: str, **values: Any) -> int:
        return self._execute(sql, values).rowcount

    def script(self, sql: str) -> None:
        self._connection.execute(sql)

    def lock(self, key: int) -> None:
        self.run("SELECT pg_advisory_xact_lock(:key)", key=key)


class _Call:
    """One closure on its way: whoever waits for it may give up until its COMMIT has begun, and not after."""

    def __init__(self) -> None:
        self.connection: psycopg.Connection[Row] | None = None
        self.abandoned = False
        self._committing = False
        self._lock = threading.Lock()

    def abandon(self) -> bool:
        """True when nothing was committed and nothing will be."""
        with self._lock:
            self.abandoned = True
            return not self._committing

    def may_commit(self) -> bool:
        with self._lock:
            self._committing = not self.abandoned
            return self._committing


class Postgres:
    """`url`: a connection string; `idle_limit`: seconds after which the server ends a transaction whose owner has frozen."""

    dialect: ClassVar[dict[str, str]] = {
        "identity": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "epoch": "double precision",
        "lane_storage": "WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000)",
        "database_bytes": "pg_database_size(current_database())",
        "tables": "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()",
        # The rows that no running transaction can still come before: numbers are given in another order than commits happen.
        "settled": "age(xmin) > age((pg_snapshot_xmin(pg_current_snapshot())::text::bigint % 4294967296)::text::xid)",
        "version": "'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)",
    }

    def __init__(self, url: str, idle_limit: float = 15.0) -> None:
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise ValueError(
                "it is no connection string such as postgresql://user:password@host/name"
            ) from None  # libpq's words may hold the password
        self._url = url
        self._options = (
            f"-c idle_in_transaction_session_timeout={int(idle_limit * 1000)} -c lock_timeout={int(LOCK_WAIT * 1000)} "
            "-c default_transaction_isolation=read\\ committed"
        )
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="postgres")
        self._running: set[asyncio.Future[Any]] = set()
        self._open: set[psycopg.Connection[Row]] = set()
        self._stop = threading.Event()
        self._notices = Notices(self._connect)

    async def write(self, fn: Callable[[Tx], T], durable: bool = True) -> T:
        return await self._run(fn, "BEGIN" if durable else "BEGIN; SET LOCAL synchronous_commit = off")

    async def read(self, fn: Callable[[Tx], T], alone: bool = False) -> T:
        return await self._run(fn, "BEGIN READ ONLY")

    async def _run(self, fn: Callable[[Tx], T], begin: LiteralString) -> T:
        """Run a closure in a thread; one that nobody waits for any more commits nothing, unless its COMMIT is under way."""
        call = _Call()
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._transact, fn, begin, call)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            done, _ = await asyncio.wait({running}, timeout=DEADLINE)
            if done:
                return running.result()
        except asyncio.CancelledError:
            self._abandon(call, running)
            raise
        if self._abandon(call, running):
            raise _down(psycopg.OperationalError())
        raise CommitUnknown

    def _abandon(self, call: _Call, running: "asyncio.Future[T]") -> bool:
        """Give a call up; True when it is certain that it commits nothing. Its thread is freed from a server that does not answer."""
        nothing = call.abandon()
        running.add_done_callback(_unheard)
        if not running.cancel() and call.connection is not None:
            _cut(call.connection)
        return nothing

    def read_now(self, statement: Callable[Concatenate[Tx, P], T], *args: P.args, **given: P.kwargs) -> T | None:
        return None  # the server is another process

    async def wait(self, timeout: float) -> None:
        await self._notices.wait(timeout)

    async def close(self) -> None:
        self._stop.set()
        self._notices.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._running:
            await asyncio.wait(self._running, timeout=FAREWELL)
        for connection in list(self._open):
            _cut(connection)
        await asyncio.to_thread(self._pool.shutdown)
        await self._notices.ended()
        for connection in list(self._open):
            connection.close()

    def _transact(self, fn: Callable[[Tx], T], begin: LiteralString, call: _Call) -> T:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connection = call.connection = self._connection()
                connection.execute(begin)
                tx = PostgresTx(connection)
                result = fn(tx)
            except AWAY as error:
                self._give_up_connection()
                if time.monotonic() > deadline or self._stop.is_set() or call.abandoned:
                    raise _down(error) from None
                time.sleep(0.05)
                continue
            except BaseException:
                self._roll_back()
                raise
            if not call.may_commit():
                self._roll_back()
                raise _down(psycopg.OperationalError())
            self._commit(connection)
            if tx.woke:
                self._notices.announce()
            return result

    def _commit(self, connection: psycopg.Connection[Row]) -> None:
        try:
            connection.execute("COMMIT")
        except psycopg.Error:
            self._give_up_connection()
            raise CommitUnknown from None

    def _connection(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] | None = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            connection = self._connect()
            self._own.connection = connection
            self._open.add(connection)
        return connection

    def _connect(self) -> psycopg.Connection[Row]:
        given = psycopg.conninfo.conninfo_to_dict(self._url)
        defaults = {name: value for name, value in KEEPALIVE.items() if name not in given}
        options = f"{given.pop('options', '')} {self._options}".strip()
        conninfo = psycopg.conninfo.make_conninfo("", **given, **defaults, options=options)
        return psycopg.connect(conninfo, autocommit=True)

    def _roll_back(self) -> None:
        try:
            if (connection := getattr(self._own, "connection", None)) is not None:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            self._give_up_connection()

    def _give_up_connection(self) -> None:
        """After an operational error nothing about the session is certain: a fresh one costs a few milliseconds."""
        connection: psycopg.Connection[Row] | None = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
            self._open.discard(connection)
            self._own.connection = None


def _cut(connection: psycopg.Connection[Row]) -> None:
    """Shut a connection's socket, from any thread: whoever reads from it is told that it is lost."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)


def _unheard(running: "asyncio.Future[Any]") -> None:
    """Its caller has gone; what it says is taken so that nobody complains of it."""
    if not running.cancelled():
        running.exception()


REASONS = (
    ("password authentication failed", "it refuses the user or the password"),
    ("no password supplied", "it wants a password"),
    ("does not exist", "it has no such database or user"),
    ("could not translate host name", "its host name is unknown"),
    ("failed to resolve host", "its host name is unknown"),
    ("Connection refused", "nobody listens at its address"),
    ("timeout expired", "it cannot be reached in time"),
)
"""What the driver says, in words that hold no part of the connection string."""


def _down(error: psycopg.Error) -> Later:
    """Why, as far as it can be told: the driver's own words may hold parts of the connection string."""
    said = str(error)
    known = next((reason for sign, reason in REASONS if sign in said), "")
    kind = f"{type(error).__name__}{f', {error.sqlstate}' if error.sqlstate else ''}"
    why = f"PostgreSQL cannot be used: {known} ({kind})" if known else f"PostgreSQL did not answer ({kind})"
    return Later(DATABASE_DOWN, f"{why}. Check the server and SATCHEL_DATABASE__URL (or the WA_DB_ names), then try again.", 1.0)
