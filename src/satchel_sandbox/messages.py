"""Messages in the network and on phones: their rows. What happens to them, and when, is `delivery.py` and `downloads.py`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import envelope
from .envelope import Envelope
from .errors import Refusal
from .store import Tx

_COLUMNS = "seq, id, phone, at, envelope, state, reason, due, file, read_at, played_at, origin, asked_at, asks"
_SEEN = "state NOT IN ('server', 'lost')"
_THEIRS = "NOT EXISTS (SELECT 1 FROM mine WHERE mine.seq = message.seq)"


@dataclass(frozen=True)
class Message:
    """One message; `state` is where it or its media is (see schema.sql), `at` the network time of the intake."""

    seq: int
    id: str
    phone: str
    at: float
    envelope: Envelope
    state: str
    reason: str | None = None
    due: float | None = None
    file: str | None = None
    read_at: float | None = None
    played_at: float | None = None
    origin: str | None = None
    asked_at: float | None = None
    asks: int = 0

    @property
    def sent_as(self) -> str:
        """The id under which the business knows it: of a forwarded one, the message it came from."""
        return self.origin or self.id

    @property
    def settled(self) -> bool:
        """Nothing more will happen to it by itself, or not for days."""
        return self.state in ("arrived", "not_downloaded", "downloaded", "unavailable")


_OPEN = "('requesting', 'unavailable', 'not_downloaded')"


def queue(tx: Tx, seq: int) -> None:
    """Its media is to be fetched now."""
    tx.execute("UPDATE message SET state = 'queued', reason = NULL, due = NULL, asked_at = NULL WHERE seq = ?", (seq,))


def fetched(tx: Tx, message: Message, state: str, reason: str | None = None) -> None:
    """What became of the download of a queued message; one that was lost meanwhile stays lost."""
    tx.execute("UPDATE message SET state = ?, reason = ?, due = NULL WHERE seq = ? AND state = 'queued'", (state, reason, message.seq))


def asking(tx: Tx, number: str, sent_as: str) -> list[Message]:
    """A phone's messages for whose media their sender was asked and no sealed answer has come, also too late: one, or some forwarded."""
    return _select(tx, f"phone = ?1 AND (id = ?2 OR origin = ?2) AND asked_at IS NOT NULL AND state IN {_OPEN}", number, sent_as)


def asked_before(tx: Tx, at: float) -> list[Message]:
    """Messages for whose media their sender was asked at this wall time or before, and whose phone still waits."""
    return _select(tx, "state = 'requesting' AND asked_at <= ? ORDER BY asked_at, seq", at)


def is_known(tx: Tx, number: str, sent_as: str) -> bool:
    """Whether a phone has a message of this id, or one that was forwarded from it."""
    found = tx.execute(f"SELECT 1 FROM message WHERE phone = ?1 AND (id = ?2 OR origin = ?2) AND {_SEEN} LIMIT 1", (number, sent_as))
    return found.fetchone() is not None


def needed(tx: Tx, file: str) -> bool:
    """Whether some phone has the bytes of this name."""
    return tx.execute("SELECT 1 FROM message WHERE file = ? AND state = 'downloaded' LIMIT 1", (file,)).fetchone() is not None


def downloaded(tx: Tx, ids: Sequence[str]) -> list[str]:
    """Those of these messages whose phones have their media."""
    found = "SELECT 1 FROM message WHERE id = ? AND state = 'downloaded'"
    return [id_ for id_ in ids if tx.execute(found, (id_,)).fetchone() is not None]


def unfinished(tx: Tx) -> list[Message]:
    """Messages on phones whose media an earlier process was fetching."""
    online = "(SELECT online FROM phone WHERE number = message.phone)"
    return _select(tx, f"state = 'queued' AND due IS NULL AND {online} ORDER BY seq")


def next_due(tx: Tx, now: float) -> Message | None:
    """What should have happened first by `now` and has not."""
    return next(iter(_select(tx, "due <= ? ORDER BY due, seq LIMIT 1", now)), None)


def first_due(tx: Tx) -> float | None:
    """The network time at which something happens by itself."""
    row = tx.execute("SELECT min(due) FROM message WHERE due IS NOT NULL").fetchone()
    return None if row is None or row[0] is None else float(row[0])


def on_phone(tx: Tx, number: str, after: int = 0) -> list[Message]:
    """What a phone has received and sent, oldest first; `after` is a seq."""
    return _select(tx, f"phone = ? AND seq > ? AND {_SEEN} ORDER BY seq", number, after)


def newest_first(tx: Tx, number: str, after: int = 0) -> Iterator[Message]:
    """What it has received, the newest first, one at a time."""
    return _each(tx, f"phone = ? AND seq > ? AND {_SEEN} AND {_THEIRS} ORDER BY seq DESC", number, after)


def of_conversation(tx: Tx, number: str, business: str) -> list[Message]:
    """What a phone has of its conversation with a business, oldest first."""
    return _select(tx, f"phone = ? AND sender = ? AND {_SEEN} ORDER BY seq", number, business)


def of_state(tx: Tx, number: str, *states: str) -> list[Message]:
    wanted = ", ".join("?" * len(states))
    return _select(tx, f"phone = ? AND state IN ({wanted}) ORDER BY seq", number, *states)


def unread(tx: Tx, number: str, business: str | None = None) -> list[Message]:
    """What nobody has read, oldest first; of one conversation or of all."""
    return _select(tx, f"phone = ?1 AND sender = ifnull(?2, sender) AND read_at IS NULL AND {_SEEN} ORDER BY seq", number, business)


def one(tx: Tx, number: str, message_id: str) -> Message:
    """A phone's message by id, or the `latest` that it has received."""
    where = "phone = ? AND id = ?" if message_id != "latest" else f"phone = ? AND {_THEIRS}"
    values = (number, message_id) if message_id != "latest" else (number,)
    found = next(iter(_select(tx, f"{where} AND {_SEEN} ORDER BY seq DESC LIMIT 1", *values)), None)
    if found is None:
        raise Refusal(404, "unknown_message", f"The phone {number} has no message {message_id!r}: list its messages to see what arrived.")
    return found


def _select(tx: Tx, where: str, *values: str | float | None) -> list[Message]:
    return list(_each(tx, where, *values))


def _each(tx: Tx, where: str, *values: str | float | None) -> Iterator[Message]:
    for seq, id_, phone, at, json, *rest in tx.execute(f"SELECT {_COLUMNS} FROM message WHERE {where}", values):
        yield Message(seq, id_, phone, at, envelope.stored(json), *rest)
