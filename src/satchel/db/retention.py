"""What a run of gc looks for and marks in the media table, a few hundred rows at a time, the longest unused first."""

from collections.abc import Sequence
from dataclasses import dataclass

from satchel.db import Tx, bound, settings

KEPT = "state NOT IN ('deleting', 'deleted')"
"""Written as in the partial index `media_use`."""
TOLD = "SELECT 1 FROM message JOIN callback ON callback.cause = 'message:' || message.id WHERE message.media_id = media.id"
FETCHED = "SELECT download.media_id FROM download JOIN callback ON callback.cause = 'download:' || download.id"
WAITS = (
    "(callback.state = 'waiting' OR EXISTS "
    "(SELECT 1 FROM callback AS replay WHERE replay.replay_of = callback.id AND replay.state = 'waiting'))"
)
FREE = (
    "NOT EXISTS (SELECT 1 FROM message WHERE message.media_id = media.id AND message.state = 'waiting') "
    f"AND NOT (direction = 'in' AND (EXISTS ({TOLD} AND {WAITS}) OR id IN ({FETCHED} WHERE {WAITS})))"
)
"""No accepted send needs it, and no callback that is still to be told names its file."""
TYPED = "SELECT 1 FROM rendition WHERE source_sha256 = media.sha256 AND refusal IS NULL AND media_type"
FAMILY = (
    "CASE WHEN substr(lower(mime), 1, 10) = 'image/webp' THEN 'sticker' WHEN substr(lower(mime), 1, 6) IN ('image/', 'audio/', 'video/') "
    "THEN substr(lower(mime), 1, 5) ELSE 'document' END"
)
OUT = (
    "message.direction = 'out' AND message.state = 'handed' "
    "AND NOT EXISTS (SELECT 1 FROM status WHERE status.message_id = message.id AND status = 'failed')"
)
ALIVE = "copy.state = 'live' AND copy.expires_net > :now_net"


@dataclass(frozen=True)
class Place:
    """A place in the order of last use: network time in seconds, then the id."""

    used_net: float
    id: str = ""


FIRST = Place(-1.0)


@dataclass(frozen=True)
class Wanted:
    """`before`: where in the order of last use what may go ends; no `kinds`: any. The words come from lists of ours."""

    before: Place
    directions: tuple[str, ...]
    kinds: tuple[str, ...] = ()

    @property
    def fits(self) -> str:
        """As SQL over a row of media. A media that has gone out as several kinds fits when all of them do."""
        parts = [f"direction IN ({_words(self.directions)})"]
        if self.kinds:
            kinds = _words(self.kinds)
            parts.append(f"NOT EXISTS ({TYPED} NOT IN ({kinds})) AND ({FAMILY} IN ({kinds}) OR EXISTS ({TYPED} IN ({kinds})))")
        return " AND ".join(parts)


@dataclass(frozen=True)
class Unused:
    """A media that may go, if nobody uses it meanwhile. `size`: bytes."""

    id: str
    direction: str
    size: int
    used_net: float


@dataclass(frozen=True)
class Looked:
    """`end`: where the next look goes on; None when nothing is left."""

    media: list[Unused]
    end: Place | None


def look(tx: Tx, wanted: Wanted, after: Place, limit: int) -> Looked:
    """The next rows in the order of last use, those of them that fit."""
    rows = tx.all(
        f"SELECT id, direction, size, last_used_net, CASE WHEN {wanted.fits} AND {FREE} THEN 1 ELSE 0 END FROM media "
        f"WHERE {KEPT} AND (last_used_net, id) > (:after, :after_id) AND (last_used_net, id) < (:before, :before_id) "
        "ORDER BY last_used_net, id LIMIT :limit",
        after=after.used_net,
        after_id=after.id,
        before=wanted.before.used_net,
        before_id=wanted.before.id,
        limit=limit,
    )
    return Looked([Unused(*row[:4]) for row in rows if row[4]], Place(rows[-1][3], rows[-1][0]) if len(rows) == limit else None)


def hide(tx: Tx, wanted: Wanted, ids: Sequence[str], by: str | None = None, now_net: float | None = None) -> list[str]:
    """Gone for every reader from now on: those of them that still fit. A send that was accepted meanwhile has touched its row."""
    if not ids:
        return []
    names, values = bound(ids)
    rows = tx.all(
        f"UPDATE media SET state = 'deleting', gone_by = :by, gone_net = :now_net WHERE id IN ({names}) AND {KEPT} "
        f"AND (last_used_net, id) < (:before, :before_id) "
        f"AND {FREE} RETURNING id",
        before=wanted.before.used_net,
        before_id=wanted.before.id,
        by=by,
        now_net=now_net,
        **values,
    )
    return [row[0] for row in rows]


def sizes(tx: Tx, wanted: Wanted, until: Place, limit: int = 5000) -> list[tuple[Place, int]]:
    """The rows before a place, the last used first; bytes of those that fit, 0 for the others."""
    rows = tx.all(
        f"SELECT last_used_net, id, CASE WHEN {wanted.fits} THEN size ELSE 0 END FROM media WHERE {KEPT} "
        "AND (last_used_net, id) < (:until, :until_id) ORDER BY last_used_net DESC, id DESC LIMIT :limit",
        until=until.used_net,
        until_id=until.id,
        limit=limit,
    )
    return [(Place(row[0], row[1]), row[2]) for row in rows]


@dataclass(frozen=True)
class Sends:
    """What the network took with a media. `expired`: messages whose copy the server has no more."""

    messages: int = 0
    phones: int = 0
    expired: int = 0


def sends(tx: Tx, ids: Sequence[str]) -> dict[str, Sends]:
    """Of each of these media that was sent."""
    if not ids:
        return {}
    names, values = bound(ids)
    rows = tx.all(
        f"SELECT message.media_id, count(*), count(DISTINCT wa_id), sum(CASE WHEN {ALIVE} THEN 0 ELSE 1 END) FROM message "
        f"LEFT JOIN copy ON copy.id = message.copy_id WHERE message.media_id IN ({names}) AND {OUT} GROUP BY message.media_id",
        now_net=settings.network_now(tx),
        **values,
    )
    return {row[0]: Sends(int(row[1]), int(row[2]), int(row[3])) for row in rows}


def messages_of(tx: Tx, media_id: str) -> list[tuple[str, bool]]:
    """The messages that the network took with a media, and whether it still has their copy."""
    rows = tx.all(
        f"SELECT message.id, CASE WHEN {ALIVE} THEN 1 ELSE 0 END FROM message LEFT JOIN copy ON copy.id = message.copy_id "
        f"WHERE message.media_id = :media AND {OUT}",
        media=media_id,
        now_net=settings.network_now(tx),
    )
    return [(row[0], bool(row[1])) for row in rows]


def phones_of(tx: Tx, media_id: str, limit: int = 1000) -> list[str]:
    """Whom the network took a media for."""
    rows = tx.all(
        f"SELECT DISTINCT wa_id FROM message WHERE media_id = :media AND {OUT} ORDER BY wa_id LIMIT :limit", media=media_id, limit=limit
    )
    return [row[0] for row in rows]


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
