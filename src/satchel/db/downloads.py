"""Rows of the download table: received media that the business wants fetched once more. The row is the item of its sender's `get` lane."""

import time
import uuid
from dataclasses import dataclass

from satchel.db import Tx, lanes
from satchel.domain.limits import DAY

KIND = "get"


@dataclass(frozen=True)
class Waiting:
    """The head of a lane. `wa_id`: who sent the media; `due_in`: seconds until it may run, 0 or less when now."""

    id: str
    media_id: str
    wa_id: str
    attempts: int
    due_in: float


def lane_of(wa_id: str) -> str:
    """The lane of what one sender sent; not that of new messages, which go on meanwhile."""
    return f"{KIND}:{wa_id}"


def add(tx: Tx, media_id: str, wa_id: str) -> None:
    """Ask for a media, unless it has been asked for already."""
    lanes.wake(tx, lane_of(wa_id), KIND)
    tx.run(
        "INSERT INTO download (id, media_id, wa_id, lane, state, created_at, attempts) "
        "VALUES (:id, :media_id, :wa_id, :lane, 'waiting', :now_at, 0) ON CONFLICT (media_id) WHERE state = 'waiting' DO NOTHING",
        id=f"dl_{uuid.uuid4().hex}",
        media_id=media_id,
        wa_id=wa_id,
        lane=lane_of(wa_id),
        now_at=time.time(),
    )


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first unfinished one of a lane."""
    row = tx.one(
        "SELECT id, media_id, wa_id, attempts, coalesce(not_before - :now, 0) FROM download "
        "WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1",
        lane=lane,
    )
    return None if row is None else Waiting(*row)


def finish(tx: Tx, download_id: str) -> bool:
    """It has come to its end; False when it had before."""
    return tx.run("UPDATE download SET state = 'done' WHERE id = :id AND state = 'waiting'", id=download_id) == 1


def again(tx: Tx, download_id: str, after: float) -> bool:
    """Another try in `after` seconds; False when it was finished before."""
    return lanes.again(tx, "download", download_id, after)


def wait(tx: Tx, download_id: str, after: float) -> bool:
    """The same for a try that does not count."""
    return lanes.wait(tx, "download", download_id, after)


def nudge(tx: Tx, media_id: str) -> None:
    """What the download waited for is there. The caller has woken its lane."""
    tx.run("UPDATE download SET not_before = NULL WHERE media_id = :media_id AND state = 'waiting'", media_id=media_id)


def prune(tx: Tx, limit: int = 500) -> None:
    """Forget those that came to an end and were asked for more than a day ago, unless their callback waits: it keeps the media."""
    waits = "SELECT 1 FROM callback WHERE cause = 'download:' || download.id AND callback.state = 'waiting'"
    tx.run(
        "DELETE FROM download WHERE id IN "
        f"(SELECT id FROM download WHERE state = 'done' AND created_at < :before AND NOT EXISTS ({waits}) LIMIT :limit)",
        before=time.time() - DAY,
        limit=limit,
    )


def asleep(tx: Tx) -> list[str]:
    """Lanes with unfinished downloads that nobody would ever claim."""
    return lanes.asleep(tx, "download")
