"""Rows of the rendition table: what post-processing made of some bytes for a media type, or why it refused. Immutable."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from satchel.db import Row, Tx, bound
from satchel.domain.media import Facts, Refusal, Rendition

COLUMNS = "id, source_sha256, media_type, profile, file, mime, size, sha256, media_key, facts, refusal"


def find(tx: Tx, source_sha256: str, media_type: str, profile: str) -> Rendition | Refusal | None:
    """What is known of these bytes as this media type under this profile."""
    row = tx.one(
        f"SELECT {COLUMNS} FROM rendition WHERE source_sha256 = :source AND media_type = :media_type AND profile = :profile",
        source=source_sha256,
        media_type=media_type,
        profile=profile,
    )
    return None if row is None else _read(row)


def by_id(tx: Tx, rendition_id: str) -> Rendition | None:
    """What a message was sent with, whatever the settings are now; None when the last media that held its bytes is gone."""
    row = tx.one(f"SELECT {COLUMNS} FROM rendition WHERE id = :id", id=rendition_id)
    found = None if row is None else _read(row)
    return found if isinstance(found, Rendition) else None


def of_source(tx: Tx, source_sha256: str) -> list[str]:
    """Names under renditions/ of every rendition made of these bytes."""
    return [row[0] for row in tx.all("SELECT file FROM rendition WHERE source_sha256 = :source AND file IS NOT NULL", source=source_sha256)]


def add(tx: Tx, made: Rendition | Refusal, facts: Facts) -> Rendition | Refusal:
    """Keep a result; where another Coreapp was first, its result stands and is answered."""
    tx.run(
        f"INSERT INTO rendition ({COLUMNS}, spare_at) VALUES (:id, :source, :media_type, :profile, "
        ":file, :mime, :size, :sha256, :key, :facts, :refusal, CASE WHEN CAST(:file AS text) IS NULL THEN NULL ELSE :now END) "
        "ON CONFLICT (source_sha256, media_type, profile) DO NOTHING",
        id=made.id,
        source=made.source_sha256,
        media_type=made.media_type,
        profile=made.profile,
        file=made.file if isinstance(made, Rendition) else None,
        mime=made.mime if isinstance(made, Rendition) else "",
        size=made.size if isinstance(made, Rendition) else 0,
        sha256=made.sha256 if isinstance(made, Rendition) else "",
        key=b64encode(made.media_key).decode() if isinstance(made, Rendition) else None,
        facts=msgspec.json.encode(facts).decode(),
        refusal=None if isinstance(made, Rendition) else msgspec.json.encode({"slug": made.slug, "details": made.details}).decode(),
    )
    stands = find(tx, made.source_sha256, made.media_type, made.profile)
    assert stands is not None, "the row was inserted or was there"
    return stands


def move(tx: Tx, rendition: Rendition, file: str | None) -> bool:
    """The same bytes lie in another file now, or in the media itself (None), since the old one is lost; False when somebody was first."""
    spare = "" if file is not None else ", spare_at = NULL"
    statement = f"UPDATE rendition SET file = :file{spare} WHERE id = :id AND file = :old_file"
    return tx.run(statement, file=file, id=rendition.id, old_file=rendition.file) == 1


def set_aside(tx: Tx, rendition: Rendition) -> bool:
    """Its file is lost and comes out as other bytes now: it stays for the messages it was sent with, and no new send finds it.

    False when somebody was first.
    """
    statement = "UPDATE rendition SET profile = :aside WHERE id = :id AND profile = :profile AND file = :file"
    aside = f"{rendition.profile}/{rendition.id}"
    return tx.run(statement, aside=aside, id=rendition.id, profile=rendition.profile, file=rendition.file) == 1


def without_row(tx: Tx, names: Sequence[str]) -> list[str]:
    """Those of these file names that are no rendition's."""
    if not names:
        return []
    listed, values = bound(names)
    known = {row[0] for row in tx.all(f"SELECT file FROM rendition WHERE file IN ({listed})", **values)}
    return [name for name in names if name not in known]


def forget(tx: Tx, source_sha256: str) -> None:
    """Drop every rendition of these bytes, with its copies: the last media that held them is gone."""
    tx.run(
        "UPDATE copy SET state = 'expired' WHERE state = 'live' "
        "AND rendition_id IN (SELECT id FROM rendition WHERE source_sha256 = :source)",
        source=source_sha256,
    )
    tx.run("DELETE FROM rendition WHERE source_sha256 = :source", source=source_sha256)


def went_out(tx: Tx, rendition_id: str) -> bool:
    """A network has it, so it is as durable as its media from now on; False when there is none of this id any more."""
    return tx.run("UPDATE rendition SET spare_at = NULL WHERE id = :id", id=rendition_id) == 1


@dataclass(frozen=True)
class Spare:
    """A rendition with a file that has not gone out. `size`: bytes; `age`: seconds since it was made."""

    id: str
    size: int
    age: float
    spare_at: float


def spares(tx: Tx, before: float, limit: int = 500) -> list[Spare]:
    """Those made before a time, the newest first."""
    rows = tx.all(
        "SELECT id, size, :now - spare_at, spare_at FROM rendition WHERE spare_at IS NOT NULL AND spare_at < :before "
        "ORDER BY spare_at DESC, id DESC LIMIT :limit",
        before=before,
        limit=limit,
    )
    return [Spare(*row) for row in rows]


def evict(tx: Tx, rendition_id: str) -> str | None:
    """Forget one that has not gone out and that no accepted message could need; the name of its file, None when it must stay."""
    row = tx.one(
        "DELETE FROM rendition WHERE id = :id AND spare_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM media JOIN message "
        "ON message.media_id = media.id AND message.state = 'waiting' WHERE media.sha256 = rendition.source_sha256) RETURNING file",
        id=rendition_id,
    )
    return None if row is None else str(row[0])


def files(tx: Tx, after: str, limit: int = 1000) -> list[tuple[str, str]]:
    """Ids and files of renditions that have one, in the order of their ids."""
    rows = tx.all(
        "SELECT id, file FROM rendition WHERE id > :after AND file IS NOT NULL ORDER BY id LIMIT :limit", after=after, limit=limit
    )
    return [(row[0], row[1]) for row in rows]


def _read(row: Row) -> Rendition | Refusal:
    id_, source, media_type, profile, file, mime, size, sha256, key, _, refusal = row
    if refusal is not None:
        said = msgspec.json.decode(refusal)
        return Refusal(id_, source, media_type, profile, said["slug"], said["details"])
    return Rendition(id_, source, media_type, profile, file, mime, size, sha256, b64decode(key))
