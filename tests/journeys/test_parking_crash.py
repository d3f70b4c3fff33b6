"""Many recipients park on few preparations while two Coreapps are killed and frozen: all goes out, once, in order, prepared once."""

import asyncio
import io
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PIL import Image

from satchel import build
from satchel.db import Tx

from ..conftest import Place
from .running import Hook, Node, eventually

CORES = ("core", "core-2")
RECIPIENTS, ROUNDS, WITHIN = 25, 4, 120.0


def big_picture(seed: int) -> bytes:
    """Takes a while to decode."""
    noise = Image.frombytes("RGB", (160, 120), random.Random(seed).randbytes(160 * 120 * 3)).resize((3200, 2400))
    file = io.BytesIO()
    noise.save(file, "JPEG", quality=60)
    return file.getvalue()


def test_recipients_who_wait_survive_the_death_of_their_workers(place: Place) -> None:
    node, hook = Node(place), Hook()
    try:
        node.start_all()
        node.set_hook(hook.url)
        accepted = _accept(node)
        node.start("core-2")
        killed = _trouble(node, place)
        for core in CORES:
            if core not in node.processes:
                node.start(core)
        eventually(lambda: _unfinished(place) == 0, WITHIN, lambda: f"{_unfinished(place)} are waiting; {node.log.read_text()[-3000:]}")
        _check(node, place, accepted, killed)
    finally:
        node.stop_all()
        hook.close()


def _accept(node: Node) -> dict[str, list[str]]:
    """Each recipient gets pictures and quick documents in turn; the ids by recipient, in order. No Coreapp runs yet."""
    node.stop("core")
    pictures = [node.upload(big_picture(n)) for n in range(ROUNDS)]
    quick = node.upload(b"quick", "text/plain")
    accepted: dict[str, list[str]] = {f"120255502{n:02d}": [] for n in range(RECIPIENTS)}
    for picture in pictures:

        def both(number: str, picture: str = picture) -> list[str]:
            return [node.send(number, "image", picture), node.send(number, "document", quick)]

        with ThreadPoolExecutor(4) as pool:
            for number, ids in zip(accepted, pool.map(both, accepted), strict=True):
                accepted[number] += ids
    return accepted


def _trouble(node: Node, place: Place) -> Counter[str]:
    """Kill and freeze, until all is done or it has been enough."""
    done: Counter[str] = Counter()
    node.start("core")
    while done.total() < 14 and _unfinished(place):
        time.sleep(random.uniform(0.5, 1.5))
        core = random.choice(CORES)
        if random.random() < 0.7:
            node.stop(core, signal.SIGKILL)
            node.start(core)
            done["SIGKILL"] += 1
        else:
            node.processes[core].send_signal(signal.SIGSTOP)
            time.sleep(random.uniform(1.0, 3.0))  # shorter and longer than a lease
            node.processes[core].send_signal(signal.SIGCONT)
            done["SIGSTOP"] += 1
    return done


def _unfinished(place: Place) -> int:
    return int(_rows(place, "SELECT count(*) FROM message WHERE state = 'waiting'")[0][0])


def _check(node: Node, place: Place, accepted: dict[str, list[str]], killed: Counter[str]) -> None:
    for number, ids in accepted.items():
        assert [message["id"] for message in node.phone_until(number, len(ids))] == ids
    assert _rows(place, "SELECT DISTINCT state FROM message") == [("handed",)]
    assert len(_rows(place, "SELECT id FROM rendition WHERE media_type = 'image'")) == ROUNDS
    eventually(
        lambda: not _rows(place, "SELECT 1 FROM prep WHERE state <> 'done' UNION ALL SELECT 1 FROM lane WHERE parked_on IS NOT NULL"),
        20,
        lambda: f"left: {_rows(place, 'SELECT * FROM lane WHERE parked_on IS NOT NULL')}",
    )
    log = node.log.read_text()
    assert "lane_asleep" not in log
    assert "lane_overslept" not in log
    # A preparation that was killed or frozen is done again, and no other.
    prepared = log.count('"prepared"')
    assert prepared <= ROUNDS + killed.total(), killed
    print(f"{place.kind}: {sum(map(len, accepted.values()))} messages, {prepared} preparations, {dict(killed)}")


def _rows(place: Place, sql: str) -> list[Any]:
    def look(tx: Tx) -> list[Any]:
        return tx.all(sql)

    async def read() -> list[Any]:
        db = build.database(place.settings)
        try:
            return await db.read(look)
        finally:
            await db.close()

    return asyncio.run(read())
