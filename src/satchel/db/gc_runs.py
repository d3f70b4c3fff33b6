"""Rows of the gc_run table: runs of gc that were asked for. All are items of one lane, so there is one at a time over all hosts."""

import time
import uuid
from dataclasses import dataclass
from typing import Literal

from satchel.db import Tx, lanes
from satchel.domain.limits import CALLBACK_LIFE

KIND, LANE = "chore", "chore:gc"
What = Literal["media", "messages"]


@dataclass(frozen=True)
class Waiting:
    """The head of the lane. `deleted`: what an earlier attempt of this run had deleted; `due_in`: 0 or less when it may run."""

    id: str
    what: What
    attempts: int
    deleted: int
    due_in: float


def ask(tx: Tx, what: What, by: str) -> bool:
    """Ask for a run; False when one of its kind waits already, which is then answer enough."""
    lanes.wake(tx, LANE, KIND)
    tx.run("DELETE FROM gc_run WHERE state <> 'waiting' AND asked_at < :before", before=time.time() - CALLBACK_LIFE)
    made = tx.run(
        "INSERT INTO gc_run (id, what, asked_by, asked_at, state, deleted, bytes, lane, attempts) "
        "VALUES (:id, :what, :by, :now, 'waiting', 0, 0, :lane, 0) ON CONFLICT (what) WHERE state = 'waiting' DO NOTHING",
        id=uuid.uuid4().hex,
        what=what,
        by=by,
        lane=LANE,
    )
    return made == 1


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first run that has not ended."""
    row = tx.one(
        "SELECT id, what, attempts, deleted, coalesce(not_before - :now, 0) FROM gc_run "
        "WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1",
        lane=lane,
    )
    return None if row is None else Waiting(*row)


def count(tx: Tx, run_id: str, deleted: int, size: int) -> None:
    """Add to what a run has deleted; `size`: bytes. In the transaction that deletes, so that a crash loses no count."""
    tx.run("UPDATE gc_run SET deleted = deleted + :deleted, bytes = bytes + :size WHERE id = :id", deleted=deleted, size=size, id=run_id)


def finish(tx: Tx, run_id: str, state: Literal["done", "failed"]) -> int | None:
    """End a run; what it has deleted in all, None when it had ended before."""
    row = tx.one("UPDATE gc_run SET state = :state WHERE id = :id AND state = 'waiting' RETURNING deleted", state=state, id=run_id)
    return None if row is None else int(row[0])


def again(tx: Tx, run_id: str, after: float) -> bool:
    """Another try in `after` seconds; False when it had ended before."""
    return lanes.again(tx, "gc_run", run_id, after)


def asleep(tx: Tx) -> list[str]:
    """The lane, should a run wait in it that nobody would ever claim."""
    return lanes.asleep(tx, "gc_run")
