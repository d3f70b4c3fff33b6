"""Rows of the remote table: where received media lies with the network and under which key. Nothing of it is ever shown or logged."""

import time
from dataclasses import dataclass, field

from satchel.db import Tx
from satchel.db import media as media_rows
from satchel.domain.media import Media

COLUMNS = "media_id, message_id, wa_id, type, size, source, asked_at, answer"


@dataclass(frozen=True)
class Remote:
    """`type`: as callbacks name it; `size`: plain bytes; `source`: the upstream's own text, with the key in it.

    `asked_at`: wall time at which the sender's phone was asked for the bytes, `answer`: what it said; both None where it was not.
    """

    media_id: str
    message_id: str
    wa_id: str
    type: str
    size: int
    source: str = field(repr=False)
    asked_at: float | None = None
    answer: str | None = field(default=None, repr=False)


def add(tx: Tx, remote: Remote, mime: str, sha256: str, now_net: float) -> None:
    """A media that was offered: nobody's to read before its bytes are here."""
    tx.run(
        "INSERT INTO media (id, direction, mime, size, sha256, stamp, state, created_net, last_used_net) "
        "VALUES (:id, 'in', :mime, :size, :sha256, '', 'undownloaded', :now_net, :now_net)",
        id=remote.media_id,
        mime=mime,
        size=remote.size,
        sha256=sha256,
        now_net=now_net,
    )
    tx.run(
        "INSERT INTO remote (media_id, message_id, wa_id, type, size, source) "
        "VALUES (:media_id, :message_id, :wa_id, :type, :size, :source)",
        media_id=remote.media_id,
        message_id=remote.message_id,
        wa_id=remote.wa_id,
        type=remote.type,
        size=remote.size,
        source=remote.source,
    )


def find(tx: Tx, media_id: str) -> Remote | None:
    """Of a media that came with a message."""
    row = tx.one(f"SELECT {COLUMNS} FROM remote WHERE media_id = :id", id=media_id)
    return None if row is None else Remote(*row)


def of_message(tx: Tx, message_id: str) -> Remote | None:
    """Of the media that came with this message."""
    row = tx.one(f"SELECT {COLUMNS} FROM remote WHERE message_id = :id", id=message_id)
    return None if row is None else Remote(*row)


def asked(tx: Tx, media_id: str) -> None:
    """The sender's phone has been asked; earlier answers do not count any more."""
    tx.run("UPDATE remote SET asked_at = :now_at WHERE media_id = :id", id=media_id, now_at=time.time())


def ask_anew(tx: Tx, media_id: str) -> None:
    """It may be asked once more."""
    tx.run("UPDATE remote SET asked_at = NULL WHERE media_id = :id", id=media_id)


def answered(tx: Tx, media_id: str, answer: str | None) -> None:
    """What the phone said; None to forget it."""
    tx.run("UPDATE remote SET answer = :answer WHERE media_id = :id", id=media_id, answer=answer)


def moved(tx: Tx, media_id: str, source: str) -> None:
    """The bytes lie elsewhere now."""
    tx.run("UPDATE remote SET source = :source, answer = NULL WHERE media_id = :id", id=media_id, source=source)


def arrived(tx: Tx, media: Media) -> bool:
    """The bytes are on the volume, checked: readers may see them. False when the media was deleted meanwhile."""
    media_rows.lock_bytes(tx, [media.sha256])
    return (
        tx.run(
            "UPDATE media SET state = 'live', size = :size, sha256 = :sha256, stamp = :stamp, missed_at = NULL "
            "WHERE id = :id AND state IN ('undownloaded', 'missing', 'live')",
            id=media.id,
            size=media.size,
            sha256=media.sha256,
            stamp=media.stamp,
        )
        == 1
    )


def forget(tx: Tx, media_id: str) -> None:
    """The media is deleted for good, its key with it."""
    tx.run("DELETE FROM remote WHERE media_id = :id", id=media_id)
