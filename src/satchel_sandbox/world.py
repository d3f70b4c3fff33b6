"""The world's row: its id, the clock's offset, and the key that signs addresses. A reset makes a new world of it."""

import secrets
from dataclasses import dataclass

from . import events
from .store import Tx


@dataclass(frozen=True)
class World:
    """What a reset ends: another id, another key."""

    id: str
    offset: float  # seconds: network time - wall time
    key: bytes


def load(tx: Tx) -> World:
    """The present world; a first start makes one, and tells the node, which may still know an older one."""
    row = tx.execute('SELECT id, "offset", key FROM world').fetchone()
    return World(*row) if row else _create(tx)


def renew(tx: Tx) -> World:
    """Forget everything and begin a new world."""
    for table in ("copy", "phone", "visit", "message", "mine", "asked", "reaction", "upstream_event", "world"):
        tx.execute(f"DELETE FROM {table}")
    return _create(tx)


def move(tx: Tx, offset: float) -> None:
    """Store a new clock offset together with the upstream event that reports it."""
    tx.execute('UPDATE world SET "offset" = ?', (offset,))
    events.add_state(tx, offset)


def _create(tx: Tx) -> World:
    world = World(f"w{secrets.token_hex(6)}", 0.0, secrets.token_bytes(32))
    tx.execute('INSERT INTO world (one, id, "offset", key) VALUES (1, ?, ?, ?)', (world.id, world.offset, world.key))
    events.add_state(tx, world.offset)
    return world
