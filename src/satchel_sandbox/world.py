"""The world's row: its id, the clock's offset, and the key that signs addresses. A reset makes a new world of it."""

import secrets
from dataclasses import dataclass

from . import events
from .store import Tx

LIFE = 14 * 86400.0  # seconds


@dataclass(frozen=True)
class World:
    """What a reset ends: another id, another key."""

    id: str
    offset: float  # seconds: network time - wall time
    key: bytes
    life: float  # seconds that an encrypted blob lives from each send

    @property
    def days(self) -> str:
        """The same for people."""
        return f"{self.life / 86400:g}"


def load(tx: Tx) -> World:
    """The present world; a first start makes one, and tells the node, which may still know an older one."""
    row = tx.execute('SELECT id, "offset", key, life FROM world').fetchone()
    return World(*row) if row else _create(tx, LIFE)


def begin(tx: Tx, life: float) -> World:
    """The same at a start, which says how long encrypted blobs live from now on."""
    load(tx)
    tx.execute("UPDATE world SET life = ?", (life,))
    return load(tx)


def renew(tx: Tx) -> World:
    """Forget everything and begin a new world."""
    life = load(tx).life
    for table in ("copy", "phone", "visit", "message", "mine", "asked", "reaction", "upstream_event", "world"):
        tx.execute(f"DELETE FROM {table}")
    return _create(tx, life)


def move(tx: Tx, offset: float) -> None:
    """Store a new clock offset together with the upstream event that reports it."""
    tx.execute('UPDATE world SET "offset" = ?', (offset,))
    events.add_state(tx, offset)


def _create(tx: Tx, life: float) -> World:
    world = World(f"w{secrets.token_hex(6)}", 0.0, secrets.token_bytes(32), life)
    tx.execute('INSERT INTO world (one, id, "offset", key, life) VALUES (1, ?, ?, ?, ?)', (world.id, world.offset, world.key, life))
    events.add_state(tx, world.offset)
    return world
