"""How many files of which kind there are, and their bytes, by their rows. Reads whole tables: for commands, not for requests."""

from satchel.db import Tx

Figures = tuple[int, int]
"""Files, bytes."""


def media(tx: Tx, direction: str) -> Figures:
    """Media whose file is on the volume."""
    row = tx.one(
        "SELECT count(*), coalesce(sum(size), 0) FROM media WHERE direction = :direction AND state IN ('live', 'deleting')",
        direction=direction,
    )
    return _figures(row)


def renditions(tx: Tx) -> Figures:
    """Renditions with a file of their own."""
    return _figures(tx.one("SELECT count(*), coalesce(sum(size), 0) FROM rendition WHERE file IS NOT NULL"))


def _figures(row: tuple[int, int] | None) -> Figures:
    assert row is not None, "an aggregate has a row"
    return int(row[0]), int(row[1])
