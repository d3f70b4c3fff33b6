"""The numbered migrations and the one way to apply them: all that are missing, in one transaction, under one lock."""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

from satchel.db import Database, Tx, locks
from satchel.domain.errors import SCHEMA_UNFIT, Fault


@dataclass(frozen=True)
class Migration:
    """One file of `migrations/`; `version` is the number its name starts with."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hexadecimal; kept with the row of an applied one, so that a later edit is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations that this code knows, oldest first."""
    folder = resources.files("satchel.db").joinpath("migrations")
    found = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return [Migration(int(item.name[:4]), item.name, item.read_text(encoding="utf-8")) for item in found]


async def migrate(db: Database) -> list[str]:
    """Bring the schema up to this code; the names of the migrations applied now. Several processes may call it at once.

    Raises `Fault` when the database is newer than this code, or an applied migration was edited afterwards.
    """

    def apply(tx: Tx) -> list[str]:
        tx.lock(locks.SCHEMA)
        tx.script("CREATE TABLE IF NOT EXISTS migration (version bigint PRIMARY KEY, sha256 text NOT NULL)")
        return [_apply(tx, db, migration) for migration in _missing(tx)]

    return await db.write(apply)


async def pending(db: Database) -> list[str]:
    """The names of the migrations that are missing, without applying them. Raises `Fault` as `migrate` does."""

    def look(tx: Tx) -> list[str]:
        begun = tx.one(f"SELECT 1 FROM ({db.dialect['tables']}) AS tables WHERE name = 'migration'")
        return [migration.name for migration in (_missing(tx) if begun else migrations())]

    return await db.read(look)


def version(tx: Tx, db: Database) -> str:
    """The version of the database itself, such as `SQLite 3.51.3`."""
    row = tx.one(f"SELECT {db.dialect['version']}")
    assert row is not None, "a value has a row"
    return str(row[0])


def _missing(tx: Tx) -> list[Migration]:
    applied: dict[int, str] = dict(tx.all("SELECT version, sha256 FROM migration"))
    known = migrations()
    newer = sorted(set(applied) - {migration.version for migration in known})
    if newer:
        raise Fault(SCHEMA_UNFIT, f"The database has migration {newer[-1]}, which this Satchel does not know: install a newer version.")
    for migration in known:
        if applied.get(migration.version, migration.sha256) != migration.sha256:
            raise Fault(SCHEMA_UNFIT, f"Migration {migration.name} was edited after it had been applied: restore the file of the release.")
    return [migration for migration in known if migration.version not in applied]


def _apply(tx: Tx, db: Database, migration: Migration) -> str:
    tx.script(re.sub(r"\{(\w+)\}", lambda match: db.dialect[match[1]], migration.sql))
    tx.run("INSERT INTO migration (version, sha256) VALUES (:version, :sha256)", version=migration.version, sha256=migration.sha256)
    return migration.name
