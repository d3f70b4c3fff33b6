"""Rows of the media table. A file without a row is no media; a row in state `deleting` is one for nobody but accepted sends."""

from collections.abc import Sequence

from satchel.db import Tx
from satchel.db.users import ALIVE
from satchel.domain.media import Media

COLUMNS = "id, mime, size, sha256, stamp"


def add(tx: Tx, media: Media, user: str | None, now_net: float, direction: str = "up") -> None:
    """Publish a media. `direction`: `up` for an upload, `link` for what a link led to, which no user owns."""
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
    """The media as an accepted send sees it: also while it is being deleted."""
    row = tx.one(f"SELECT {COLUMNS} FROM media WHERE id = :id AND state IN ('live', 'deleting')", id=media_id)
    return None if row is None else Media(*row)


def use(tx: Tx, media_id: str, now_net: float) -> bool:
    """Note that a send uses the media, so that no deletion slips in between; False when it is not live."""
    return tx.run("UPDATE media SET last_used_net = :now_net WHERE id = :id AND state = 'live'", id=media_id, now_net=now_net) == 1


def hide(tx: Tx, media_id: str) -> bool:
    """Gone for every reader from now on; False when it was there for nobody."""
    return tx.run("UPDATE media SET state = 'deleting' WHERE id = :id AND state IN ('live', 'undownloaded')", id=media_id) == 1


def looked_again(tx: Tx, before: Media, found: Media) -> None:
    """Note what was found in a file that was changed by hand, unless somebody noted it meanwhile."""
    tx.run(
        "UPDATE media SET size = :size, sha256 = :sha256, stamp = :stamp WHERE id = :id AND stamp = :before",
        size=found.size,
        sha256=found.sha256,
        stamp=found.stamp,
        id=found.id,
        before=before.stamp,
    )


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


def others_hold(tx: Tx, media: Media) -> bool:
    """Whether another media, deleted or not yet, has the same bytes."""
    return (
        tx.one(
            "SELECT 1 FROM media WHERE sha256 = :sha256 AND id <> :id AND state IN ('live', 'deleting') LIMIT 1",
            sha256=media.sha256,
            id=media.id,
        )
        is not None
    )


def without_row(tx: Tx, names: Sequence[str]) -> list[str]:
    """Those of these file names that are no media's, or only that of one whose file should be gone."""
    return [name for name in names if tx.one("SELECT 1 FROM media WHERE id = :id AND state <> 'deleted'", id=name) is None]


def buried(tx: Tx, media_id: str) -> None:
    """The file is gone; the id is never used again."""
    tx.run("UPDATE media SET state = 'deleted' WHERE id = :id AND state = 'deleting'", id=media_id)
