"""Runs lanes: claim, look at the head, work, settle, release. Knows nothing of what the work is."""

import asyncio
import uuid
from functools import partial
from typing import Any, Protocol

import structlog

from satchel.coreapp.leases import Lease, Leases
from satchel.db import Database, Tx, lanes
from satchel.domain.errors import Later
from satchel.flows import LeaseLost, Settle

log = structlog.get_logger("satchel.coreapp")
BUDGET = 50
"""Items after which a lane is given back, so that others get their turn."""
FLOOR = 1.0
"""Longest wait for a notice, seconds: a lost one costs this much."""
BREATH = 0.5
"""Seconds of rest after the database did not answer."""
GRACE = 30.0
"""Seconds that the heads in work have to come to their end when we stop."""


class Item(Protocol):
    """The head of a lane. `due_in`: seconds until it may run, 0 or less when now."""

    @property
    def id(self) -> str: ...
    @property
    def due_in(self) -> float: ...


class Kind(Protocol):
    """A kind of lane and what is done with its items. `slots`: how many of its lanes run at once in this process."""

    kind: str
    slots: int

    def head(self, tx: Tx, lane: str) -> Any:
        """The first unfinished item, or None."""

    async def work(self, item: Any, lease: Lease) -> Settle:
        """Do the item's outside effects; what is left is one transaction."""

    def broken(self, item: Any, error: Exception) -> Settle:
        """What becomes of an item whose work raised something nobody foresaw."""

    async def after(self, item: Any) -> None:
        """Once the item is settled. May be skipped by a crash."""


class Worker:
    """`name`: of this instance, the same over restarts; `kinds`: the lanes it runs."""

    def __init__(self, db: Database, kinds: list[Kind], name: str, ttl: float) -> None:
        self._db = db
        self._kinds = kinds
        self._name = name
        self._leases = Leases(db, ttl)
        self._running: dict[str, set[asyncio.Task[None]]] = {kind.kind: set() for kind in kinds}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the heads in work are settled."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`."""
        await self._free_own()
        keeper = asyncio.create_task(self._leases.keep())
        try:
            while not self._stopping.is_set():
                try:
                    await self._start_due()
                    await self._wait()
                except Later as later:
                    log.warning("database_down", details=later.details)
                    await self._pause(BREATH)
            if tasks := set().union(*self._running.values()):
                await asyncio.wait(tasks, timeout=GRACE)
        finally:
            keeper.cancel()

    async def _free_own(self) -> None:
        """Lanes that our earlier life held are free at once: nobody else bears this name."""
        while not self._stopping.is_set():
            try:
                for name in await self._db.read(lambda tx: lanes.left_by(tx, self._name)):
                    await self._db.write(partial(lanes.free, name=name, worker=self._name), durable=False)
                return
            except Later as later:
                log.warning("database_down", details=later.details)
                await self._pause(BREATH)

    async def _start_due(self) -> None:
        for kind in self._kinds:
            tasks = self._running[kind.kind]
            if (free := kind.slots - len(tasks)) <= 0:
                continue
            for _ in range(await self._db.read(partial(lanes.due, kind=kind.kind, limit=free))):
                task = asyncio.create_task(self._run_slot(kind))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    async def _wait(self) -> None:
        after = await self._db.read(lanes.next_due)
        notice = asyncio.create_task(self._db.wait(FLOOR if after is None else min(FLOOR, max(0.0, after))))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({notice, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if notice.done():
            notice.result()
        else:
            notice.cancel()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            pass

    async def _run_slot(self, kind: Kind) -> None:
        """One lane after the other while some are due."""
        while not self._stopping.is_set():
            try:
                lease = await self._leases.claim(kind.kind, f"{self._name}/{uuid.uuid4().hex}")
            except Later:
                return
            if lease is None:
                return
            try:
                await self._run_lane(kind, lease)
            except LeaseLost:
                log.warning("lease_lost", lane=lease.lane.name)
            except Later as later:  # in SETTLE or around it the outcome is unknown: the lease runs out, and whoever claims next looks
                log.warning("claim_dropped", lane=lease.lane.name, details=later.details)
            except Exception:
                log.exception("unexpected", lane=lease.lane.name)
            finally:
                self._leases.drop(lease)

    async def _run_lane(self, kind: Kind, lease: Lease) -> None:
        item = await self._db.write(lambda tx: self._look(tx, kind, lease, 0), durable=False)
        done = 0
        while item is not None:
            settle = await self._work(kind, item, lease)
            lease.check()
            done += 1
            settled, item = item, await self._db.write(partial(self._settle, kind=kind, lease=lease, settle=settle, done=done))
            await self._after(kind, settled)

    async def _work(self, kind: Kind, item: Item, lease: Lease) -> Settle:
        try:
            return await kind.work(item, lease)
        except (LeaseLost, Later):
            raise
        except Exception as error:
            log.exception("unexpected", lane=lease.lane.name, item=item.id)
            return kind.broken(item, error)

    async def _after(self, kind: Kind, item: Item) -> None:
        """Nothing that goes wrong here concerns the lane."""
        try:
            await kind.after(item)
        except Later as later:
            log.warning("after_put_off", item=item.id, details=later.details)
        except Exception:
            log.exception("unexpected", item=item.id)

    def _settle(self, tx: Tx, kind: Kind, lease: Lease, settle: Settle, done: int) -> Any:
        """One durable transaction an item: fence, finish with its effects, look at the next."""
        if not lanes.fence(tx, lease.lane):
            raise LeaseLost(lease.lane.name)
        settle(tx)
        lanes.settled(tx, lease.lane)
        return self._next(tx, kind, lease, done)

    def _look(self, tx: Tx, kind: Kind, lease: Lease, done: int) -> Any:
        if not lanes.fence(tx, lease.lane):
            raise LeaseLost(lease.lane.name)
        return self._next(tx, kind, lease, done)

    def _next(self, tx: Tx, kind: Kind, lease: Lease, done: int) -> Any:
        """The head if it is due and there is budget left; else the lane is released for when it will be."""
        head = kind.head(tx, lease.lane.name)
        if head is None:
            lanes.release(tx, lease.lane, None)
        elif head.due_in > 0 or done >= BUDGET or self._stopping.is_set():
            lanes.release(tx, lease.lane, max(0.0, head.due_in))
        else:
            return head
        return None
