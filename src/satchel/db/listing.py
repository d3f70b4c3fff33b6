"""Rows of the media table as people list them, the newest first. Media that are being deleted or are deleted are nobody's to see.

A page looks at no more than SCAN rows, however few of them fit: reads run on the event loop, and a filter that fits one in a million
must not hold it. Such a page is short or empty and still has a next one.
"""

from dataclasses import dataclass

from satchel.db import Row, Tx

SCAN = 10_000
COLUMNS = 'id, direction, mime, size, sha256, state, "user", created_net, last_used_net'


@dataclass(frozen=True)
class Wanted:
    """What to list; None: any. `mime` is a type without parameters, or `image/*` for all of a kind; compared without case."""

    direction: str | None = None
    user: str | None = None
    mime: str | None = None


@dataclass(frozen=True)
class Place:
    """Where in the order a page ends."""

    created_net: float
    id: str


@dataclass(frozen=True)
class Listed:
    """One media. `size`: bytes; `created_net`, `last_used_net`: network time in seconds."""

    id: str
    direction: str
    mime: str
    size: int
    sha256: str
    state: str
    user: str | None
    created_net: float
    last_used_net: float


@dataclass(frozen=True)
class Page:
    """`end`: where the next page goes on; None where nothing is left."""

    media: list[Listed]
    end: Place | None


def one(tx: Tx, media_id: str) -> Listed | None:
    """A media that is there."""
    row = tx.one(f"SELECT {COLUMNS} FROM media WHERE id = :id AND state NOT IN ('deleting', 'deleted')", id=media_id)
    return None if row is None else Listed(*row)


def page(tx: Tx, wanted: Wanted, after: Place | None, limit: int) -> Page:
    """Up to `limit` media behind `after`."""
    older = "WHERE (created_net, id) < (:created_net, :after)" if after else ""
    bound = {"created_net": after.created_net, "after": after.id} if after else {}
    fits, values = _condition(wanted)
    scanned = f"SELECT {COLUMNS} FROM media {older} ORDER BY created_net DESC, id DESC LIMIT {SCAN}"
    rows = tx.all(
        f"SELECT {COLUMNS} FROM ({scanned}) AS scanned WHERE {fits} ORDER BY created_net DESC, id DESC LIMIT :limit",
        limit=limit,
        **bound,
        **values,
    )
    if len(rows) == limit:
        return Page([Listed(*row) for row in rows], Place(rows[-1][7], rows[-1][0]))
    last = tx.one(f"SELECT created_net, id FROM media {older} ORDER BY created_net DESC, id DESC LIMIT 1 OFFSET {SCAN - 1}", **bound)
    return Page([Listed(*row) for row in rows], _end(last))


def _end(last: Row | None) -> Place | None:
    return None if last is None else Place(*last)


def _condition(wanted: Wanted) -> tuple[str, dict[str, str | int]]:
    """The filter as SQL, and what it binds."""
    parts, values = ["state NOT IN ('deleting', 'deleted')"], dict[str, str | int]()
    for name, value in (("direction", wanted.direction), ("user", wanted.user)):
        if value is not None:
            parts.append(f'"{name}" = :{name}')
            values[name] = value
    if wanted.mime is not None:
        mime = wanted.mime.lower()
        start = mime.removesuffix("*") if mime.endswith("/*") else f"{mime};"
        parts.append("(lower(mime) = :mime OR substr(lower(mime), 1, :length) = :start)")
        values |= {"mime": mime, "start": start, "length": len(start)}
    return " AND ".join(parts), values
