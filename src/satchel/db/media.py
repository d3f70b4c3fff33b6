"""Rows of the media table. A file without a row is no media; a row in state `deleting` is one for nobody but accepted sends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from satchel.db import Tx, bound
from satchel.db.users import ALIVE
from satchel.domain.media import Media

COLUMNS = "id, mime, size, sha256, stamp"
STEP = 60.0
"""Seconds by which the time of the last use may be behind."""


def add(tx: Tx, media: Media, user: str | None, now_net: float, direction: str = "up") -> None:
    """Publish a media. `direction`: `up` for an upload, `link` for what a link led to, which no user owns."""
    lock_bytes(tx, [media.sha256])
    tx.run(
        'INSERT INTO media (id, direction, mime, size, sha256, stamp, state, "user", created_net, last_used_net) '
        "VALUES (:id, :direction, :mime, :size, :sha256, :stamp, 'live', :user, :now_net, :now_net)",
        id=media.id,
        direction=direction,
        mime=media.mime,
        size=media.size,
        sha256=media.sha256,
        stamp=media.stamp,
        user=user,
        now_net=now_net,
    )


def live(tx: Tx, media_id: str) -> Media | None:
    """The media that readers may see."""
    row = tx.one(f"SELECT {COLUMNS} FROM media WHERE id = :id AND state = 'live'", id=media_id)
    return None if row is None else Media(*row)


def live_and_bearer(tx: Tx, media_id: str, name: str, epoch: int, jti: str) -> tuple[bool, Media | None]:
    """Whether a token with these claims lives, and the media that its bearer may see. One statement: every download asks this."""
    row = tx.one(
        f'SELECT EXISTS (SELECT 1 FROM "user" WHERE {ALIVE}), media.id, mime, size, sha256, stamp FROM (SELECT 1) AS asked '
        "LEFT JOIN media ON media.id = :media_id AND state = 'live'",
        media_id=media_id,
        name=name,
        epoch=epoch,
        jti=jti,
    )
    assert row is not None  # there is always one
    return bool(row[0]), None if row[1] is None else Media(*row[1:])


def linked(tx: Tx, sha256: str) -> Media | None:
    """The media that an earlier link with the same bytes became."""
    row = tx.one(
        "SELECT id, mime, size, sha256, stamp FROM media WHERE sha256 = :sha256 AND direction = 'link' AND state = 'live' "
        "ORDER BY created_net LIMIT 1",
        sha256=sha256,
    )
    return None if row is None else Media(*row)


def received(tx: Tx, media_id: str) -> tuple[Media, str] | None:
    """A media that came with a message and was not deleted, and its state."""
    row = tx.one(
        f"SELECT {COLUMNS}, state FROM media WHERE id = :id AND direction = 'in' AND state NOT IN ('deleting', 'deleted')", id=media_id
    )
    return None if row is None else (Media(*row[:5]), str(row[5]))


def needed(tx: Tx, media_id: str) -> Media | None:
    """The media as an accepted send sees it: also while it is being deleted, and while its file is missed."""
    row = tx.one(f"SELECT {COLUMNS} FROM media WHERE id = :id AND state IN ('live', 'missing', 'deleting')", id=media_id)
    return None if row is None else Media(*row)


def promised(tx: Tx, media_id: str) -> Media | None:
    """The media as the phones see it that were sent it: gone once it was deleted, and otherwise as its file is."""
    row = tx.one(f"SELECT {COLUMNS} FROM media WHERE id = :id AND state NOT IN ('deleting', 'deleted')", id=media_id)
    return None if row is None else Media(*row)


def use(tx: Tx, media_id: str, now_net: float) -> bool:
    """Note that a send uses the media, so that no deletion slips in between; False when it is not live.

    The row is locked in any case. Its time moves on by steps, since a time that stays costs PostgreSQL no index entry, and never back.
    """
    return (
        tx.run(
            "UPDATE media SET last_used_net = CASE WHEN last_used_net < :now_net - :step THEN :now_net ELSE last_used_net END "
            "WHERE id = :id AND state = 'live'",
            id=media_id,
            now_net=now_net,
            step=STEP,
        )
        == 1
    )


def hide(tx: Tx, media_id: str, by: str | None = None, now_net: float | None = None) -> bool:
    """Gone for every reader from now on; False when there was none. A file that is missed must not come back to life either."""
    statement = (
        "UPDATE media SET state = 'deleting', gone_by = :by, gone_net = :now_net "
        "WHERE id = :id AND state IN ('live', 'missing', 'undownloaded')"
    )
    return tx.run(statement, id=media_id, by=by, now_net=now_net) == 1


def end_of(tx: Tx, media_id: str) -> tuple[float, str] | None:
    """When a media was deleted, in network time, and by whom; None for one that was not, and where nobody noted it."""
    row = tx.one("SELECT gone_net, gone_by FROM media WHERE id = :id AND gone_net IS NOT NULL AND gone_by IS NOT NULL", id=media_id)
    return None if row is None else (float(row[0]), str(row[1]))


def looked_again(tx: Tx, before: Media, found: Media) -> None:
    """Note what was found in a file that was changed by hand, unless somebody noted it meanwhile. What it held before is kept in mind."""
    lock_bytes(tx, [before.sha256, found.sha256])
    noted = tx.run(
        "UPDATE media SET size = :size, sha256 = :sha256, stamp = :stamp WHERE id = :id AND stamp = :before AND state <> 'deleted'",
        size=found.size,
        sha256=found.sha256,
        stamp=found.stamp,
        id=found.id,
        before=before.stamp,
    )
    if noted and found.sha256 != before.sha256:
        tx.run(
            "INSERT INTO former (media_id, sha256) VALUES (:id, :sha256) ON CONFLICT (media_id, sha256) DO NOTHING",
            id=before.id,
            sha256=before.sha256,
        )


def state_of(tx: Tx, media_id: str) -> str | None:
    """None where there is no such row."""
    row = tx.one("SELECT state FROM media WHERE id = :id", id=media_id)
    return None if row is None else str(row[0])


def is_going(tx: Tx, media_id: str) -> bool:
    """Whether its bytes wait for the last message that needs them."""
    return tx.one("SELECT 1 FROM media WHERE id = :id AND state = 'deleting'", id=media_id) is not None


def unneeded(tx: Tx, limit: int = 500) -> list[Media]:
    """Media being deleted that no accepted send needs any more."""
    rows = tx.all(
        f"SELECT {COLUMNS} FROM media WHERE state = 'deleting' AND NOT EXISTS "
        "(SELECT 1 FROM message WHERE message.media_id = media.id AND message.state = 'waiting') ORDER BY id LIMIT :limit",
        limit=limit,
    )
    return [Media(*row) for row in rows]


def lock_bytes(tx: Tx, hashes: Iterable[str]) -> None:
    """Everybody who begins or ceases to hold bytes does so one at a time: whoever sees that nobody does is right until it commits.

    In one order. Called before a row of media is touched.
    """
    for key in sorted({int(sha256[:15], 16) for sha256 in hashes}):
        tx.lock(key)


def all_held(tx: Tx, media: Media) -> list[str]:
    """The hashes of the bytes that a media holds, and of those that it held before its file was changed by hand."""
    former = tx.all("SELECT sha256 FROM former WHERE media_id = :id", id=media.id)
    return sorted({media.sha256, *(row[0] for row in former)})


def is_held(tx: Tx, sha256: str) -> bool:
    """Whether a media, being deleted, missed or there, has these bytes, or had them: phones that were sent it may ask for them."""
    there = "state IN ('live', 'missing', 'deleting')"
    had = f"SELECT 1 FROM former JOIN media ON media.id = former.media_id WHERE former.sha256 = :sha256 AND {there}"
    return (
        tx.one(f"SELECT 1 WHERE EXISTS (SELECT 1 FROM media WHERE sha256 = :sha256 AND {there}) OR EXISTS ({had})", sha256=sha256)
        is not None
    )


def without_row(tx: Tx, names: Sequence[str]) -> list[str]:
    """Those of these file names that are no media's, or only that of one whose file should be gone."""
    if not names:
        return []
    listed, values = bound(names)
    known = {row[0] for row in tx.all(f"SELECT id FROM media WHERE id IN ({listed}) AND state <> 'deleted'", **values)}
    return [name for name in names if name not in known]


def buried(tx: Tx, media_id: str) -> None:
    """The file is gone; the id is never used again."""
    tx.run("UPDATE media SET state = 'deleted' WHERE id = :id AND state = 'deleting'", id=media_id)
    tx.run("DELETE FROM former WHERE media_id = :id", id=media_id)


@dataclass(frozen=True)
class Kept:
    """A row that should have a file, or should have it again. `missed`: seconds since it was first missed; None while it was not."""

    id: str
    state: str
    stamp: str
    missed: float | None


def kept(tx: Tx, after: str, limit: int = 1000) -> list[Kept]:
    """The next rows by id."""
    rows = tx.all(
        "SELECT id, state, stamp, :now - missed_at FROM media WHERE id > :after AND state IN ('live', 'missing') ORDER BY id LIMIT :limit",
        after=after,
        limit=limit,
    )
    return [Kept(*row) for row in rows]


def missed(tx: Tx, after: str, apart: float, limit: int = 1000) -> list[str]:
    """The next live rows by id whose files were first missed so many seconds ago."""
    rows = tx.all(
        "SELECT id FROM media WHERE missed_at IS NOT NULL AND missed_at <= :now - :apart AND id > :after AND state = 'live' "
        "ORDER BY id LIMIT :limit",
        apart=apart,
        after=after,
        limit=limit,
    )
    return [row[0] for row in rows]


def miss(tx: Tx, ids: Sequence[str]) -> list[float]:
    """There is no file of these: note since when. For each that is still live, how many seconds that has been."""
    if not ids:
        return []
    listed, values = bound(ids)
    rows = tx.all(
        f"UPDATE media SET missed_at = coalesce(missed_at, :now) WHERE id IN ({listed}) AND state = 'live' RETURNING :now - missed_at",
        **values,
    )
    return [row[0] for row in rows]


def found(tx: Tx, ids: Sequence[str]) -> None:
    """Their files are there: nothing is missed."""
    listed, values = bound(ids)
    tx.run(f"UPDATE media SET missed_at = NULL WHERE id IN ({listed}) AND missed_at IS NOT NULL", **values)


def lose(tx: Tx, ids: Sequence[str], apart: float) -> int:
    """Their files, first missed so many seconds ago, are gone until they are found again; how many are marked now.

    One that has come anew since somebody looked is missed no longer.
    """
    listed, values = bound(ids)
    statement = f"UPDATE media SET state = 'missing' WHERE id IN ({listed}) AND state = 'live' AND missed_at <= :now - :apart"
    return tx.run(statement, apart=apart, **values)


def lost(tx: Tx, media_id: str) -> Media | None:
    """A media whose file is missing."""
    row = tx.one(f"SELECT {COLUMNS} FROM media WHERE id = :id AND state = 'missing'", id=media_id)
    return None if row is None else Media(*row)


def come_back(tx: Tx, media_id: str, stamp: str) -> bool:
    """The same bytes lie under the name again; False when it was not missing any more."""
    statement = "UPDATE media SET state = 'live', stamp = :stamp, missed_at = NULL WHERE id = :id AND state = 'missing'"
    return tx.run(statement, id=media_id, stamp=stamp) == 1
