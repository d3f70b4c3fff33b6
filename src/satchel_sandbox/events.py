"""Upstream events: their JSON, their rows, and the signature under a body of them. Sending is `outbox.py`'s."""

import hashlib
import hmac
import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from .store import Tx

STATE = ""  # the lane of state events; the lane of a status is its message's id
_HEADS = "SELECT seq, lane, body FROM upstream_event WHERE head = 1"
_PROCESS, _numbers = secrets.token_hex(8), itertools.count(1)  # an id is unique over restarts and resets


@dataclass(frozen=True)
class Pending:
    """One upstream event that the node has not confirmed."""

    seq: int
    lane: str
    body: bytes


def sign(secret: str, body: bytes, t: int) -> str:
    """The value of Satchel-Sandbox-Signature; `t` is wall time in whole seconds."""
    digest = hmac.new(secret.encode(), b"%d." % t + body, hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"


def envelope(world: str, batch: list[Pending]) -> bytes:
    """The body of one POST."""
    return msgspec.json.encode({"world": world, "events": [msgspec.Raw(item.body) for item in batch]})


def add_status(tx: Tx, message: str, recipient: str, status: str, at: float) -> None:
    _add(tx, message, {"kind": "status", "message": message, "recipient": recipient, "status": status, "at": at})


def add_retry(tx: Tx, message: str, asked: Mapping[str, object]) -> None:
    """A phone asks for the media of a message again (wire section 4)."""
    _add(tx, message, {"kind": "media_retry", "message": message, **asked})


def add_state(tx: Tx, offset: float) -> None:
    _add(tx, STATE, {"kind": "state", "offset": offset})


def add_from_phone(tx: Tx, number: str, event: dict[str, object]) -> int:
    """Something that a phone sends, after what it has sent before; the seq of its row."""
    _add(tx, f"in:{number}", event)
    return tx.last_insert_rowid()


def _add(tx: Tx, lane: str, event: dict[str, object]) -> None:
    event_id = f"ev-{_PROCESS}-{next(_numbers)}"
    tx.execute(
        "INSERT INTO upstream_event (id, lane, head, body) VALUES (?1, ?2, NOT EXISTS (SELECT 1 FROM upstream_event WHERE lane = ?2), ?3)",
        (event_id, lane, msgspec.json.encode({"id": event_id, **event})),
    )


def heads(tx: Tx, aside: set[str], limit: int) -> list[Pending]:
    """The oldest upstream event of each lane that is not set aside, oldest first; a state alone, before everything else.

    A state tells the node which world is the present one: a status that came first would be dropped as another world's.
    """
    if STATE not in aside and (row := tx.execute(f"{_HEADS} AND lane = ''").fetchone()):
        return [Pending(*row)]
    rows = tx.execute(f"{_HEADS} ORDER BY seq LIMIT ?", (limit + len(aside),))
    return [Pending(*row) for row in rows if row[1] not in aside][:limit]


def remove(tx: Tx, batch: list[Pending]) -> None:
    """The node has them for good; the next of each lane is its head."""
    tx.executemany("DELETE FROM upstream_event WHERE seq = ?", [(item.seq,) for item in batch])
    promote = "UPDATE upstream_event SET head = 1 WHERE seq = (SELECT min(seq) FROM upstream_event WHERE lane = ?)"
    tx.executemany(promote, [(item.lane,) for item in batch])


def last(tx: Tx) -> int:
    """The seq of the newest one that waits; 0 if none does."""
    row = tx.execute("SELECT max(seq) FROM upstream_event").fetchone()
    return int(row[0] or 0) if row else 0


def told(tx: Tx, seq: int) -> bool:
    """Whether the node has all of them up to this one."""
    return tx.execute("SELECT 1 FROM upstream_event WHERE seq <= ? LIMIT 1", (seq,)).fetchone() is None


def waiting(tx: Tx) -> int:
    """How many the node has not confirmed."""
    row = tx.execute("SELECT count(*) FROM upstream_event").fetchone()
    return int(row[0]) if row else 0
