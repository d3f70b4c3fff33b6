"""Rows of the host table: which Webapps and Coreapps are alive, by the database's clock, and what each says of itself.

A row is an instance: one of them on one host, under a name that it bears again after a restart.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from satchel.db import Tx

FRESH = 5.0
"""An instance whose last beat is older, in seconds, counts as gone."""


@dataclass(frozen=True)
class Host:
    """One instance. `role`: `web` or `core`; `age`: seconds since the last beat."""

    id: str
    role: str
    age: float
    stats: dict[str, Any]


def beat(tx: Tx, id_: str, role: str, version: str, stats: dict[str, Any]) -> None:
    """Say that this instance is alive."""
    tx.run(
        "INSERT INTO host (id, role, version, beat_at, stats) VALUES (:id, :role, :version, :now, :stats) ON CONFLICT (id) DO UPDATE "
        "SET role = excluded.role, version = excluded.version, beat_at = excluded.beat_at, stats = excluded.stats",
        id=id_,
        role=role,
        version=version,
        stats=msgspec.json.encode(stats).decode(),
    )


def touch(tx: Tx, id_: str) -> None:
    """Write something small, to see whether the database takes it."""
    tx.run("UPDATE host SET beat_at = :now WHERE id = :id", id=id_)


def gone(tx: Tx, id_: str) -> None:
    """An instance stopped in order."""
    tx.run("DELETE FROM host WHERE id = :id", id=id_)


def forget(tx: Tx, prefix: str) -> None:
    """Drop the beats of instances that cannot be alive any more; `prefix`: what their names start with."""
    tx.run("DELETE FROM host WHERE substr(id, 1, :length) = :prefix", length=len(prefix), prefix=prefix)


def living(tx: Tx, role: str | None = None) -> list[Host]:
    """Every instance, or every one of a role, whose last beat is fresh, in the order of their names."""
    of_role = "" if role is None else " AND role = :role"
    rows = tx.all(
        f"SELECT id, role, :now - beat_at, stats FROM host WHERE beat_at > :now - :fresh{of_role} ORDER BY id", fresh=FRESH, role=role
    )
    return [Host(row[0], row[1], row[2], msgspec.json.decode(row[3])) for row in rows]


def now(tx: Tx) -> float:
    """The database's clock, seconds since 1970."""
    row = tx.one("SELECT :now")
    assert row is not None, "a value has a row"
    return float(row[0])
