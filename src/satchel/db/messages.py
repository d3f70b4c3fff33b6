"""Rows of the message table: what the business asked to send. The row is the item of its recipient's lane."""

import time
from dataclasses import dataclass

import msgspec

from satchel.db import Tx, lanes, statuses
from satchel.domain.messages import Outgoing

KIND = "msg"


@dataclass(frozen=True)
class Waiting:
    """The head of a recipient's lane. `due_in`: seconds until it may run, 0 or less when now; `accepted_at`: wall time.

    `seq`: its number; `media_id`: also of what its link led to; `prep`: the preparation it waits for or waited for
    last, for `parked` seconds; `retries`: how often an operator has asked for it again; `reached`: the network told that it has it.
    """

    id: str
    message: Outgoing
    world: str | None
    attempts: int
    accepted_at: float
    due_in: float
    seq: int
    accepted_net: float
    media_id: str | None
    prep: str | None
    parked: float
    retries: int
    reached: bool

    @property
    def lane(self) -> str:
        """Its recipient's."""
        return lane_of(self.message.to)


@dataclass(frozen=True)
class Sent:
    """What went out. `state`: waiting, handed or failed; `rendition_id`: once it was handed over."""

    state: str
    media_id: str | None
    rendition_id: str | None


def lane_of(wa_id: str) -> str:
    """The lane that keeps one recipient's messages in order."""
    return f"msg:{wa_id}"


def wake(tx: Tx, wa_id: str) -> None:
    """Make a recipient's lane due."""
    lanes.wake(tx, lane_of(wa_id), KIND)


def add(tx: Tx, message_id: str, message: Outgoing, upstream: str, world: str | None, now_net: float, retries: int = 0) -> None:
    """Accept a message: wake the recipient's lane, then insert, in this order."""
    lane = lane_of(message.to)
    lanes.wake(tx, lane, KIND)
    tx.run(
        "INSERT INTO message (id, direction, wa_id, type, body, media_id, link, upstream, world, state, "
        "accepted_net, accepted_at, lane, attempts, retries) "
        "VALUES (:id, 'out', :wa_id, :type, :body, :media_id, :link, :upstream, :world, 'waiting', :now_net, :now_at, :lane, 0, :retries)",
        id=message_id,
        wa_id=message.to,
        type=message.type,
        body=msgspec.json.encode(message).decode(),
        media_id=message.media_id,
        link=message.link,
        upstream=upstream,
        world=world,
        now_net=now_net,
        now_at=time.time(),
        lane=lane,
        retries=retries,
    )


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first unfinished message of a lane."""
    row = tx.one(
        "SELECT id, body, world, attempts, accepted_at, coalesce(not_before - :now, 0), seq, accepted_net, media_id, prep, "
        f"coalesce(:now - parked, 0), retries, {statuses.REACHED} "
        "FROM message WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1",
        lane=lane,
    )
    if row is None:
        return None
    return Waiting(row[0], msgspec.json.decode(row[1], type=Outgoing), *[*row[2:12], bool(row[12])])


def handed(tx: Tx, message_id: str, rendition_id: str | None, copy_id: str | None) -> bool:
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


def end_others(tx: Tx, world: str) -> list[tuple[str, str, int]]:
    """What waits and belongs to another world comes to an end; id, recipient and retries of each that was to go out.

    Their lanes are not touched: what is accepted from now on wakes its own, and finds nobody before it.
    """
    end = "CASE direction WHEN 'in' THEN 'told' ELSE 'failed' END"
    others = "state = 'waiting' AND world <> :world"
    rows = tx.all(f"UPDATE message SET state = {end} WHERE {others} RETURNING id, wa_id, retries, direction", world=world)
    return [(row[0], row[1], row[2]) for row in rows if row[3] == "out"]


def again(tx: Tx, message_id: str, after: float) -> bool:
    """Another try in `after` seconds, from the beginning; False when the message was finished before."""
    return (
        tx.run(
            "UPDATE message SET attempts = attempts + 1, not_before = :now + :after, prep = NULL, parked = NULL "
            "WHERE id = :id AND state = 'waiting'",
            id=message_id,
            after=after,
        )
        == 1
    )


def park(tx: Tx, message_id: str, prep: str, after: float) -> bool:
    """It waits for a preparation, `after` seconds at the most; False when the message was finished before."""
    return (
        tx.run(
            "UPDATE message SET prep = :prep, parked = CASE WHEN prep = :prep THEN parked ELSE :now END, not_before = :now + :after "
            "WHERE id = :id AND state = 'waiting'",
            id=message_id,
            prep=prep,
            after=after,
        )
        == 1
    )


def unpark(tx: Tx, lane: str, prep: str, media_id: str | None, upto: int | None) -> None:
    """What it waited for has ended. `media_id`: where its link led to, if it was accepted as number `upto` or before."""
    tx.run(
        "UPDATE message SET not_before = NULL, media_id = CASE WHEN seq <= :upto THEN coalesce(:media_id, media_id) ELSE media_id END "
        "WHERE lane = :lane AND state = 'waiting' AND prep = :prep",
        lane=lane,
        prep=prep,
        media_id=media_id,
        upto=upto or 0,
    )


def forget_media(tx: Tx, message_id: str) -> None:
    """Its link is to be followed once more."""
    tx.run("UPDATE message SET media_id = NULL WHERE id = :id AND link IS NOT NULL AND state = 'waiting'", id=message_id)


def last(tx: Tx) -> int:
    """The highest number of a message so far."""
    row = tx.one("SELECT max(seq) FROM message")
    return (row and row[0]) or 0


def take_back(tx: Tx, message_id: str) -> tuple[Outgoing, int] | None:
    """Remove a message that failed before the upstream had it; what it said and how often it had been tried again."""
    statement = f"DELETE FROM message WHERE id = :id AND state = 'failed' AND NOT {statuses.REACHED} RETURNING body, retries"
    row = tx.one(statement, id=message_id)
    return None if row is None else (msgspec.json.decode(row[0], type=Outgoing), row[1])


def recipient(tx: Tx, message_id: str) -> str | None:
    """Whom a message went to; None when there is no such message here."""
    row = tx.one("SELECT wa_id FROM message WHERE id = :id AND direction = 'out'", id=message_id)
    return None if row is None else str(row[0])


def sent(tx: Tx, message_id: str) -> Sent | None:
    """What a message of ours carried; None when there is no such message here."""
    row = tx.one("SELECT state, media_id, rendition_id FROM message WHERE id = :id AND direction = 'out'", id=message_id)
    return None if row is None else Sent(*row)


def received(tx: Tx, message_id: str) -> str | None:
    """The network's id of a message that somebody sent us; None when there is none of this id."""
    row = tx.one("SELECT id FROM message WHERE id = :id AND direction = 'in'", id=message_id)
    return None if row is None else str(row[0])


def kind_of(lane: str) -> str:
    """The kind of a lane of messages, sent or received."""
    return lane.partition(":")[0]


def asleep(tx: Tx) -> list[str]:
    """Lanes with unfinished messages, sent or received, that nobody would ever claim."""
    return lanes.asleep(tx, "message")
