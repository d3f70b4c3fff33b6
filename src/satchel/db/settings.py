"""The setting table: what lives in the database and not in files, as JSON by key."""

import secrets
import time
from typing import Any

import msgspec

from satchel.db import Tx

APPLICATION = "application"
TOKEN_KEY = "token_key"
VOLUME_ID = "volume_id"
VOLUME_MARKED = "volume_marked"
VOLUME_LEVEL = "volume_level"
"""How much room the volume had when that was told last, and how often it has been told; see flows/room.py."""
UPSTREAM = "upstream"
PROVIDERS = "media_providers"
WEBHOOK_CA = "webhook_ca"
FACTORY_DOOR = "factory_door"
"""The epoch of the administrator to whom the factory password still leads; see flows/login.py."""


def get(tx: Tx, key: str) -> Any:
    """The value of a key, or None."""
    row = tx.one("SELECT json FROM setting WHERE key = :key", key=key)
    return None if row is None else msgspec.json.decode(row[0])


def put(tx: Tx, key: str, value: Any, by: str = "satchel") -> None:
    """Set a key."""
    tx.run(
        "INSERT INTO setting (key, json, changed_by) VALUES (:key, :json, :by) "
        "ON CONFLICT (key) DO UPDATE SET json = excluded.json, changed_by = excluded.changed_by",
        key=key,
        json=msgspec.json.encode(value).decode(),
        by=by,
    )


def drop(tx: Tx, key: str) -> None:
    """Unset a key."""
    tx.run("DELETE FROM setting WHERE key = :key", key=key)


def keep_first(tx: Tx, key: str, value: Any) -> Any:
    """Set a key unless it is set; the value that stands afterwards. Safe for several processes at once."""
    tx.run(
        "INSERT INTO setting (key, json, changed_by) VALUES (:key, :json, 'satchel') ON CONFLICT (key) DO NOTHING",
        key=key,
        json=msgspec.json.encode(value).decode(),
    )
    return get(tx, key)


def token_key(tx: Tx) -> str:
    """The key that signs tokens, made at first use; 64 hexadecimal digits."""
    return str(keep_first(tx, TOKEN_KEY, secrets.token_hex(32)))


def application(tx: Tx) -> dict[str, Any]:
    """What /v1/settings/application holds, as it was set (defaults not filled in)."""
    return get(tx, APPLICATION) or {}


def upstream(tx: Tx) -> tuple[str | None, float]:
    """The upstream's world (None: not known yet) and its clock's distance from wall time, in seconds."""
    known = get(tx, UPSTREAM) or {}
    return known.get("world"), float(known.get("offset", 0.0))


def learn_upstream(tx: Tx, world: str, offset: float) -> None:
    """Note what the upstream said of itself; no write when nothing is new."""
    if upstream(tx) != (world, offset):
        put(tx, UPSTREAM, {"world": world, "offset": offset}, by="upstream")


def network_now(tx: Tx) -> float:
    """The upstream's clock, seconds since 1970."""
    return time.time() + upstream(tx)[1]
