"""The store's promise: a transaction is whole or nothing, whatever its neighbours in the same commit do."""

import asyncio
import json
from functools import partial
from pathlib import Path

import apsw
import pytest

from satchel_sandbox import events, messages, world
from satchel_sandbox import phone as phones
from satchel_sandbox.errors import Refusal, invalid
from satchel_sandbox.store import Store, Tx

pytestmark = pytest.mark.anyio


def insert(tx: Tx, token: str, size: int = 1, refuse: bool = False) -> str:
    tx.execute("INSERT INTO copy VALUES (?, ?, ?, '/v/x', 0)", (token, "k" * size, size))
    if refuse:
        raise invalid("on purpose")
    return token


def tokens(tx: Tx) -> list[str]:
    return [token for (token,) in tx.execute("SELECT token FROM copy ORDER BY token")]


async def test_a_refusal_undoes_itself_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    jobs = [store.write(partial(insert, token=f"{n}", refuse=n == 1)) for n in range(3)]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert outcomes[::2] == ["0", "2"]
    assert isinstance(outcomes[1], Refusal)
    assert await store.read(tokens) == ["0", "2"]
    await store.close()


async def test_a_full_disk_answers_nobody_falsely(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    await store.write(world.load)
    await store.read(lambda tx: tx.execute("PRAGMA max_page_count = 20").fetchall())
    jobs = [store.write(partial(insert, token=f"{n}", size=50_000 if n == 2 else 1)) for n in range(5)]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(outcomes[2], apsw.FullError | apsw.AbortError)
    assert await store.read(tokens) == [token for token in outcomes if isinstance(token, str)]
    assert await store.write(lambda tx: insert(tx, "later")) == "later"
    await store.close()


FIRST_LAYOUT = """
CREATE TABLE world (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, "offset" REAL NOT NULL, key BLOB NOT NULL) STRICT;
CREATE TABLE copy (token TEXT PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, direct_path TEXT NOT NULL,
    expires REAL NOT NULL) STRICT;
CREATE TABLE message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, phone TEXT NOT NULL, at REAL NOT NULL,
    envelope BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('server', 'arrived', 'queued', 'downloading', 'downloaded', 'unavailable')),
    reason TEXT) STRICT;
CREATE INDEX message_of_phone ON message (phone, seq);
CREATE INDEX message_unfinished ON message (seq) WHERE state IN ('server', 'queued', 'downloading');
CREATE TABLE upstream_event (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, lane TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX upstream_event_lane ON upstream_event (lane, seq);
INSERT INTO world VALUES (1, 'w1', 5.0, x'00');
INSERT INTO message (id, phone, at, envelope, state) VALUES
    ('a', '12025550111', 1.0, CAST('{"id":"a","to":"12025550111","from":"1202","type":"text","text":"x"}' AS BLOB), 'arrived'),
    ('b', '12025550111', 2.0, CAST('{"id":"b","to":"12025550111","from":"1202","type":"text","text":"x"}' AS BLOB), 'server');
INSERT INTO upstream_event (id, lane, body) VALUES ('e1', 'a', x'31'), ('e2', 'b', x'32'), ('e3', 'a', x'33');
"""


SECOND_LAYOUT = """
CREATE TABLE world (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, "offset" REAL NOT NULL, key BLOB NOT NULL) STRICT;
CREATE TABLE message (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, phone TEXT NOT NULL, sender TEXT NOT NULL, at REAL NOT NULL,
    envelope BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('server', 'lost', 'arrived', 'queued', 'not_downloaded', 'downloaded', 'unavailable')),
    reason TEXT, due REAL, file TEXT, read_at REAL, played_at REAL) STRICT;
CREATE INDEX message_of_phone ON message (phone, seq);
CREATE INDEX message_waiting ON message (phone, due) WHERE state = 'server';
CREATE INDEX message_due ON message (due, seq) WHERE due IS NOT NULL;
CREATE INDEX message_file ON message (file) WHERE state = 'downloaded';
INSERT INTO world VALUES (1, 'w1', 5.0, x'00');
INSERT INTO message VALUES (7, 'a', '12025550111', '1202', 1.0,
    CAST('{"id":"a","to":"12025550111","from":"1202","type":"text","text":"x"}' AS BLOB), 'unavailable', 'why', NULL, 'f', 3.0, NULL);
PRAGMA user_version = 1;
"""


async def test_a_file_of_the_first_layout_is_brought_to_the_present_one(tmp_path: Path) -> None:
    old = apsw.Connection(str(tmp_path / "db"))
    old.execute(FIRST_LAYOUT)
    old.close()
    for _ in range(2):  # the second start finds nothing to do
        store = Store(tmp_path / "db")
        assert [item.body for item in await store.read(lambda tx: events.heads(tx, set(), 10))] == [b"1", b"2"]
        arrived = await store.read(lambda tx: messages.one(tx, "12025550111", "a"))
        found = [arrived, await store.read(lambda tx: messages.next_due(tx, 9.0))]
        assert [(message.id, message.state, message.due) for message in found if message] == [("a", "arrived", None), ("b", "server", 2.0)]
        assert [phone.number for phone, *_ in await store.read(phones.listing)] == ["12025550111"]
        await store.close()


async def test_a_file_of_the_second_layout_is_brought_to_the_present_one(tmp_path: Path) -> None:
    old = apsw.Connection(str(tmp_path / "db"))
    old.execute(SECOND_LAYOUT)
    old.close()
    for _ in range(2):
        store = Store(tmp_path / "db")
        found = await store.read(lambda tx: messages.one(tx, "12025550111", "a"))
        assert (found.seq, found.state, found.reason, found.read_at, found.asked_at, found.asks) == (7, "unavailable", "why", 3.0, None, 0)
        assert (await store.read(world.load)).life == world.LIFE
        await store.write(lambda tx: tx.execute("UPDATE message SET state = 'unavailable'").fetchall())
        await store.close()


async def test_lanes_send_one_upstream_event_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")

    def add(tx: Tx) -> None:
        for status in ("sent", "delivered", "read"):
            for message in ("a", "b"):
                events.add_status(tx, message, "12025550111", status, 0.0)

    await store.write(add)
    for status in ("sent", "delivered", "read"):
        heads = await store.read(lambda tx: events.heads(tx, set(), 100))
        assert [(item.lane, json.loads(item.body)["status"]) for item in heads] == [("a", status), ("b", status)]
        assert [item.lane for item in await store.read(lambda tx: events.heads(tx, {"a"}, 1))] == ["b"]
        await store.write(partial(events.remove, batch=heads))
    assert await store.read(events.waiting) == 0
    await store.close()
