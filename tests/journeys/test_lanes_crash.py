"""3,000 items in 60 lanes while two workers are killed and frozen at random, and on PostgreSQL the server is killed twice."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from operator import methodcaller
from pathlib import Path

import pytest

from satchel import build
from satchel.db import Database, Tx, schema
from satchel.domain.errors import Later

from .. import engines
from ..conftest import Place
from .lane_worker import SCHEMA, enqueue

pytestmark = pytest.mark.anyio
ITEMS, LANES, WITHIN = 3000, 60, 150.0
LEASE = "2"


@pytest.fixture(params=["sqlite", "postgres"])
def arena(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, engines.Cluster | None]]:
    """A place, and on PostgreSQL a server that may be killed."""
    if request.param == "sqlite":
        yield Place(tmp_path, {"SATCHEL_DATABASE__KIND": "sqlite", "SATCHEL_COREAPP__LEASE_TTL": LEASE}), None
        return
    request.getfixturevalue("postgres_url")  # skips or fails where there is no server to have
    found = engines.binaries()
    if found is None:
        pytest.skip("SATCHEL_TEST_PG names a server that this test may not kill, and there are no server programs here")
    cluster = engines.Cluster(found)
    url = engines.fresh_database(cluster.url)
    yield (
        Place(tmp_path, {"SATCHEL_DATABASE__KIND": "postgres", "SATCHEL_DATABASE__URL": url, "SATCHEL_COREAPP__LEASE_TTL": LEASE}),
        cluster,
    )
    cluster.stop()


class Workers:
    """Two worker processes with a hard life."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.counts: Counter[str] = Counter()
        self._processes = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.journeys.lane_worker", str(self._place.data_dir)]
        log = (self._place.data_dir / "workers.log").open("ab")
        with log:
            return subprocess.Popen(command, env={**os.environ, **self._place.environ}, stderr=log)

    def kill_one(self) -> None:
        index = random.randrange(2)
        self._processes[index].kill()
        self._processes[index].wait()
        self._processes[index] = self._start()
        self.counts["SIGKILL"] += 1

    def revive(self) -> None:
        """Start again what has killed itself."""
        for index, process in enumerate(self._processes):
            if process.poll() is not None:
                assert process.returncode == -signal.SIGKILL
                self.counts["died"] += 1
                self._processes[index] = self._start()

    async def freeze_one(self) -> None:
        process = random.choice(self._processes)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(random.uniform(1.0, 3.0))  # shorter and longer than a lease
        process.send_signal(signal.SIGCONT)
        self.counts["SIGSTOP"] += 1

    def stop(self) -> list[int]:
        for process in self._processes:
            process.terminate()
        return [process.wait(120) for process in self._processes]


async def test_nothing_is_lost_doubled_or_out_of_order(arena: tuple[Place, engines.Cluster | None]) -> None:
    place, cluster = arena
    db = build.database(place.settings)
    await schema.migrate(db)
    for statement in SCHEMA.strip().splitlines():
        await db.write(methodcaller("script", statement.format(**db.dialect)))
    workers = Workers(place)
    adding = asyncio.create_task(_add(db))
    started = time.monotonic()
    try:
        while await _unfinished(db) or not adding.done():
            assert time.monotonic() - started < WITHIN, f"{await _unfinished(db)} items are not done"
            await _trouble(workers, cluster)
        await adding
    finally:
        adding.cancel()
        codes = workers.stop()
    assert set(codes) <= {0, -signal.SIGTERM}  # stopped in order, or before they could listen for it
    _one_at_a_time((place.data_dir / "effects").read_text())
    print(f"{place.kind}: {await _verify(db)} in {time.monotonic() - started:.1f} s, {dict(workers.counts)}")
    await db.close()


async def test_an_item_that_kills_its_worker_ends_and_its_neighbours_do_not(place: Place) -> None:
    place.environ.update({"SATCHEL_COREAPP__LEASE_TTL": "0.5", "SATCHEL_TEST_LAST_CLAIM": "5"})
    db = build.database(place.settings)
    await schema.migrate(db)
    for statement in SCHEMA.strip().splitlines():
        await db.write(methodcaller("script", statement.format(**db.dialect)))
    names = [f"then:{n}" for n in range(20)] + ["then:deadly"]
    for n in range(5):
        for lane in names:
            await db.write(partial(enqueue, kind="then", lane=lane, n=n))
    workers = Workers(place)
    started = time.monotonic()
    try:
        while await db.read(lambda tx: tx.one("SELECT 1 FROM crash_item WHERE state = 'waiting'")):
            assert time.monotonic() - started < WITHIN, "items are not done"
            await asyncio.sleep(0.05)
            workers.revive()
    finally:
        workers.stop()
    failed = await db.read(lambda tx: tx.all("SELECT id FROM crash_item WHERE state <> 'done'"))
    assert failed == [("then:deadly/2",)]
    assert workers.counts["died"] == 5
    effects = (place.data_dir / "effects").read_text().splitlines(keepends=True)
    _one_at_a_time("".join(line for line in effects if "deadly" not in line), step=1)
    await db.close()


async def _trouble(workers: Workers, cluster: engines.Cluster | None) -> None:
    await asyncio.sleep(random.uniform(0.2, 0.8))
    if cluster and workers.counts["server"] < 2 and workers.counts["SIGKILL"] > 3 * workers.counts["server"]:
        cluster.kill()
        await asyncio.to_thread(cluster.start)
        workers.counts["server"] += 1
    elif random.random() < 0.6:
        workers.kill_one()
    else:
        await workers.freeze_one()


async def _add(db: Database) -> None:
    """One after the other, so that the order in a lane is the order of n; a commit of unknown outcome is looked at again."""
    for n in range(ITEMS):
        lane = f"first:{n % LANES}"
        while await _patiently(db, partial(_count, id=f"{lane}/{n}")) == 0:
            try:
                await db.write(partial(enqueue, kind="first", lane=lane, n=n))
            except Later:
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.003)


def _count(tx: Tx, id: str) -> int:
    row = tx.one("SELECT count(*) FROM crash_item WHERE id = :id", id=id)
    assert row is not None
    return int(row[0])


async def _patiently(db: Database, fn: "partial[int]") -> int:
    while True:
        try:
            return await db.read(fn)
        except Later:
            await asyncio.sleep(0.1)


async def _unfinished(db: Database) -> int:
    def look(tx: Tx) -> int:
        row = tx.one("SELECT 2 * :items - count(*) FROM crash_item WHERE state = 'done'", items=ITEMS)
        assert row is not None
        return int(row[0])

    return await _patiently(db, partial(look))


def _one_at_a_time(effects: str, step: int = LANES) -> None:
    """Two workers never act in one lane at once, and no lane's effects go back: the fence would hide both from the tables."""
    done: defaultdict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for line in effects.splitlines():
        lane, n, _, began, ended = line.split()
        done[lane].append((float(began), float(ended), int(n)))
    for lane, acts in done.items():
        acts.sort()
        for one, next_ in pairwise(acts):
            assert next_[0] >= one[1], f"two workers at once in {lane}: {one} and {next_}"
            assert next_[2] in (one[2], one[2] + step), f"{lane}: {next_} after {one}"


async def _verify(db: Database) -> str:
    rows = await db.read(lambda tx: tx.all("SELECT id, lane, n FROM crash_done ORDER BY seq"))
    times = Counter(row[0] for row in rows)
    assert len(times) == 2 * ITEMS
    assert max(times.values()) == 1, "an item was finished twice"
    order: defaultdict[str, list[int]] = defaultdict(list)
    for _, lane, n in rows:
        order[lane].append(n)
    assert all(ns == sorted(ns) for ns in order.values()), "a lane was worked on out of order"
    left = await db.read(lambda tx: tx.all("SELECT name, run_at, lease FROM lane WHERE lease IS NOT NULL OR run_at IS NOT NULL"))
    asleep = [lane for lane in left if lane[1] is None]
    assert not asleep
    return f"{len(rows)} of {2 * ITEMS} items done in {len(order)} lanes, 0 twice, 0 out of order, 0 lanes asleep"
