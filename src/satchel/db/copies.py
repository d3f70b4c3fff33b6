"""Rows of the copy table: where an upstream keeps a rendition. At most one is live per rendition and upstream."""

from dataclasses import dataclass, replace

from satchel.db import Tx


@dataclass(frozen=True)
class StoredCopy:
    """`address` belongs to the upstream's adapter alone; `expires_net` is network time, as is `placed_net`: when its 14 days last began."""

    id: str
    address: str
    expires_net: float
    placed_net: float


def live(tx: Tx, rendition_id: str, upstream: str) -> StoredCopy | None:
    """The copy that stands, whether or not its time is over."""
    row = tx.one(
        "SELECT id, address, expires_net, placed_net FROM copy WHERE rendition_id = :rendition AND upstream = :upstream AND state = 'live'",
        rendition=rendition_id,
        upstream=upstream,
    )
    return None if row is None else StoredCopy(*row)


def save(tx: Tx, copy: StoredCopy, rendition_id: str, upstream: str) -> StoredCopy:
    """Keep a copy; a live one of the same rendition takes the newer address and time. What stands afterwards."""
    row = tx.one(
        "INSERT INTO copy (id, rendition_id, upstream, address, expires_net, placed_net, state) "
        "VALUES (:id, :rendition, :upstream, :address, :expires, :placed, 'live') "
        "ON CONFLICT (rendition_id, upstream) WHERE state = 'live' "
        "DO UPDATE SET address = excluded.address, expires_net = excluded.expires_net, placed_net = excluded.placed_net "
        "RETURNING id",
        id=copy.id,
        rendition=rendition_id,
        upstream=upstream,
        address=copy.address,
        expires=copy.expires_net,
        placed=copy.placed_net,
    )
    assert row is not None, "inserted or updated"
    return replace(copy, id=row[0])


def expire(tx: Tx, copy_id: str) -> None:
    """The upstream says it has it no more."""
    tx.run("UPDATE copy SET state = 'expired' WHERE id = :id", id=copy_id)
