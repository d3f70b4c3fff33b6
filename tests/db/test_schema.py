"""Migrations: applied once by whoever is first, and never in silence over something unknown."""

import asyncio

import pytest

from satchel import build
from satchel.db import Database, schema
from satchel.domain.errors import Fault

from ..conftest import Place

pytestmark = pytest.mark.anyio


async def test_of_several_processes_one_applies(place: Place) -> None:
    several = [build.database(place.settings) for _ in range(4)]
    applied = await asyncio.gather(*(schema.migrate(db) for db in several))
    assert sorted(map(len, applied)) == [0, 0, 0, len(schema.migrations())]
    for db in several:
        await db.close()


async def test_a_newer_schema_is_refused(db: Database) -> None:
    await db.write(lambda tx: tx.run("INSERT INTO migration (version, sha256) VALUES (9999, 'x')"))
    with pytest.raises(Fault, match="install a newer version"):
        await schema.migrate(db)


async def test_an_edited_migration_is_noticed(db: Database) -> None:
    await db.write(lambda tx: tx.run("UPDATE migration SET sha256 = 'x' WHERE version = 1"))
    with pytest.raises(Fault, match="was edited"):
        await schema.migrate(db)
