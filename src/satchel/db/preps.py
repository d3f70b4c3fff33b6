"""Rows of the prep table: what messages wait for before they can go out. The row is the item of a preparation's own lane.

Locks are taken in one order everywhere: a preparation's lane before recipients' lanes. So whoever parks asks or joins first,
and the settle of a preparation, which locks its lane at its beginning, sees all who have parked, or is seen by them.
"""

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from satchel.db import Row, Tx, bound, lanes, steps
from satchel.domain.errors import VOLUME_FULL, VOLUME_MISSING, VOLUME_NOT_WRITABLE, VOLUME_UNREADABLE
from satchel.domain.limits import HOUR
from satchel.domain.messages import server_of
from satchel.domain.steps import Step

PREP, CONVERT, LINK = "prep", "convert", "link"
"""Kinds of lane: bytes to be made ready as a media type; those of them for which that takes long; a link to be fetched."""
OF_THE_VOLUME = tuple(one.slug for one in (VOLUME_FULL, VOLUME_NOT_WRITABLE, VOLUME_MISSING, VOLUME_UNREADABLE))
"""Why a preparation was put off where it goes on as soon as the volume is well."""


@dataclass(frozen=True)
class Wanted:
    """What a message needs first; the same lane for all who need the same.

    `media_id`: the media whose file is read, of those that hold these bytes.
    """

    kind: str
    lane: str
    source_sha256: str | None = None
    media_id: str | None = None
    media_type: str | None = None
    profile: str | None = None
    link: str | None = None
    provider: str | None = None


@dataclass(frozen=True)
class Said:
    """How a preparation ended, or why it was put off. `slug`, `details`: of what went wrong, if anything did.

    `media_id`: where a link led to; `upto`: the highest number of a message that the outcome is for, None for all.
    """

    slug: str | None = None
    details: str = ""
    media_id: str | None = None
    upto: int | None = None


@dataclass(frozen=True)
class Waiting:
    """The head of a preparation's lane. `ended`: only those who wait are still to be woken; `created_at`: wall time.

    `why`: it was put off last; `begun`: whether somebody has set to work on it.
    """

    id: str
    wanted: Wanted
    ended: bool
    outcome: Said | None
    steps: list[Step]
    created_at: float
    attempts: int
    due_in: float
    why: Said | None = None
    begun: bool = False


@dataclass(frozen=True)
class Seen:
    """A preparation as a message sees it. `why`: it was put off last, for `troubled` seconds for this reason.

    `begun`: seconds since somebody set to work on it, None while it waits for its turn.
    """

    lane: str
    media_id: str | None
    outcome: Said | None
    why: Said | None
    steps: list[Step]
    troubled: float = 0.0
    begun: float | None = None


def of_bytes(source_sha256: str, media_id: str, media_type: str, profile: str) -> Wanted:
    """Bytes to be made ready."""
    return Wanted(PREP, f"prep:{source_sha256}:{media_type}:{profile}", source_sha256, media_id, media_type, profile)


def of_link(link: str, provider: str | None) -> Wanted:
    """A link to be fetched, whatever it is sent as. The lane's name does not show it: it may hold a secret.

    It begins alike for all links to one server, so that a slow one can be kept from taking every slot.
    """
    server, key = (hashlib.sha256(part.encode()).hexdigest() for part in (server_of(link), f"{provider or ''}\0{link}"))
    return Wanted(LINK, f"link:{server[:16]}:{key}", link=link, provider=provider)


def ask(tx: Tx, wanted: Wanted) -> str:
    """The id of the open preparation, begun now unless there is one. Locks its lane."""
    lanes.wake(tx, wanted.lane, wanted.kind)
    tx.run(
        "INSERT INTO prep "
        "(id, kind, lane, source_sha256, media_id, link, provider, media_type, profile, state, steps, created_at, attempts) "
        "VALUES (:id, :kind, :lane, :source, :media_id, :link, :provider, :media_type, :profile, 'waiting', '[]', :now_at, 0) "
        "ON CONFLICT (lane) WHERE outcome IS NULL DO NOTHING",
        id=uuid.uuid4().hex,
        kind=wanted.kind,
        lane=wanted.lane,
        source=wanted.source_sha256,
        media_id=wanted.media_id,
        link=wanted.link,
        provider=wanted.provider,
        media_type=wanted.media_type,
        profile=wanted.profile,
        now_at=time.time(),
    )
    found = open_in(tx, wanted.lane)
    assert found is not None, "the row was inserted or was there"
    return found


def join(tx: Tx, prep_id: str, lane: str) -> bool:
    """Keep an open preparation from ending until this transaction has; False when it has ended."""
    tx.one("SELECT 1 FROM lane WHERE name = :lane {for_share}", lane=lane)
    return tx.one("SELECT 1 FROM prep WHERE id = :id AND outcome IS NULL", id=prep_id) is not None


def open_in(tx: Tx, lane: str) -> str | None:
    """The id of the open preparation of a lane."""
    row = tx.one("SELECT id FROM prep WHERE lane = :lane AND outcome IS NULL", lane=lane)
    return None if row is None else str(row[0])


def seen(tx: Tx, prep_id: str) -> Seen | None:
    """A preparation by its id; None when it was long ago."""
    statement = "SELECT lane, media_id, outcome, why, steps, coalesce(:now - troubled, 0), :now - begun FROM prep WHERE id = :id"
    row = tx.one(statement, id=prep_id)
    return None if row is None else Seen(row[0], row[1], _said(row[2]), _said(row[3]), steps.decoded(row[4]), *row[5:])


def head(tx: Tx, lane: str) -> Waiting | None:
    """The first unfinished preparation of a lane."""
    row = tx.one(
        "SELECT id, kind, lane, source_sha256, media_id, media_type, profile, link, provider, "
        "outcome, steps, created_at, attempts, coalesce(not_before - :now, 0), why, begun FROM prep "
        "WHERE lane = :lane AND state = 'waiting' ORDER BY seq LIMIT 1",
        lane=lane,
    )
    return None if row is None else _waiting(row)


def begin(tx: Tx, prep_id: str) -> None:
    """Somebody sets to work on it: from now on those who wait lose patience."""
    tx.run("UPDATE prep SET begun = :now WHERE id = :id AND begun IS NULL", id=prep_id)


def queue_again(tx: Tx, lane: str, prep_id: str) -> bool:
    """It takes long, and waits for its turn among its like: its lane, which is ours, becomes one of theirs. False when it had ended."""
    lanes.hand_over(tx, lane, CONVERT)
    return tx.run("UPDATE prep SET begun = NULL, not_before = NULL WHERE id = :id AND outcome IS NULL", id=prep_id) == 1


def end(tx: Tx, prep_id: str, outcome: Said, done: Sequence[Step]) -> bool:
    """Note how it ended: nobody joins it any more. False when that was noted before."""
    statement = "UPDATE prep SET outcome = :outcome, steps = :steps, not_before = NULL WHERE id = :id AND outcome IS NULL"
    return tx.run(statement, id=prep_id, outcome=_json(outcome), steps=steps.encoded(done)) == 1


def finish(tx: Tx, prep_id: str) -> None:
    """Nobody waits for it any more."""
    tx.run("UPDATE prep SET state = 'done', ended = :now WHERE id = :id AND state = 'waiting'", id=prep_id)


def again(tx: Tx, prep_id: str, after: float, why: Said, done: Sequence[Step], anew: bool) -> bool:
    """Another try in `after` seconds; False when it had ended. `anew`: it was not put off for this reason before."""
    return (
        tx.run(
            "UPDATE prep SET attempts = attempts + 1, not_before = :now + :after, why = :why, why_slug = :slug, steps = :steps, "
            f"troubled = {':now' if anew else 'coalesce(troubled, :now)'} WHERE id = :id AND outcome IS NULL",
            id=prep_id,
            after=after,
            why=_json(why),
            slug=why.slug,
            steps=steps.encoded(done),
        )
        == 1
    )


def roomless(tx: Tx, limit: int) -> list[str]:
    """Lanes of open preparations that the volume put off, and that are not due yet; those that have waited longest first."""
    listed, values = bound(OF_THE_VOLUME)
    rows = tx.all(
        f"SELECT lane FROM prep WHERE outcome IS NULL AND not_before > :now AND why_slug IN ({listed}) ORDER BY seq LIMIT :limit",
        limit=limit,
        **values,
    )
    return [row[0] for row in rows]


def waiting_for_room(tx: Tx) -> int:
    """How many open preparations the volume put off."""
    listed, values = bound(OF_THE_VOLUME)
    row = tx.one(f"SELECT count(*) FROM prep WHERE outcome IS NULL AND why_slug IN ({listed})", **values)
    return 0 if row is None else int(row[0])


def nudge(tx: Tx, lane: str) -> None:
    """Try this lane's preparation now: what it was put off for is over."""
    lanes.wake(tx, lane, kind_of(lane))
    tx.run("UPDATE prep SET not_before = NULL WHERE lane = :lane AND outcome IS NULL", lane=lane)


def asleep(tx: Tx) -> list[str]:
    """Lanes with unfinished preparations that nobody would ever claim."""
    return lanes.asleep(tx, "prep")


def kind_of(lane: str) -> str:
    """The kind of a preparation's lane; its name begins with it."""
    return lane.partition(":")[0]


def overslept(tx: Tx, settled_for: float = 10.0) -> list[str]:
    """Ended preparations for which a lane is still parked, long after. There should be none."""
    rows = tx.all(
        "SELECT DISTINCT prep.id FROM lane JOIN prep ON prep.id = lane.parked_on WHERE prep.state = 'done' AND prep.ended < :now - :long",
        long=settled_for,
    )
    return [row[0] for row in rows]


def prune(tx: Tx, keep: float = HOUR, limit: int = 500) -> None:
    """Forget ended preparations that no message has still to read."""
    tx.run(
        "DELETE FROM prep WHERE id IN (SELECT id FROM prep WHERE state = 'done' AND ended < :now - :keep AND NOT EXISTS "
        "(SELECT 1 FROM message WHERE message.prep = prep.id AND message.state = 'waiting') LIMIT :limit)",
        keep=keep,
        limit=limit,
    )


def _waiting(row: Row) -> Waiting:
    id_, kind, lane, source, media_id, media_type, profile, link, provider, outcome, done, created_at, attempts, due_in, why, begun = row
    wanted = Wanted(kind, lane, source, media_id, media_type, profile, link, provider)
    said, why_said = _said(outcome), _said(why)
    return Waiting(id_, wanted, said is not None, said, steps.decoded(done), created_at, attempts, due_in, why_said, begun is not None)


def _said(json: str | None) -> Said | None:
    return None if json is None else msgspec.json.decode(json, type=Said)


def _json(said: Said) -> str:
    return msgspec.json.encode(said).decode()
