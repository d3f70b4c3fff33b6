"""The port Database, the same suite on every engine."""

import asyncio
from functools import partial

import pytest

from satchel import build
from satchel.db import Database, Tx
from satchel.db import settings as rows

from ..conftest import Place

pytestmark = pytest.mark.anyio


async def test_a_write_is_seen_by_the_next_read(db: Database) -> None:
    await db.write(lambda tx: rows.put(tx, "key", {"a": [1, "ü"]}))
    assert await db.read(lambda tx: rows.get(tx, "key")) == {"a": [1, "ü"]}


async def test_what_a_closure_raises_rolls_back_its_writes_and_nobody_elses(db: Database) -> None:
    def breaks(tx: Tx) -> None:
        rows.put(tx, "broken", 1)
        raise KeyError("mine")

    outcomes = await asyncio.gather(
        db.write(breaks), *(db.write(partial(rows.put, key=f"fine{n}", value=n)) for n in range(8)), return_exceptions=True
    )
    assert isinstance(outcomes[0], KeyError)
    assert outcomes[1:] == [None] * 8
    assert await db.read(lambda tx: (rows.get(tx, "broken"), rows.get(tx, "fine7"))) == (None, 7)


async def test_colons_percents_and_quotes_in_literals_are_not_parameters(db: Database) -> None:
    found = await db.read(lambda tx: tx.one("SELECT 'a:b', '100% :now', 'it''s', :x", x="y"))
    assert found == ("a:b", "100% :now", "it's", "y")


async def test_now_is_the_databases_clock_and_not_in_the_past(db: Database) -> None:
    first, second = [(await db.read(lambda tx: tx.one("SELECT :now"))) for _ in range(2)]
    assert first is not None and second is not None
    assert 0 <= second[0] - first[0] < 60


async def test_counters_do_not_lose_updates(db: Database) -> None:
    await db.write(lambda tx: tx.run("INSERT INTO setting (key, json) VALUES ('n', '0')"))

    def add(tx: Tx) -> None:
        tx.lock(1)
        rows.put(tx, "n", rows.get(tx, "n") + 1)

    await asyncio.gather(*(db.write(add, durable=n % 2 == 0) for n in range(40)))
    assert await db.read(lambda tx: rows.get(tx, "n")) == 40


async def test_wait_ends_when_another_process_wakes_a_lane(db: Database, place: Place) -> None:
    other = build.database(place.settings)

    def wake(tx: Tx) -> None:
        rows.put(tx, "key", 1)
        tx.woke = True

    await db.wait(0.0)
    await db.wait(0.2)  # PostgreSQL: the first call began to listen
    waiting = asyncio.create_task(db.wait(30.0))
    while not waiting.done():
        await other.write(wake)
        await asyncio.wait({waiting}, timeout=0.3)
    await other.close()


async def test_keep_first_gives_everybody_the_same_value(db: Database) -> None:
    values = await asyncio.gather(*(db.write(partial(rows.keep_first, key="key", value=n)) for n in range(10)))
    assert len(set(values)) == 1
