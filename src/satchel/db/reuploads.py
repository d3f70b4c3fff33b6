"""Rows of the reupload table: phones that ask for media whose copy is over. The rows are the items of a lane per rendition."""

import time
from dataclasses import dataclass

from satchel.db import Tx, lanes
from satchel.domain.limits import DAY

KIND = "renew"
BATCH = 50
"""Phones that are answered in one go."""


@dataclass(frozen=True)
class Asker:
    """A phone that asks. `asked`: the adapter's own text; `asked_net`: network time of it; `taken_at`: wall time at which it came here."""

    id: str
    message_id: str
    recipient: str
    world: str
    asked: str
    asked_net: float
    attempts: int
    taken_at: float


@dataclass(frozen=True)
class Waiting:
    """The heads of a lane: those that may be answered now, oldest first. `due_in`: seconds until then, 0 or less when now."""

    lane: str
    askers: tuple[Asker, ...]
    due_in: float

    @property
    def id(self) -> str:
        """The oldest's."""
        return self.askers[0].id

    @property
    def attempts(self) -> int:
        return self.askers[0].attempts


def lane_of(rendition_id: str | None, message_id: str) -> str:
    """The same for all who need the same bytes."""
    return f"{KIND}:{rendition_id}" if rendition_id is not None else f"{KIND}:message:{message_id}"


def add(tx: Tx, lane: str, asker: Asker) -> None:
    """Put a phone in line: wake the lane, then insert, in this order."""
    lanes.wake(tx, lane, KIND)
    tx.run(
        "INSERT INTO reupload (id, lane, message_id, recipient, world, asked, asked_net, state, taken_at, attempts) "
        "VALUES (:id, :lane, :message, :recipient, :world, :asked, :asked_net, 'waiting', :taken_at, 0)",
        id=asker.id,
        lane=lane,
        message=asker.message_id,
        recipient=asker.recipient,
        world=asker.world,
        asked=asker.asked,
        asked_net=asker.asked_net,
        taken_at=asker.taken_at,
    )


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first unfinished ones of a lane."""
    rows = tx.all(
        "SELECT id, message_id, recipient, world, asked, asked_net, attempts, taken_at, coalesce(not_before - :now, 0) FROM reupload "
        f"WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT {BATCH}",
        lane=lane,
    )
    if not rows:
        return None
    due = [row for row in rows if row[-1] <= 0] if rows[0][-1] <= 0 else rows[:1]
    return Waiting(lane, tuple(Asker(*row[:-1]) for row in due), rows[0][-1])


def done(tx: Tx, asker_id: str, result: str) -> bool:
    """It was answered, or never will be; False when it was before."""
    return (
        tx.run("UPDATE reupload SET state = 'done', result = :result WHERE id = :id AND state = 'waiting'", id=asker_id, result=result) == 1
    )


def again(tx: Tx, asker_id: str, after: float) -> bool:
    """Another try in `after` seconds; False when it was finished before."""
    return lanes.again(tx, "reupload", asker_id, after)


def asleep(tx: Tx) -> list[str]:
    """Lanes with unfinished items that nobody would ever claim."""
    return lanes.asleep(tx, "reupload")


def prune(tx: Tx, keep: float = DAY, limit: int = 500) -> None:
    """Forget what was answered long ago."""
    tx.run(
        "DELETE FROM reupload WHERE id IN (SELECT id FROM reupload WHERE state = 'done' AND taken_at < :before LIMIT :limit)",
        before=time.time() - keep,
        limit=limit,
    )
