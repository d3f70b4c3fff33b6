"""A process says that it lives, and what it counts; stopped in order, it takes that back."""

from contextlib import suppress
from functools import partial
from typing import Any

from satchel import __version__
from satchel.db import Database, hosts
from satchel.domain.errors import Later

EVERY = 1.0
"""Seconds between two beats."""


async def beat(db: Database, name: str, role: str, stats: dict[str, Any]) -> None:
    """Say it once. Raises `Later` while the database is away."""
    await db.write(partial(hosts.beat, id_=name, role=role, version=__version__, stats=stats), durable=False)


async def leave(db: Database, name: str) -> None:
    """Take the beat away; while the database is away it grows old by itself."""
    with suppress(Later):
        await db.write(partial(hosts.gone, id_=name), durable=False)
