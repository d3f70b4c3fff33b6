"""Rows of the message table: what the business asked to send. The row is the item of its recipient's lane."""

import time
from dataclasses import dataclass

import msgspec

from satchel.db import Tx, lanes
from satchel.domain.messages import Outgoing

KIND = "msg"


@dataclass(frozen=True)
class Waiting:
    """The head of a recipient's lane. `due_in`: seconds until it may run, 0 or less when now; `accepted_at`: wall time."""

    id: str
    message: Outgoing
    world: str | None
    attempts: int
    accepted_at: float
    due_in: float


def lane_of(wa_id: str) -> str:
    """The lane that keeps one recipient's messages in order."""
    return f"msg:{wa_id}"


def add(tx: Tx, message_id: str, message: Outgoing, upstream: str, world: str | None, now_net: float) -> None:
    """Accept a message: wake the recipient's lane, then insert, in this order."""
    lane = lane_of(message.to)
    lanes.wake(tx, lane, KIND)
    tx.run(
        "INSERT INTO message (id, direction, wa_id, type, body, media_id, upstream, world, state, "
        "accepted_net, accepted_at, lane, attempts) "
        "VALUES (:id, 'out', :wa_id, :type, :body, :media_id, :upstream, :world, 'waiting', :now_net, :now_at, :lane, 0)",
        id=message_id,
        wa_id=message.to,
        type=message.type,
        body=msgspec.json.encode(message).decode(),
        media_id=message.media_id,
        upstream=upstream,
        world=world,
        now_net=now_net,
        now_at=time.time(),
        lane=lane,
    )


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first unfinished message of a lane."""
    row = tx.one(
        "SELECT id, body, world, attempts, accepted_at, coalesce(not_before - :now, 0) FROM message "
        "WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1",
        lane=lane,
    )
    if row is None:
        return None
    return Waiting(row[0], msgspec.json.decode(row[1], type=Outgoing), *row[2:])


def handed(tx: Tx, message_id: str, rendition_id: str, copy_id: str) -> bool:
    """The upstream has it; False when the message was finished before."""
    return (
        tx.run(
            "UPDATE message SET state = 'handed', rendition_id = :rendition, copy_id = :copy WHERE id = :id AND state = 'waiting'",
            id=message_id,
            rendition=rendition_id,
            copy=copy_id,
        )
        == 1
    )


def failed(tx: Tx, message_id: str) -> bool:
    """It will never go out; False when the message was finished before."""
    return tx.run("UPDATE message SET state = 'failed' WHERE id = :id AND state = 'waiting'", id=message_id) == 1


def again(tx: Tx, message_id: str, after: float) -> bool:
    """Another try in `after` seconds; False when the message was finished before."""
    return lanes.again(tx, "message", message_id, after)


def recipient(tx: Tx, message_id: str) -> str | None:
    """Whom a message went to; None when there is no such message here."""
    row = tx.one("SELECT wa_id FROM message WHERE id = :id", id=message_id)
    return None if row is None else str(row[0])


def received(tx: Tx, message_id: str) -> str | None:
    """The network's id of a message that somebody sent us; None when there is none of this id."""
    row = tx.one("SELECT id FROM message WHERE id = :id AND direction = 'in'", id=message_id)
    return None if row is None else str(row[0])


def asleep(tx: Tx) -> list[str]:
    """Lanes with unfinished messages that nobody would ever claim."""
    return lanes.asleep(tx, "message")
