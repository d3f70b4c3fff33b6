"""The worker and lanes whose workers died: what only waits for others is no suspect, and holds up nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from satchel import build
from satchel.coreapp.leases import Lease
from satchel.coreapp.worker import Worker
from satchel.db import Database, Tx, lanes, schema
from satchel.flows import LeaseLost, Settle, Settlement

from ..conftest import Place

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]


@dataclass(frozen=True)
class Item:
    id: str
    due_in: float = 0.0


class Work:
    """One item a lane; `go_on`: what it waits for."""

    slots = 4
    share: int | None = None
    room: Callable[[Tx], int] | None = None

    def __init__(self, kind: str, risky: bool, go_on: asyncio.Event | None = None) -> None:
        self.kind, self.risky, self._go_on = kind, risky, go_on
        self.done: set[str] = set()
        self.begun, self.finished = asyncio.Event(), asyncio.Event()

    def begins(self, tx: Tx, item: Item) -> None:
        pass

    def head(self, tx: Tx, lane: str) -> Item | None:
        return None if lane in self.done else Item(lane)

    async def work(self, item: Item, lease: Lease) -> Settle:
        self.begun.set()
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


class Counted(Work):
    """Goes on when it is told to; `most`: how many lanes of each group were in work at once."""

    share: int | None = 2

    def __init__(self, go_on: asyncio.Event) -> None:
        super().__init__("link", False, go_on)
        self.slots = 5
        self.working: list[str] = []
        self.changed = asyncio.Condition()

    async def work(self, item: Item, lease: Lease) -> Settle:
        self.working.append(lease.lane.name)
        async with self.changed:
            self.changed.notify_all()
        return await super().work(item, lease)


async def test_one_group_of_lanes_never_has_all_slots(db: Database) -> None:
    go_on = asyncio.Event()
    link = Counted(go_on)

    def wake(tx: Tx) -> None:
        for name in [f"link:slow:{n}" for n in range(9)] + ["link:fast:1", "link:other:1"]:
            lanes.wake(tx, name, "link")
            tx.run("UPDATE lane SET run_at = run_at + :later WHERE name = :name", later=-5.0 if "slow" in name else -1.0, name=name)

    await db.write(wake)
    worker = Worker(db, [link], "test.core.0", 30.0)
    task = asyncio.create_task(worker.run())
    async with link.changed:
        await link.changed.wait_for(lambda: len(link.working) >= 4)
    assert [line.due for line in await db.read(lambda tx: lanes.survey(tx, [lanes.Asked("link", 99)]))] == [7]
    assert sorted(name.split(":")[1] for name in link.working) == ["fast", "other", "slow", "slow"]
    go_on.set()
    async with link.changed:
        await link.changed.wait_for(lambda: len(link.working) == 11)
    worker.stop()
    await task
    assert len(link.done) == 11


async def test_a_lane_that_its_worker_lets_go_of_is_run_by_the_next(db: Database) -> None:
    class Passing(Work):
        times = 0

        async def work(self, item: Item, lease: Lease) -> Settlement:  # type: ignore[override]
            self.times += 1

            def settle(tx: Tx) -> bool:
                lanes.hand_over(tx, lease.lane.name, "convert")
                return True

            return Settlement(settle, lambda tx: None, lets_go=True)

    passing, convert = Passing("prep", True), Work("convert", True)
    await db.write(lambda tx: lanes.wake(tx, "prep:1", "prep"))
    worker = Worker(db, [passing, convert], "test.core.0", 30.0)
    task = asyncio.create_task(worker.run())
    await convert.finished.wait()
    assert (passing.times, passing.done) == (1, set())
    worker.stop()
    await task


async def test_after_a_lost_lease_what_was_left_outside_is_looked_after(db: Database) -> None:
    class Losing(Work):
        lost = ""

        async def work(self, item: Item, lease: Lease) -> Settle:
            if not self.lost:
                self.lost = item.id
                raise LeaseLost(item.id)
            return await super().work(item, lease)

    work = Losing("in", False)
    await db.write(lambda tx: lanes.wake(tx, "in:1", "in"))
    worker = Worker(db, [work], "test.core.0", 30.0)
    task = asyncio.create_task(worker.run())
    await asyncio.wait_for(work.finished.wait(), 10)
    worker.stop()
    await task
    assert (work.lost, work.done) == ("in:1", set())


async def test_while_a_suspect_is_run_alone_what_only_waits_for_others_goes_on(db: Database) -> None:
    go_on = asyncio.Event()
    suspect, plain, waiting = Work("suspect", True, go_on), Work("plain", True), Work("waiting", False)

    def wake(tx: Tx) -> None:
        lanes.wake(tx, "suspect:1", "suspect")
        tx.run("UPDATE lane SET claims = 2 WHERE name = 'suspect:1'")

    await db.write(wake)
    worker = Worker(db, [suspect, plain, waiting], "test.core.0", 30.0)
    task = asyncio.create_task(worker.run())
    await suspect.begun.wait()
    for n in range(3):
        for work in (plain, waiting):
            await db.write(partial(lanes.wake, name=f"{work.kind}:{n}", kind=work.kind))
        await asyncio.wait_for(waiting.finished.wait(), 5)
        waiting.finished.clear()
    assert not plain.done
    go_on.set()
    await asyncio.gather(suspect.finished.wait(), plain.finished.wait())
    worker.stop()
    await task
