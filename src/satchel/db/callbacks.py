"""Rows of the callback table: one POST each that we owe the business. The row is the item of its contact's callback lane."""

import time
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from satchel.db import Tx, lanes
from satchel.domain.limits import CALLBACK_LIFE

KIND = "cb:1"
SPREAD = 256


@dataclass(frozen=True)
class News:
    """Something to tell. `cause` makes it unique: the same cause is told once, however often it is put down."""

    cause: str
    wa_id: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Waiting:
    """The head of a callback lane. `shown_id` is constant over all attempts and replays; `created_at` is wall time.

    `to_url`: where it goes in place of the URL that is set.
    """

    id: str
    cause: str
    body: str
    attempts: int
    created_at: float
    shown_id: str
    to_url: str | None
    due_in: float


def lane_of(wa_id: str) -> str:
    """The lane that keeps one contact's callbacks in order; contacts share 256 of them.

    No setting changes it, or what waits and what comes would stand in two lines. How many run at once is decided where lanes are claimed.
    """
    return f"{KIND}:{zlib.crc32(wa_id.encode()) % SPREAD}"


def put_down(tx: Tx, news: Sequence[News], url_set: bool) -> None:
    """Freeze callbacks in the order given. Without a URL they are kept as `unsent` and no lane is woken."""
    if url_set:
        lanes.wake_all(tx, {lane_of(item.wa_id) for item in news}, KIND)
    for item in news:
        tx.run(
            "INSERT INTO callback (id, cause, wa_id, body, state, created_at, lane, attempts) "
            "VALUES (:id, :cause, :wa_id, :body, :state, :now_at, :lane, 0) ON CONFLICT (cause) DO NOTHING",
            id=f"cb_{uuid.uuid4().hex}",
            cause=item.cause,
            wa_id=item.wa_id,
            body=msgspec.json.encode(item.body).decode(),
            state="waiting" if url_set else "unsent",
            now_at=time.time(),
            lane=lane_of(item.wa_id),
        )


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first unfinished callback of a lane."""
    row = tx.one(
        "SELECT id, cause, body, attempts, created_at, coalesce(replay_of, id), to_url, coalesce(not_before - :now, 0) FROM callback "
        "WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1",
        lane=lane,
    )
    return None if row is None else Waiting(*row)


def finish(tx: Tx, callback_id: str, state: str) -> bool:
    """`done`, `dead` or `unsent`; False when it was finished before."""
    return tx.run("UPDATE callback SET state = :state WHERE id = :id AND state = 'waiting'", id=callback_id, state=state) == 1


def again(tx: Tx, callback_id: str, after: float) -> bool:
    """Another try in `after` seconds; False when it was finished before."""
    return lanes.again(tx, "callback", callback_id, after)


def waits(tx: Tx, callback_id: str) -> bool:
    """Whether it is still to be sent."""
    return tx.one("SELECT 1 FROM callback WHERE id = :id AND state = 'waiting'", id=callback_id) is not None


def keep_unsent(tx: Tx) -> int:
    """Whatever waits is kept and not sent by itself any more; how many those were. What is put down from now on wakes its lane itself.

    One that is on the wire to somebody who does not answer holds up nobody that comes later.
    """
    lanes.take_back(tx, KIND)
    return tx.run("UPDATE callback SET state = 'unsent' WHERE state = 'waiting'")


def tried(tx: Tx, callback_id: str, n: int, result: str, ms: int, excerpt: str = "") -> None:
    """Note an attempt: its number from 1, the HTTP status or what went wrong, how long it took, and how the answer began."""
    tx.run(
        "INSERT INTO attempt (callback_id, n, tried_at, result, ms, excerpt) VALUES (:id, :n, :now_at, :result, :ms, :excerpt) "
        "ON CONFLICT (callback_id, n) DO NOTHING",
        id=callback_id,
        n=n,
        now_at=time.time(),
        result=result,
        ms=ms,
        excerpt=excerpt or None,
    )


def put_off_lanes(tx: Tx) -> list[str]:
    """Lanes whose heads wait for a later attempt, in name order."""
    rows = tx.all("SELECT name FROM lane WHERE kind = :kind AND lease IS NULL AND run_at > :now ORDER BY name", kind=KIND)
    return [row[0] for row in rows]


def nudge(tx: Tx, lane: str) -> None:
    """Try this lane's head now: the endpoint is there again."""
    lanes.wake(tx, lane, KIND)
    tx.run("UPDATE callback SET not_before = NULL WHERE lane = :lane AND state = 'waiting' AND not_before > :now", lane=lane)


def _lane(tx: Tx, callback_id: str) -> str:
    row = tx.one("SELECT lane FROM callback WHERE id = :id", id=callback_id)
    assert row is not None, "it was found in this transaction"
    return str(row[0])


def prune(tx: Tx, limit: int = 500) -> None:
    """Forget callbacks that came to an end and are a month old, with their attempts."""
    rows = tx.all(
        "SELECT id FROM callback WHERE created_at < :before AND state <> 'waiting' ORDER BY created_at LIMIT :limit",
        before=time.time() - CALLBACK_LIFE,
        limit=limit,
    )
    for (callback_id,) in rows:
        tx.run("DELETE FROM attempt WHERE callback_id = :id", id=callback_id)
        tx.run("DELETE FROM callback WHERE id = :id", id=callback_id)


def asleep(tx: Tx) -> list[str]:
    """Lanes with unfinished callbacks that nobody would ever claim."""
    return lanes.asleep(tx, "callback")


STATES = ("waiting", "done", "dead", "unsent")
COLUMNS = (
    "seq, id, coalesce(replay_of, id), cause, wa_id, state, created_at, attempts, to_url, body, "
    "CASE WHEN state = 'waiting' THEN coalesce(not_before - :now, 0) END"
)


@dataclass(frozen=True)
class Told:
    """As people look at it. `seq`: its place in the order; `shown_id`: what its receiver knows it by; `created_at`: wall time."""

    seq: int
    id: str
    shown_id: str
    cause: str
    wa_id: str
    state: str
    created_at: float
    attempts: int
    to_url: str | None
    body: str
    due_in: float | None


@dataclass(frozen=True)
class Attempt:
    """`n`: from 1; `at`: wall time; `result`: the HTTP status, or what went wrong; `ms`: how long it took; `excerpt`: of the answer."""

    n: int
    at: float
    result: str
    ms: int
    excerpt: str | None


def newest(tx: Tx, state: str | None, before: int | None, limit: int) -> list[Told]:
    """The last ones, in a state if one is given, before a place if one is given."""
    where = " AND ".join(["seq < :before", *(["state = :state"] if state else [])])
    rows = tx.all(
        f"SELECT {COLUMNS} FROM callback WHERE {where} ORDER BY seq DESC LIMIT :limit", state=state, before=before or 1 << 62, limit=limit
    )
    return [Told(*row) for row in rows]


def following(tx: Tx, settled: str, after: int, limit: int) -> list[Told]:
    """Those after a place in their order. `settled`: which rows no running transaction can still come before."""
    rows = tx.all(f"SELECT {COLUMNS} FROM callback WHERE seq > :after AND {settled} ORDER BY seq LIMIT :limit", after=after, limit=limit)
    return [Told(*row) for row in rows]


def cursor(tx: Tx, settled: str, since: float | None) -> int:
    """The place before those of the last `since` seconds; the last place of all for None."""
    if since is None:
        row = tx.one(f"SELECT max(seq) FROM callback WHERE {settled}")
        return int((row and row[0]) or 0)
    row = tx.one("SELECT min(seq) FROM callback WHERE created_at >= :since", since=time.time() - since)
    return int(row[0]) - 1 if row and row[0] is not None else cursor(tx, settled, None)


def find(tx: Tx, callback_id: str) -> Told | None:
    """One by its id."""
    row = tx.one(f"SELECT {COLUMNS} FROM callback WHERE id = :id", id=callback_id)
    return None if row is None else Told(*row)


def about(tx: Tx, causes: Sequence[str]) -> list[tuple[Told, list[Attempt]]]:
    """The callbacks that have these causes and their replays, with their attempts, in their order."""
    found = [Told(*row) for cause in causes for row in tx.all(f"SELECT {COLUMNS} FROM callback WHERE cause = :cause", cause=cause)]
    replays = [Told(*row) for told in found for row in tx.all(f"SELECT {COLUMNS} FROM callback WHERE replay_of = :id", id=told.id)]
    return [(told, attempts(tx, told.id)) for told in sorted(found + replays, key=lambda told: told.seq)]


def by_cause(tx: Tx, cause: str) -> str:
    """The id of the callback that a cause has."""
    row = tx.one("SELECT id FROM callback WHERE cause = :cause", cause=cause)
    assert row is not None, "it was put down"
    return str(row[0])


def attempts(tx: Tx, callback_id: str) -> list[Attempt]:
    """How often it was tried, the first attempt first."""
    rows = tx.all("SELECT n, tried_at, result, ms, excerpt FROM attempt WHERE callback_id = :id ORDER BY n", id=callback_id)
    return [Attempt(*row) for row in rows]


def chosen(tx: Tx, ids: Sequence[str], failed: bool, since: float | None, limit: int) -> list[Told]:
    """By id; or those that nobody took; or those of the last `since` seconds, replays apart. In their order."""
    if ids:
        return sorted((told for one in ids if (told := find(tx, one)) is not None), key=lambda told: told.seq)
    where = "state IN ('dead', 'unsent')" if failed else "created_at >= :since AND replay_of IS NULL AND state <> 'waiting'"
    rows = tx.all(
        f"SELECT {COLUMNS} FROM callback WHERE {where} ORDER BY seq LIMIT :limit", since=time.time() - (since or 0.0), limit=limit
    )
    return [Told(*row) for row in rows]


def replay(tx: Tx, told: Sequence[Told], to_url: str | None) -> list[str]:
    """Put these down anew; the ids of the new ones. Nobody waits any more for those that had failed.

    One that still waits to be told there is no second time put down: it is tried now, and whatever stands before it. Its id is its own.
    """
    held = {one.id: _lane(tx, one.id) for one in told if one.state == "waiting" and one.to_url == to_url}
    lanes.wake_all(tx, {*held.values(), *(lane_of(one.wa_id) for one in told if one.id not in held)}, KIND)
    for lane in sorted(set(held.values())):
        nudge(tx, lane)
    made = []
    for one in told:
        if one.id in held:
            made.append(one.id)
            continue
        made.append(f"cb_{uuid.uuid4().hex}")
        tx.run(
            "INSERT INTO callback (id, cause, wa_id, body, state, created_at, lane, attempts, replay_of, to_url) "
            "VALUES (:id, :cause, :wa_id, :body, 'waiting', :now_at, :lane, 0, :replay_of, :to_url)",
            id=made[-1],
            cause=f"replay:{made[-1]}:{one.cause}",
            wa_id=one.wa_id,
            body=one.body,
            now_at=time.time(),
            lane=lane_of(one.wa_id),
            replay_of=one.shown_id,
            to_url=to_url,
        )
        tx.run("UPDATE callback SET state = 'done' WHERE id = :id AND state IN ('dead', 'unsent')", id=one.id)
    return made
