"""A process that runs lanes of a test's own table with the product's worker, to be killed and frozen: `python -m … DATA_DIR`.

Item 2 of a lane whose name says `deadly` kills the process. SATCHEL_TEST_LAST_CLAIM: claims after which such an item is given up.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import uvloop

from satchel import build, observe
from satchel.coreapp.leases import Lease
from satchel.coreapp.worker import Worker
from satchel.db import Tx, lanes
from satchel.flows import Settle
from satchel.settings import load

SCHEMA = """
CREATE TABLE crash_item (seq {identity}, id text NOT NULL UNIQUE, lane text NOT NULL, n bigint NOT NULL, state text NOT NULL);
CREATE TABLE crash_done (seq {identity}, id text NOT NULL, lane text NOT NULL, n bigint NOT NULL);
"""


@dataclass(frozen=True)
class Item:
    id: str
    lane: str
    n: int
    due_in: float = 0.0


def enqueue(tx: Tx, kind: str, lane: str, n: int) -> None:
    """Add an item to a lane, as the product does: wake, then insert."""
    lanes.wake(tx, lane, kind)
    tx.run("INSERT INTO crash_item (id, lane, n, state) VALUES (:id, :lane, :n, 'waiting')", id=f"{lane}/{n}", lane=lane, n=n)


class Crash:
    """Items of kind "first" put one into a lane of kind "then" each."""

    slots = 16
    share: int | None = None
    risky = True
    room: Callable[[Tx], int] | None = None

    def __init__(self, kind: str, effects: BinaryIO) -> None:
        self.kind = kind
        self._effects = effects

    def head(self, tx: Tx, lane: str) -> Item | None:
        row = tx.one("SELECT id, lane, n FROM crash_item WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1", lane=lane)
        return None if row is None else Item(*row)

    def begins(self, tx: Tx, item: Item) -> None:
        pass

    async def work(self, item: Item, lease: Lease) -> Settle:
        lease.check()
        began = time.clock_gettime(time.CLOCK_BOOTTIME)
        await asyncio.sleep(random.uniform(0.0, 0.06))
        if item.lane.endswith("deadly") and item.n == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        lease.check()  # a worker that was frozen in between must not act: another may hold the lane
        self._effects.write(f"{item.lane} {item.n} {os.getpid()} {began} {time.clock_gettime(time.CLOCK_BOOTTIME)}\n".encode())
        return partial(self._settle, item=item)

    def broken(self, item: Item, error: Exception) -> Settle:
        raise error

    def hopeless(self, item: Item) -> Settle:
        return lambda tx: tx.run("UPDATE crash_item SET state = 'failed' WHERE id = :id", id=item.id) == 1

    async def after(self, item: Item) -> None:
        pass

    def _settle(self, tx: Tx, item: Item) -> bool:
        if tx.run("UPDATE crash_item SET state = 'done' WHERE id = :id AND state = 'waiting'", id=item.id) != 1:
            return False
        tx.run("INSERT INTO crash_done (id, lane, n) VALUES (:id, :lane, :n)", id=item.id, lane=item.lane, n=item.n)
        if self.kind == "first":
            enqueue(tx, "then", item.lane.replace("first", "then"), item.n)
        return True


async def main(data_dir: Path) -> None:
    settings = load(data_dir, os.environ)
    db = build.database(settings)
    effects = (data_dir / "effects").open("ab", buffering=0)
    worker = Worker(db, [Crash("first", effects), Crash("then", effects)], build.instance(data_dir, "core"), settings.coreapp.lease_ttl)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
    await db.close()


if __name__ == "__main__":
    observe.set_up()
    lanes.LAST_CLAIM = int(os.environ.get("SATCHEL_TEST_LAST_CLAIM", lanes.LAST_CLAIM))
    uvloop.run(main(Path(sys.argv[1])))  # as Coreapp: asyncio's own loop may miss a signal while many threads wake it
