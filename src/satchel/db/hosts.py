"""Rows of the host table: which workers are alive, by the database's clock, and what each says of itself."""

from dataclasses import dataclass
from typing import Any

import msgspec

from satchel.db import Tx


@dataclass(frozen=True)
class Host:
    """`age`: seconds since the last beat."""

    id: str
    role: str
    age: float
    stats: dict[str, Any]


def beat(tx: Tx, id_: str, role: str, version: str, stats: dict[str, Any]) -> None:
    """Say that this worker is alive."""
    tx.run(
        "INSERT INTO host (id, role, version, beat_at, stats) VALUES (:id, :role, :version, :now, :stats) ON CONFLICT (id) DO UPDATE "
        "SET role = excluded.role, version = excluded.version, beat_at = excluded.beat_at, stats = excluded.stats",
        id=id_,
        role=role,
        version=version,
        stats=msgspec.json.encode(stats).decode(),
    )


def gone(tx: Tx, id_: str) -> None:
    """A worker stopped in order."""
    tx.run("DELETE FROM host WHERE id = :id", id=id_)


def forget(tx: Tx, prefix: str) -> None:
    """Drop the beats of workers that cannot be alive any more."""
    tx.run("DELETE FROM host WHERE substr(id, 1, :length) = :prefix", length=len(prefix), prefix=prefix)


def living(tx: Tx, within: float) -> list[Host]:
    """Every worker whose last beat is younger than `within` seconds, in the order of their names."""
    rows = tx.all("SELECT id, role, :now - beat_at, stats FROM host WHERE beat_at > :now - :within ORDER BY id", within=within)
    return [Host(row[0], row[1], row[2], msgspec.json.decode(row[3])) for row in rows]


def all_of(tx: Tx, role: str) -> list[Host]:
    """Every known worker of a role, the freshest beat first."""
    rows = tx.all("SELECT id, role, :now - beat_at, stats FROM host WHERE role = :role ORDER BY beat_at DESC", role=role)
    return [Host(row[0], row[1], row[2], msgspec.json.decode(row[3])) for row in rows]
