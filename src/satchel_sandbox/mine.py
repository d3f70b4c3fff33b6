"""Messages that phones have sent: their rows, and how far they have come. Making and sending one is `sending.py`."""

from dataclasses import dataclass

import msgspec

from . import events, messages
from .blocks import Ticks
from .envelope import Envelope
from .errors import Refusal
from .messages import Message
from .phone import Phone
from .store import Tx


@dataclass(frozen=True)
class Mine:
    """`ticks`: sent, delivered to the node, or read by the business; `seen_at`: network time of the last."""

    seq: int
    ticks: Ticks
    seen_at: float | None


def add(tx: Tx, owner: Phone, said: Envelope, now: float, file: str | None) -> Message | None:
    """Put a message into the phone's conversation, and on its way to the node; None for one that is there already."""
    state = "arrived" if said.media is None else "downloaded"
    values = (said.id, owner.number, said.to, now, msgspec.json.encode(said), state, file, now)
    columns = "id, phone, sender, at, envelope, state, file, read_at"
    tx.execute(f"INSERT INTO message ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", values)
    if not tx.changes():
        return None
    seq = tx.last_insert_rowid()
    event = events.add_from_phone(tx, owner.number, _told(owner, said, now))
    tx.execute("INSERT INTO mine (seq, event) VALUES (?, ?)", (seq, event))
    return Message(seq, said.id, owner.number, now, said, state, file=file, read_at=now)


def all_of(tx: Tx, number: str) -> dict[int, Mine]:
    """What a phone has sent, by seq."""
    waits = "EXISTS (SELECT 1 FROM upstream_event WHERE upstream_event.seq = mine.event)"
    rows = tx.execute(f"SELECT seq, seen_at, {waits} FROM message JOIN mine USING (seq) WHERE phone = ?", (number,))
    return {seq: Mine(seq, _ticks(seen_at, waiting), seen_at) for seq, seen_at, waiting in rows}


def known(tx: Tx, message_id: str) -> bool:
    """Whether there is a message of this id."""
    return tx.execute("SELECT 1 FROM message WHERE id = ?", (message_id,)).fetchone() is not None


def _ticks(seen_at: float | None, waits: bool) -> Ticks:
    return "read" if seen_at is not None else "sent" if waits else "delivered"


def see(tx: Tx, message_id: str, now: float) -> str:
    """The business has read it; the number of its phone."""
    found = find(tx, message_id)
    tx.execute("UPDATE mine SET seen_at = ifnull(seen_at, ?) WHERE seq = ?", (now, found.seq))
    return found.phone


def find(tx: Tx, message_id: str) -> Message:
    """A message that some phone has sent and still has."""
    row = tx.execute("SELECT phone FROM message JOIN mine USING (seq) WHERE id = ? AND state <> 'lost'", (message_id,)).fetchone()
    if row is None:
        raise Refusal(404, "unknown_message", f"No phone has sent the message {message_id!r}.")
    return messages.one(tx, str(row[0]), message_id)


def react(tx: Tx, owner: Phone, event_id: str, about: str, emoji: str, now: float) -> None:
    """Put an emoji under a message of the conversation, or take it away with an empty one; the business hears of it."""
    if emoji:
        tx.execute("INSERT OR REPLACE INTO reaction VALUES (?, ?, ?)", (owner.number, about, emoji))
    else:
        tx.execute("DELETE FROM reaction WHERE phone = ? AND message = ?", (owner.number, about))
    said = {"type": "reaction", "reaction": {"message": about, "emoji": emoji}}
    events.add_from_phone(tx, owner.number, {**_head(owner, event_id, now), **said})


def reactions(tx: Tx, number: str) -> dict[str, str]:
    """The emoji of a phone, by message."""
    return {str(message): str(emoji) for message, emoji in tx.execute("SELECT message, emoji FROM reaction WHERE phone = ?", (number,))}


def _head(owner: Phone, message_id: str, now: float) -> dict[str, object]:
    return {"kind": "message", "message": message_id, "from": owner.number, "name": owner.name, "at": now}


def _told(owner: Phone, said: Envelope, now: float) -> dict[str, object]:
    """The upstream event of a message (docs/reference/sandbox-wire.md, 3.1)."""
    members = ("type", "text", "caption", "filename", "media", "ptt", "animated", "context")
    return _head(owner, said.id, now) | {name: value for name in members if (value := getattr(said, name)) is not None}
