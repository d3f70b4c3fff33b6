"""Rows of the message table that somebody sent to the business. The row is the item of its sender's lane until it has been told of.

Its body says nothing of how its media is fetched: that is in `db/remotes.py`, keys included.
"""

import time
from dataclasses import dataclass

import msgspec

from satchel.db import Tx, lanes
from satchel.domain.incoming import Incoming

KIND = "in"


@dataclass(frozen=True)
class Waiting:
    """The head of a sender's lane. `media_id`: of the media that came with it; `due_in`: seconds until it may run, 0 or less when now."""

    id: str
    message: Incoming
    media_id: str | None
    attempts: int
    due_in: float


def lane_of(wa_id: str) -> str:
    """The lane that keeps one sender's messages in order."""
    return f"{KIND}:{wa_id}"


def add(tx: Tx, message: Incoming, media_id: str | None, upstream: str, world: str) -> bool:
    """Keep a message whose lane the caller has woken; False when there is one of this id."""
    return (
        tx.run(
            "INSERT INTO message (id, direction, wa_id, type, body, media_id, upstream, world, state, accepted_net, accepted_at, lane, "
            "attempts) VALUES (:id, 'in', :wa_id, :type, :body, :media_id, :upstream, :world, 'waiting', :at_net, :now_at, :lane, 0) "
            "ON CONFLICT (id) DO NOTHING",
            id=message.id,
            wa_id=message.sender,
            type=message.type,
            body=msgspec.json.encode(message).decode(),
            media_id=media_id,
            upstream=upstream,
            world=world,
            at_net=message.at_net,
            now_at=time.time(),
            lane=lane_of(message.sender),
        )
        == 1
    )


def known(tx: Tx, message_id: str) -> bool:
    """Whether there is a message of this id, in either direction."""
    return tx.one("SELECT 1 FROM message WHERE id = :id", id=message_id) is not None


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first message of a lane that was not told of yet."""
    row = tx.one(
        "SELECT id, body, media_id, attempts, coalesce(not_before - :now, 0) FROM message "
        "WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1",
        lane=lane,
    )
    return None if row is None else Waiting(row[0], msgspec.json.decode(row[1], type=Incoming), *row[2:])


def told(tx: Tx, message_id: str) -> bool:
    """Its callback is put down; False when it was before."""
    return tx.run("UPDATE message SET state = 'told', not_before = NULL WHERE id = :id AND state = 'waiting'", id=message_id) == 1


def again(tx: Tx, message_id: str, after: float) -> bool:
    """Another try in `after` seconds; False when it was told of before."""
    return lanes.again(tx, "message", message_id, after)


def wait(tx: Tx, message_id: str, after: float) -> bool:
    """The same for a try that does not count: it is not the network's fault."""
    return lanes.wait(tx, "message", message_id, after)


def nudge(tx: Tx, message_id: str) -> None:
    """What the message waited for is there. The caller has woken its lane."""
    tx.run("UPDATE message SET not_before = NULL WHERE id = :id AND direction = 'in' AND state = 'waiting'", id=message_id)
