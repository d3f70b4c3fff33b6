"""Messages in the network and on phones: their rows. What happens to them, and when, is `network.py` and `phone.py`."""

from dataclasses import dataclass

import msgspec

from . import copies, envelope, events
from .envelope import Envelope
from .errors import Refusal
from .store import Tx
from .world import load

_COLUMNS = "seq, id, phone, at, envelope, state, reason"


@dataclass(frozen=True)
class Message:
    """One message; `state` is where it or its media is (see schema.sql), `at` the network time of the intake."""

    seq: int
    id: str
    phone: str
    at: float
    envelope: Envelope
    state: str
    reason: str | None

    @property
    def settled(self) -> bool:
        """Nothing more will happen to it by itself."""
        return self.state in ("arrived", "downloaded", "unavailable")


def accept(tx: Tx, message: Envelope, now: float) -> float:
    """Store a message and its `sent`, once per id; answers the time of the (first) intake."""
    if message.world not in (None, load(tx).id):
        raise Refusal(409, "wrong_world", f"The message belongs to the world {message.world!r}, which was reset.")
    if known := tx.execute("SELECT at FROM message WHERE id = ?", (message.id,)).fetchone():
        return float(known[0])
    if message.media is not None:
        _renew_copy(tx, message.media.direct_path, now)
    tx.execute(
        "INSERT INTO message (id, phone, at, envelope, state) VALUES (?, ?, ?, ?, 'server')",
        (message.id, message.to, now, msgspec.json.encode(message)),
    )
    events.add_status(tx, message.id, message.to, "sent", now)
    return now


def _renew_copy(tx: Tx, direct_path: str, now: float) -> None:
    try:
        copies.refresh(tx, copies.at(tx, direct_path, now), now)
    except Refusal as refusal:
        raise Refusal(410, "stale_copy", f"The message has no live copy. {refusal.details}") from None


def deliver(tx: Tx, now: float) -> list[Message]:
    """Put everything the server holds onto its phone, oldest first, with its `delivered`."""
    waiting = _select(tx, "state = 'server' ORDER BY seq")
    for message in waiting:
        state = "queued" if message.envelope.media else "arrived"
        tx.execute("UPDATE message SET state = ? WHERE seq = ?", (state, message.seq))
        events.add_status(tx, message.id, message.phone, "delivered", now)
    return waiting


def set_state(tx: Tx, seq: int, state: str, reason: str | None = None) -> None:
    tx.execute("UPDATE message SET state = ?, reason = ? WHERE seq = ?", (state, reason, seq))


def unfinished(tx: Tx) -> list[Message]:
    """Messages on phones whose media an earlier process has not settled."""
    return _select(tx, "state IN ('queued', 'downloading') ORDER BY seq")


def on_phone(tx: Tx, number: str, after: int = 0) -> list[Message]:
    """What a phone has, oldest first; `after` is a seq."""
    return _select(tx, "phone = ? AND seq > ? AND state <> 'server' ORDER BY seq", number, after)


def newest(tx: Tx, number: str) -> Message | None:
    found = _select(tx, "phone = ? AND state <> 'server' ORDER BY seq DESC LIMIT 1", number)
    return found[0] if found else None


def one(tx: Tx, number: str, message_id: str) -> Message:
    """A phone's message by id, or its `latest`."""
    if message_id == "latest":
        found = newest(tx, number)
    else:
        found = next(iter(_select(tx, "phone = ? AND id = ? AND state <> 'server'", number, message_id)), None)
    if found is None:
        raise Refusal(404, "unknown_message", f"The phone {number} has no message {message_id!r}: list its messages to see what arrived.")
    return found


def phones(tx: Tx) -> list[tuple[str, int]]:
    """Numbers and how many messages each has. A phone exists from its first message on."""
    return list(tx.execute("SELECT phone, count(*) FROM message WHERE state <> 'server' GROUP BY phone ORDER BY phone"))


def _select(tx: Tx, where: str, *values: str | int) -> list[Message]:
    rows = tx.execute(f"SELECT {_COLUMNS} FROM message WHERE {where}", values)
    return [Message(seq, id_, phone, at, envelope.stored(json), state, reason) for seq, id_, phone, at, json, state, reason in rows]
