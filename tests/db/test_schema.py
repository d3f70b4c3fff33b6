"""Migrations: applied once by whoever is first, and never in silence over something unknown."""

import asyncio
from functools import partial

import pytest

from satchel import build
from satchel.db import Database, Tx, lanes, preps, schema
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


async def test_what_waited_before_lanes_of_conversions_had_their_name_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    db, known = build.database(place.settings), schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: known[:14])
    await schema.migrate(db)
    await db.write(partial(_put_off, {"film": '{"slug":"volume-full","details":"99 % full."}', "prep": '{"slug":"unexpected"}'}))
    monkeypatch.undo()
    assert await schema.migrate(db) == [one.name for one in known[14:]]
    assert await db.read(preps.waiting_for_room) == 1
    assert await db.read(lambda tx: tx.all("SELECT kind FROM lane ORDER BY kind")) == [("convert",), ("prep",)]
    await db.close()


def _put_off(whys: dict[str, str], tx: Tx) -> None:
    for kind, why in whys.items():
        lanes.wake(tx, f"prep:{kind}", kind)
        tx.run(
            "INSERT INTO prep (id, kind, lane, state, why, steps, created_at, attempts) "
            "VALUES (:kind, 'prep', :lane, 'waiting', :why, '[]', :now, 1)",
            kind=kind,
            lane=f"prep:{kind}",
            why=why,
        )
