"""Upstream events: their JSON, their rows, and the signature under a body of them. Sending is `outbox.py`'s."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

import msgspec

from .store import Tx

STATE = ""  # the lane of state events; the lane of a status is its message's id


@dataclass(frozen=True)
class Pending:
    """One upstream event that the node has not confirmed."""

    seq: int
    id: str
    lane: str
    body: bytes


def new_id() -> str:
    return f"ev-{secrets.token_hex(12)}"


def sign(secret: str, body: bytes, t: int) -> str:
    """The value of Satchel-Sandbox-Signature; `t` is wall time in whole seconds."""
    digest = hmac.new(secret.encode(), b"%d." % t + body, hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"


def envelope(world: str, batch: list[Pending]) -> bytes:
    """The body of one POST."""
    return msgspec.json.encode({"world": world, "events": [msgspec.Raw(item.body) for item in batch]})


def add_status(tx: Tx, message: str, recipient: str, status: str, at: float) -> None:
    event = {"id": new_id(), "kind": "status", "message": message, "recipient": recipient, "status": status, "at": at}
    _add(tx, event["id"], message, event)


def add_state(tx: Tx, event_id: str, offset: float) -> None:
    _add(tx, event_id, STATE, {"id": event_id, "kind": "state", "offset": offset})


def _add(tx: Tx, event_id: object, lane: str, event: dict[str, object]) -> None:
    tx.execute("INSERT INTO upstream_event (id, lane, body) VALUES (?, ?, ?)", (event_id, lane, msgspec.json.encode(event)))


def heads(tx: Tx, aside: set[str], limit: int) -> list[Pending]:
    """The oldest upstream event of each lane that is not set aside, oldest first; a state alone, before everything else.

    A state tells the node which world is the present one: a status that came first would be dropped as another world's.
    """
    rows = tx.execute(
        "SELECT seq, id, lane, body FROM upstream_event WHERE seq IN (SELECT min(seq) FROM upstream_event"
        " WHERE lane NOT IN (SELECT value FROM json_each(?)) GROUP BY lane) ORDER BY lane <> '', seq LIMIT ?",
        (msgspec.json.encode(sorted(aside)).decode(), limit),
    )
    found = [Pending(*row) for row in rows]
    return found[:1] if found and found[0].lane == STATE else found


def remove(tx: Tx, batch: list[Pending]) -> None:
    """The node has them for good."""
    tx.executemany("DELETE FROM upstream_event WHERE seq = ?", [(item.seq,) for item in batch])
