"""Runs lanes: claim, look at the head, work, settle, release. Knows nothing of what the work is."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import structlog

from satchel.coreapp.leases import Lease, Leases
from satchel.db import Database, Tx, lanes
from satchel.db.lanes import Claimed
from satchel.domain.errors import Later
from satchel.flows import LeaseLost, Settle, Settlement

log = structlog.get_logger("satchel.coreapp")
BUDGET = 50
"""Items after which a lane is given back, so that others get their turn."""
FLOOR = 1.0
"""Longest wait for a notice, seconds: a lost one costs this much."""
SOON = 0.01
"""Longest wait, seconds, when a lane that was about to be claimed may have been one already, and another be due in its place."""
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
    """A kind of lane and what is done with its items. `slots`: how many of its lanes run at once in this process.

    `share`: how many of them at the most are of one group (see `lanes.group_of`), None for all.
    `risky`: whether an item could end this process; one that only waits for others cannot, and may wait for minutes.
    `room`: how many more of its lanes may be leased now, over all processes; None for as many as there are slots.
    """

    kind: str
    slots: int
    share: int | None
    risky: bool
    room: Callable[[Tx], int] | None

    def head(self, tx: Tx, lane: str) -> Any:
        """The first unfinished item, or None."""

    def begins(self, tx: Tx, item: Any) -> None:
        """Note that the item goes into work now, where somebody wants to know."""

    async def work(self, item: Any, lease: Lease) -> Settle | Settlement:
        """Do the item's outside effects; what is left is one transaction."""

    def broken(self, item: Any, error: Exception) -> Settle:
        """What becomes of an item whose work raised something nobody foresaw."""

    def hopeless(self, item: Any) -> Settle:
        """The end of an item whose workers died each time, also when nothing else was in work there."""

    async def after(self, item: Any) -> None:
        """Once the item is settled, here or, when the lease was lost, perhaps elsewhere. May be skipped by a crash."""


@dataclass(frozen=True)
class _Survey:
    """What there is to do. `suspects`: kinds with a lane to be run alone; `due`: how many lanes, by kind; `after`: seconds to the next.

    `full`: kinds of which more may be due than there are slots for, or than a group of lanes has its share of.
    """

    suspects: list[Kind]
    due: dict[str, int]
    after: float
    full: set[str]


class Worker:
    """`name`: of this instance, the same over restarts; `kinds`: the lanes it runs.

    A lane whose workers died again and again may be a victim of its neighbours: from its third claim on it is run while nothing else is
    that could end a worker.
    """

    def __init__(self, db: Database, kinds: list[Kind], name: str, ttl: float) -> None:
        self._db = db
        self._kinds = kinds
        self._name = name
        self._leases = Leases(db, ttl)
        self._running: dict[str, set[asyncio.Task[None]]] = {kind.kind: set() for kind in kinds}
        self._starting = Counter[str]()
        self._full = set[str]()
        self._turns = {kind.kind: asyncio.Lock() for kind in kinds}
        self._survived: list[str] = []
        self._clearing = False
        self._alone: asyncio.Task[None] | None = None
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
                    await self._forgive()
                    survey = await self._db.read(self._look_around)
                    if survey.suspects and self._alone is None:
                        self._start_alone(survey.suspects)
                    unsure = any(due and self._starting[name] for name, due in survey.due.items())
                    self._start_due(survey)
                    await self._wait(SOON if unsure else survey.after)
                except Later as later:
                    log.warning("database_down", details=later.details)
                    await self._pause(BREATH)
            await self._leave()
        finally:
            keeper.cancel()
            if self._alone is not None:
                self._alone.cancel()

    async def _leave(self) -> None:
        """Let the heads in work come to their end; those that do not are handed back, and did not kill anybody."""
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=GRACE)
        left = self._leases.held()
        for task in self._tasks():
            task.cancel()
        await asyncio.gather(*self._tasks(), return_exceptions=True)
        try:
            for lease in left:
                await self._db.write(partial(lanes.hand_back, lane=lease.lane), durable=False)
            await self._forgive()
        except Later as later:
            log.warning("database_down", details=later.details)

    def _tasks(self) -> set[asyncio.Task[None]]:
        return set().union(*self._running.values())

    async def _forgive(self) -> None:
        """Claims that came to nothing while we live do not count against their lanes."""
        while self._survived:
            await self._db.write(partial(lanes.survived, name=self._survived[-1]), durable=False)
            self._survived.pop()

    def _look_around(self, tx: Tx) -> _Survey:
        asked = [lanes.Asked(kind.kind, self._free(kind, tx), kind.risky, self._crowded(kind)) for kind in self._kinds]
        lines = list(zip(self._kinds, lanes.survey(tx, asked), strict=True))
        return _Survey(
            [kind for kind, line in lines if line.suspect],
            {kind.kind: line.due for kind, line in lines},
            min((line.after for _, line in lines if line.after is not None), default=FLOOR),
            {kind.kind for one, (kind, line) in zip(asked, lines, strict=True) if kind.share or line.due >= one.most},
        )

    def _free(self, kind: Kind, tx: Tx) -> int:
        """How many more lanes of a kind may be started."""
        free = max(0, kind.slots - len(self._running[kind.kind]))
        return min(free, kind.room(tx)) if free and kind.room else free

    def _start_alone(self, kinds: list[Kind]) -> None:
        """Until it is over no lane is started whose item could end us, too; those that only wait for others are."""
        self._alone = asyncio.create_task(self._run_alone(kinds))
        self._alone.add_done_callback(self._alone_over)

    def _alone_over(self, task: asyncio.Task[None]) -> None:
        self._alone = None

    async def _run_alone(self, kinds: list[Kind]) -> None:
        """Run lanes that may kill their worker, one at a time, while nothing else is in work here that could.

        Whoever has not come to an end after a while is not waited for any longer: the others must go on.
        """
        self._clearing = True
        risky = set().union(*(self._running[kind.kind] for kind in self._kinds if kind.risky))
        try:
            await self._until_done(risky, GRACE)
        finally:
            self._clearing = False
        for kind in kinds:
            if not self._stopping.is_set():
                await self._until_done({self._start(kind, self._run_suspect(kind))})

    async def _until_done(self, tasks: set[asyncio.Task[None]], patience: float | None = None) -> None:
        """Wait for all of them, for `stop`, or until so many seconds have passed."""
        stopping = asyncio.create_task(self._stopping.wait())
        until = None if patience is None else asyncio.get_running_loop().time() + patience
        while (tasks := {task for task in tasks if not task.done()}) and not stopping.done():
            left = None if until is None else until - asyncio.get_running_loop().time()
            if left is not None and left <= 0:
                break
            await asyncio.wait([*tasks, stopping], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    def _start(self, kind: Kind, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running[kind.kind].add(task)
        task.add_done_callback(self._running[kind.kind].discard)
        return task

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

    def _start_due(self, survey: _Survey) -> None:
        """A slot for each lane that is due, but for those that are about to be claimed."""
        self._full = survey.full
        for kind in self._kinds:
            if kind.risky and self._alone is not None:
                continue
            for _ in range(survey.due[kind.kind] - self._starting[kind.kind]):
                self._starting[kind.kind] += 1
                self._start(kind, self._run_slot(kind))

    async def _wait(self, after: float) -> None:
        notice = asyncio.create_task(self._db.wait(min(FLOOR, max(0.0, after))))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({notice, stopping, self._alone or stopping}, return_when=asyncio.FIRST_COMPLETED)
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
        """A lane, and one after the other while more are due than there are slots; what becomes due later is started anew."""
        alone = False if kind.risky else None
        try:
            claimed = None if self._closes(kind) else await self._claim(kind, alone)
        finally:
            self._starting[kind.kind] -= 1
        while claimed:
            await self._run_claimed(kind, *claimed)
            more = kind.kind in self._full and not self._closes(kind)
            claimed = await self._claim(kind, alone) if more else None

    async def _run_suspect(self, kind: Kind) -> None:
        if claimed := await self._claim(kind, alone=True):
            await self._run_claimed(kind, *claimed)

    async def _claim(self, kind: Kind, alone: bool | None) -> tuple[Lease, Any] | None:
        """The lane that is due longest and its head; None when none is to be had."""
        try:
            token, look = f"{self._name}/{uuid.uuid4().hex}", partial(self._first, kind=kind)
            async with self._turns[kind.kind] if kind.share else nullcontext():  # else two would take the last of a group's share
                return await self._leases.claim(kind.kind, token, look, kind.room, alone, self._crowded(kind))
        except Later:
            return None

    async def _run_claimed(self, kind: Kind, lease: Lease, item: Any) -> None:
        try:
            await self._run_lane(kind, lease, item)
        except LeaseLost:
            log.warning("lease_lost", lane=lease.lane.name)
            self._survived.append(lease.lane.name)
        except Later as later:  # in SETTLE or around it the outcome is unknown: the lease runs out, and whoever claims next looks
            log.warning("claim_dropped", lane=lease.lane.name, details=later.details)
            self._survived.append(lease.lane.name)
        except Exception:
            log.exception("unexpected", lane=lease.lane.name)
        finally:
            self._leases.drop(lease)

    def _crowded(self, kind: Kind) -> list[str]:
        """Groups of lanes that have their share of the slots."""
        if kind.share is None:
            return []
        working = Counter(lanes.group_of(lease.lane.name) for lease in self._leases.held())
        return [group for group, count in working.items() if count >= kind.share and group.startswith(f"{kind.kind}:")]

    def _closes(self, kind: Kind) -> bool:
        """Whether slots of this kind are to end with the item they have."""
        return (self._clearing and kind.risky) or self._stopping.is_set()

    async def _run_lane(self, kind: Kind, lease: Lease, item: Any) -> None:
        done = 0
        while item is not None:
            settled = item
            try:
                item, done = await self._run_item(kind, lease, item, done), done + 1
            except LeaseLost:
                await self._after(kind, settled)  # what we left outside may be nobody's by now
                raise
            await self._after(kind, settled)

    async def _run_item(self, kind: Kind, lease: Lease, item: Any, done: int) -> Any:
        """Work and settle; the next head. `done`: how many of the lane came before it."""
        if done == 0 and kind.risky and lease.lane.hopeless:
            log.error("item_ends_its_workers", lane=lease.lane.name, item=item.id, claims=lease.lane.claims)
            settle: Settle | Settlement = kind.hopeless(item)
        else:
            settle = await self._work(kind, item, lease)
        lease.check()
        whole = settle if isinstance(settle, Settlement) else Settlement(settle)
        fn = partial(self._settle, kind=kind, lease=lease, settlement=whole, done=done + 1)
        return await self._db.write(fn, durable=whole.durable)

    async def _work(self, kind: Kind, item: Item, lease: Lease) -> Settle | Settlement:
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

    def _settle(self, tx: Tx, kind: Kind, lease: Lease, settlement: Settlement, done: int) -> Any:
        """One transaction an item: fence, finish with its effects, look at the next."""
        settlement.ahead(tx)
        if not lanes.fence(tx, lease.lane):
            raise LeaseLost(lease.lane.name)
        lanes.settled(tx, lease.lane)
        settlement.settle(tx)
        return self._next(tx, kind, lease.lane, BUDGET if settlement.lets_go else done)

    def _first(self, tx: Tx, lane: Claimed, kind: Kind) -> Any:
        """In the claim's transaction, whose lock on the lane stands for a fence."""
        return self._next(tx, kind, lane, 0)

    def _next(self, tx: Tx, kind: Kind, lane: Claimed, done: int) -> Any:
        """The head if it is due and there is budget left; else the lane is released for when it will be."""
        head = kind.head(tx, lane.name)
        if head is None:
            lanes.release(tx, lane, None)
        elif head.due_in > 0 or done >= BUDGET or self._closes(kind):
            lanes.release(tx, lane, max(0.0, head.due_in))
        else:
            kind.begins(tx, head)
            return head
        return None
