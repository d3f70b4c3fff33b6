"""The worker and lanes whose workers died: what only waits for others is no suspect, and holds up nobody."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from satchel import build
from satchel.coreapp.leases import Lease
from satchel.coreapp.worker import Worker
from satchel.db import Database, Tx, lanes, schema
from satchel.flows import Settle

from ..conftest import Place

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]


@dataclass(frozen=True)
class Item:
    id: str
    due_in: float = 0.0


class Work:
    """One item a lane; `go_on`: what it waits for."""

    slots = 4

    def __init__(self, kind: str, risky: bool, go_on: asyncio.Event | None = None) -> None:
        self.kind, self.risky, self._go_on = kind, risky, go_on
        self.done: set[str] = set()
        self.finished = asyncio.Event()

    def room(self, tx: Tx) -> None:
        return None

    def head(self, tx: Tx, lane: str) -> Item | None:
        return None if lane in self.done else Item(lane)

    async def work(self, item: Item, lease: Lease) -> Settle:
        if self._go_on is not None:
            await self._go_on.wait()

        def settle(tx: Tx) -> bool:
            self.done.add(item.id)
            return True

        return settle

    def broken(self, item: Item, error: Exception) -> Settle:
        raise AssertionError from error

    def hopeless(self, item: Item) -> Settle:
        raise AssertionError("an item was given up that nobody has tried alone")

    async def after(self, item: Item) -> None:
        self.finished.set()


@pytest.fixture
async def db(place: Place) -> AsyncIterator[Database]:
    db = build.database(place.settings)
    await schema.migrate(db)
    yield db
    await db.close()


async def test_a_slow_wait_for_others_holds_up_nobody_however_often_its_worker_died(db: Database) -> None:
    go_on = asyncio.Event()
    slow, quick, suspect = Work("slow", False, go_on), Work("quick", True), Work("suspect", True)

    def wake(tx: Tx) -> None:
        for work, claims in ((slow, 9), (quick, 0), (suspect, 3)):
            lanes.wake(tx, f"{work.kind}:1", work.kind)
            tx.run("UPDATE lane SET claims = :claims WHERE name = :name", claims=claims, name=f"{work.kind}:1")

    await db.write(wake)
    worker = Worker(db, [slow, quick, suspect], "test.core.0", 30.0)
    task = asyncio.create_task(worker.run())
    await asyncio.gather(quick.finished.wait(), suspect.finished.wait())
    assert not slow.finished.is_set()
    go_on.set()
    await slow.finished.wait()
    worker.stop()
    await task
