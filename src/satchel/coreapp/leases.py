"""Leases on lanes that this worker holds: each knows until when outside effects may start, one beat renews them all."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from satchel.db import Database, Tx, lanes, locks
from satchel.db.lanes import Claimed
from satchel.domain.errors import Later
from satchel.flows import LeaseLost

log = structlog.get_logger("satchel.coreapp")
Look = Callable[[Tx, Claimed], Any]
Room = Callable[[Tx], int]
MARGIN = 0.2
"""Share of the ttl before its end from which no outside effect starts any more."""


def _boot_time() -> float:
    """Seconds that go on while the machine sleeps and while this process is frozen."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(eq=False)
class Lease:
    """A lane we claimed. `began`: boot time read before the claim, or before the last renewal."""

    lane: Claimed
    ttl: float
    began: float
    lost: bool = False

    def check(self) -> None:
        """Raise `LeaseLost` when another worker may hold the lane by now."""
        if self.lost or _boot_time() > self.began + self.ttl * (1 - MARGIN):
            raise LeaseLost(self.lane.name)


class Leases:
    """`ttl`: seconds. Run `keep` as a task for as long as lanes are held."""

    def __init__(self, db: Database, ttl: float) -> None:
        self._db = db
        self._ttl = ttl
        self._held: set[Lease] = set()

    async def claim(
        self, kind: str, token: str, look: Look, room: Room | None, alone: bool | None, crowded: Sequence[str] = ()
    ) -> tuple[Lease, Any] | None:
        """Lease the lane that is due longest and look at its head; None when none is due. See `lanes.claim`.

        `room`: how many more may be leased now, over all processes; None for as many as anybody likes. A head of None means that
        the lane was released at once.
        """
        began = _boot_time()

        def take(tx: Tx) -> tuple[Claimed, Any] | None:
            if room is not None:
                tx.lock(locks.ROOM)  # else two who count at the same time would both find room for the last one
                if not room(tx):
                    return None
            lane = lanes.claim(tx, kind, token, self._ttl, alone, crowded)
            return None if lane is None else (lane, look(tx, lane))

        taken = await self._db.write(take, durable=False)
        if taken is None:
            return None
        lane, item = taken
        lease = Lease(lane, lane.ttl(self._ttl), began)
        if item is None:
            return lease, None
        self._held.add(lease)
        if lease.ttl > self._ttl:
            await self._extend(lease)
        return lease, item

    @asynccontextmanager
    async def alone(self, name: str, kind: str) -> AsyncIterator[Lease | None]:
        """Hold a lane for work that is none of its items, such as a person's; None while somebody else has it."""
        began, token = _boot_time(), f"alone/{uuid.uuid4().hex}"
        lane = await self._db.write(lambda tx: lanes.take(tx, name, kind, token, self._ttl), durable=False)
        if lane is None:
            yield None
            return
        lease = Lease(lane, self._ttl, began)
        self._held.add(lease)
        keeper = asyncio.create_task(self.keep())
        try:
            yield lease
        finally:
            keeper.cancel()
            self.drop(lease)
            await self._db.write(lambda tx: lanes.release(tx, lease.lane, 0.0), durable=False)

    def held(self) -> list[Lease]:
        """Every lane in work."""
        return list(self._held)

    def drop(self, lease: Lease) -> None:
        """The lane was released, or is left to run out."""
        self._held.discard(lease)

    async def keep(self) -> None:
        """Renew every held lease each quarter of the ttl, one transaction a lane."""
        while True:
            await asyncio.sleep(self._ttl / 4)
            for lease in list(self._held):
                try:
                    await self._extend(lease)
                except Later:
                    pass  # the lease then runs out by itself, and check() knows
                except Exception:
                    log.exception("unexpected", lane=lease.lane.name)

    async def _extend(self, lease: Lease) -> None:
        began = _boot_time()
        if await self._db.write(lambda tx: lanes.extend(tx, lease.lane, lease.ttl), durable=False):
            lease.began = began
        else:
            lease.lost = True
