"""The composition root: settings -> engines -> Ports -> Webapp, Coreapp. Nothing else constructs an engine."""

import fcntl
import hashlib
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from satchel.db import Database, schema
from satchel.db import settings as setting_rows
from satchel.db.timed import Timed
from satchel.egress import Egress
from satchel.flows import Limits, Ports
from satchel.postprocess import PIPELINE
from satchel.settings import Settings, SettingsError
from satchel.upstream import Upstream
from satchel.upstream.sandbox import Sandbox
from satchel.volume.folder import Folder
from satchel.volume.reading import open_plain

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from satchel.coreapp.run import Coreapp

Wrap = Callable[[Ports], Ports]
"""Lets a test stand between the flows and the engines."""


@dataclass(frozen=True)
class Opened:
    """`name`: of this instance, the same after a restart."""

    ports: Ports
    name: str


def database(settings: Settings) -> Database:
    """The engine that the settings name, not migrated."""
    match settings.database.kind:
        case "postgres":
            from satchel.db.postgres import Postgres

            if not settings.database.url:
                raise SettingsError(
                    f"{settings.origins.get('database.kind', 'database.kind')} says postgres, and SATCHEL_DATABASE__URL is not set: "
                    "give postgresql://user:password@host/name."
                )
            try:
                return Postgres(settings.database.url, idle_limit=settings.coreapp.lease_ttl / 2)
            except ValueError as error:
                raise SettingsError(f"database.url, set by {settings.origins['database.url']}, cannot be used: {error}.") from None
        case "sqlite":
            from satchel.db.sqlite import Sqlite

            try:
                return Sqlite(settings.database_file)
            except ValueError as error:
                raise SettingsError(f"{error}.") from None


@asynccontextmanager
async def opened(settings: Settings, role: str, wrap: Wrap = lambda ports: ports) -> AsyncIterator[Opened]:
    """Every engine of one process, migrated and settled in; let go at the end."""
    refuse_used_folder(settings)
    name = instance(settings.data_dir, role)
    async with AsyncExitStack() as stack:
        db = database(settings)
        stack.push_async_callback(db.close)
        await schema.migrate(db)
        folder = Folder(settings.volume_path, name, settings.volume.durability, settings.volume.told_path)
        await _settle_volume(settings, db, folder)
        ports = wrap(_ports(settings, Timed(db), folder, name))
        for engine in (ports.transcoder, ports.egress, ports.upstream):
            stack.push_async_callback(engine.close)
        yield Opened(ports, name)


def refuse_used_folder(settings: Settings) -> None:
    """Before a first start makes anything. A SQLite that is there, and PostgreSQL, are asked for their volume. Raises `SettingsError`."""
    if settings.database.kind == "sqlite" and not settings.database_file.exists():
        folder = Folder(settings.volume_path, "looking")
        if folder.marker.found() is None and not folder.is_fresh():
            raise _used(settings)


def _used(settings: Settings) -> SettingsError:
    return SettingsError(
        f"{settings.volume_path} holds files and is no media volume of this database: set SATCHEL_VOLUME__PATH to an empty folder."
    )


def refuse_absent_database(settings: Settings) -> None:
    """For commands that make none. Raises `SettingsError`; PostgreSQL is asked when it is needed."""
    file = settings.database_file
    if settings.database.kind == "sqlite" and not file.exists():
        raise SettingsError(f"There is no database {file}: name the node's --data-dir, or start satchel dev or satchel serve once.")


@dataclass(frozen=True)
class Looked:
    """What a command that only looks may use. `pending`: migrations that are missing."""

    db: Database
    pending: list[str]
    volume: Folder
    upstream: Upstream
    egress: Egress


@asynccontextmanager
async def looked_at(settings: Settings) -> AsyncIterator[Looked]:
    """Database and volume as they are: nothing is made, migrated, marked or swept. Raises `SettingsError` where no database is yet."""
    refuse_absent_database(settings)
    async with AsyncExitStack() as stack:
        db = database(settings)
        stack.push_async_callback(db.close)
        pending = await schema.pending(db)
        folder = Folder(settings.volume_path, "looking")
        folder.marker.expect(None if pending else await db.read(lambda tx: setting_rows.get(tx, setting_rows.VOLUME_ID)))
        looked = Looked(db, pending, folder, _upstream(settings, folder), Egress(settings.egress))
        for engine in (looked.egress, looked.upstream):
            stack.push_async_callback(engine.close)
        yield looked


@asynccontextmanager
async def at_work(settings: Settings) -> AsyncIterator[Ports]:
    """Ports over database and volume as they are, for a command that works beside a node or without one.

    Raises `SettingsError` where the database is absent or lacks migrations, `Later(VOLUME_MISSING)` where the volume is not the one of
    this database.
    """
    async with looked_at(settings) as looked:
        if looked.pending:
            raise SettingsError(f"The database lacks {', '.join(looked.pending)}: run satchel migrate.")
        if not await looked.volume.present():
            raise looked.volume.marker.missing()
        yield replace(_ports(settings, looked.db, looked.volume, "command"), upstream=looked.upstream, egress=looked.egress)


def coders() -> dict[str, str | None]:
    """The encoder that makes H.264, AAC and Opus of what is repaired; None where there is none."""
    from satchel.postprocess.coders import available

    return available()


def isolation(settings: Settings) -> dict[str, list[str]]:
    """How far the isolation of each kind of post-processing child reaches on this host.

    Blocks; raises `Later` where one cannot be started.
    """
    from satchel.postprocess.families import FAMILIES
    from satchel.postprocess.worker import Worker

    reached = {}
    for family in FAMILIES.values():
        worker = Worker(family, settings.postprocess.max_pixels)
        worker.end()
        reached[family.name] = worker.level
    return reached


async def _settle_volume(settings: Settings, db: Database, folder: Folder) -> None:
    """Tie database and volume together by an id, once. Marked last, so that a crash in between is made good by the next start."""
    known = str(await db.write(lambda tx: setting_rows.keep_first(tx, setting_rows.VOLUME_ID, folder.marker.found() or str(uuid.uuid4()))))
    marked = bool(await db.read(lambda tx: setting_rows.get(tx, setting_rows.VOLUME_MARKED)))
    folder.settle_in(known, first=not marked)
    if not marked and not folder.marker.is_ours():
        raise _used(settings)
    if not marked:
        await db.write(lambda tx: setting_rows.put(tx, setting_rows.VOLUME_MARKED, True))


def _ports(settings: Settings, db: Database, folder: Folder, name: str) -> Ports:
    from satchel.postprocess.children import Children

    rules = settings.postprocess.rules
    profile = hashlib.sha256(f"{PIPELINE}:{settings.postprocess.max_pixels}:{rules}".encode()).hexdigest()[:16]
    return Ports(
        db=db,
        volume=folder,
        transcoder=Children(settings.postprocess),
        upstream=_upstream(settings, folder),
        egress=Egress(settings.egress),
        limits=Limits(
            upload=settings.volume.max_upload,
            durable=settings.volume.durability == "safe",
            profile=profile,
            high_water=settings.volume.high_water,
            wait_for_room=settings.volume.wait_for_room,
            rules=rules,
            retention=settings.retention,
        ),
        host=name,
    )


def _upstream(settings: Settings, folder: Folder) -> Upstream:
    match settings.upstream.kind:
        case "sandbox":
            return Sandbox(settings.upstream, folder.spool, open_plain)


def webapp(settings: Settings, ports: Ports, name: str = "web") -> "ASGIApp":
    """The HTTP face over these ports."""
    from satchel.webapp import Webapp
    from satchel.webapp.app import app
    from satchel.webapp.auth import Gate

    return app(Webapp(ports, Gate(ports.db, settings.webapp), settings.webapp, name))


def coreapp(settings: Settings, opened: Opened) -> "Coreapp":
    """The background work over these ports."""
    from satchel.coreapp.chores import Chores
    from satchel.coreapp.kinds import Callbacks, Conversions, Downloads, GcRuns, Inbound, Links, Messages, Preparations, Renewals
    from satchel.coreapp.run import Coreapp
    from satchel.coreapp.worker import Kind, Worker

    ports, looking, converting = opened.ports, settings.postprocess.children, settings.postprocess.converting
    kinds: list[Kind] = [Messages(ports), Preparations(ports, 2 * looking), Conversions(ports, converting), Links(ports), Renewals(ports)]
    kinds += [Inbound(ports), Downloads(ports), Callbacks(ports), GcRuns(ports)]
    return Coreapp(Worker(opened.ports.db, kinds, opened.name, settings.coreapp.lease_ttl), Chores(opened.ports, opened.name))


def instance(data_dir: Path, role: str) -> str:
    """A name that no other living process of this role bears, and that our next life on this machine takes again.

    Held by a lock on a file in the data directory, whose identity keeps two data directories of one machine apart.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    for number in range(1000):
        fd = os.open(data_dir / f"{role}.{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        return f"{host_prefix(data_dir)}.{role}.{number}"  # the lock is held until the process ends
    raise SettingsError(f"A thousand processes hold locks in {data_dir}: stop some.")


def host_prefix(data_dir: Path) -> str:
    """What the names of all instances of this machine and data directory start with."""
    found = data_dir.stat()
    mark = hashlib.sha256(f"{found.st_dev}:{found.st_ino}".encode()).hexdigest()[:8]
    return f"{socket.gethostname()}.{mark}"
