"""How much waits and how much there is, without ever counting a large table: queues by their index up to a limit, rows by their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from satchel.db import Tx

MOST = 50_000
"""Where counting a queue ends."""
BORN = {"message": "accepted_at", "prep": "created_at", "callback": "created_at"}
Table = Literal["message", "prep", "callback"]


@dataclass(frozen=True)
class Queue:
    """`waiting`: `MOST` at the most; `oldest`: age in seconds of the item that waits longest (of those counted), 0 when none does.

    `first`: the id of that item.
    """

    waiting: int
    oldest: float
    first: str | None = None


def queue(tx: Tx, table: Table, direction: Literal["in", "out"] | None = None) -> Queue:
    """What waits in a table whose rows are items of lanes. Rows are numbered in the order in which they came.

    `direction`: of messages, only those that are received or sent.
    """
    which = f"state = 'waiting' AND direction = '{direction}'" if direction else "state = 'waiting'"
    row = tx.one(f"SELECT count(*), min(seq) FROM (SELECT seq FROM {table} WHERE {which} LIMIT {MOST}) AS counted")
    waiting, first = row or (0, None)
    born = tx.one(f"SELECT :now - {BORN[table]}, id FROM {table} WHERE seq = :seq", seq=first) if first is not None else None
    return Queue(waiting, max(0.0, born[0]), born[1]) if born else Queue(waiting, 0.0)


def rows(tx: Tx, table: Table) -> int:
    """The highest number given to a row; nothing renumbers them, so the table never has more."""
    row = tx.one(f"SELECT max(seq) FROM {table}")
    return (row and row[0]) or 0


def size(tx: Tx, dialect: Mapping[str, str]) -> int:
    """Bytes of the database."""
    row = tx.one(f"SELECT {dialect['database_bytes']}")
    return int(row[0]) if row else 0
