"""The way of a message: taken in from the node, put onto its phone, read there. Rows and upstream events; the media is `downloads.py`'s."""

import hashlib
from dataclasses import dataclass, replace

import msgspec

from . import copies, events, phone
from .envelope import Envelope, Media
from .errors import Refusal
from .magic import habits
from .messages import Message
from .phone import Phone
from .store import Tx
from .world import load

RATE_PAUSE = 60  # seconds that a refusal for too many messages asks for


@dataclass(frozen=True)
class Place:
    """Where a message goes next: its state, and when something happens to it by itself."""

    state: str
    due: float | None = None
    reason: str | None = None

    @property
    def delivered(self) -> bool:
        return self.state not in ("server", "lost")


def accept(tx: Tx, given: Envelope, now: float) -> Message | float:
    """Store a message and its `sent`, once per id, and put it onto its phone if nothing is in the way.

    Answers the message, or for an id that is known the time of the first intake.
    """
    if given.world not in (None, load(tx).id):
        raise Refusal(409, "wrong_world", f"The message belongs to the world {given.world!r}, which was reset.")
    if known := tx.execute("SELECT at FROM message WHERE id = ?", (given.id,)).fetchone():
        return float(known[0])
    _judge(given)
    if given.media is not None:
        _renew_copy(tx, given.media.direct_path, now)
    to = phone.get(tx, given.to)
    place = _first_place(tx, to, given, now)
    message = _insert(tx, given, place, now)
    events.add_status(tx, given.id, given.to, "sent", now)
    if place.delivered:
        _delivered(tx, to, message, now)
    return message


def deliver(tx: Tx, message: Message, now: float) -> Message:
    """Put a message that the server holds onto its phone; if that has blocked the business meanwhile, the message is lost."""
    to = phone.get(tx, message.phone)
    place = _lost() if to.blocked else _landing(to, message.envelope, now)
    tx.execute("UPDATE message SET state = ?, due = ?, reason = ? WHERE seq = ?", (place.state, place.due, place.reason, message.seq))
    if place.delivered:
        _delivered(tx, to, message, now)
    else:
        tx.execute("UPDATE message SET envelope = x'', file = NULL WHERE seq = ?", (message.seq,))
    return replace(message, state=place.state, due=place.due, reason=place.reason)


def forward(tx: Tx, given: Envelope, origin: str, now: float) -> Message:
    """A message from one phone to another, which carries on media where they lie: their 14 days do not start anew."""
    if not habits(given.to).on_network:
        raise Refusal(404, "not_on_network", f"Nobody uses the network under the number {given.to}.")
    to = phone.get(tx, given.to)
    place = _first_place(tx, to, given, now)
    message = replace(_insert(tx, given, place, now, origin), origin=origin)
    if place.delivered:
        _delivered(tx, to, message, now)
    return message


def read(tx: Tx, by: Phone, message: Message, now: float) -> None:
    """Somebody looks at a message for the first time; the business hears of it if the phone tells."""
    tx.execute("UPDATE message SET read_at = ? WHERE seq = ?", (now, message.seq))
    if by.read_receipts and message.origin is None:
        events.add_status(tx, message.id, message.phone, "read", now)


def release(tx: Tx, number: str, now: float) -> None:
    """The phone has come online: what waited for that is due, in its order."""
    tx.execute("UPDATE message SET due = ? WHERE phone = ? AND due IS NULL AND state IN ('server', 'queued')", (now, number))


def hold(tx: Tx, number: str) -> None:
    """The phone has gone offline: nothing is due until it comes back."""
    tx.execute("UPDATE message SET due = NULL WHERE phone = ? AND state = 'server'", (number,))


def _judge(given: Envelope) -> None:
    """What the number itself stands in the way of."""
    usual = habits(given.to)
    if not usual.on_network:
        raise Refusal(404, "not_on_network", f"Nobody uses the network under the number {given.to}.")
    if usual.rate_limited:
        raise Refusal(429, "rate_limited", f"Too many messages to {given.to}: wait {RATE_PAUSE} s.", retry_after=RATE_PAUSE)
    if given.media is not None and not usual.takes_media:
        raise Refusal(403, "upload_refused", f"The media server takes no media for {given.to}.")


def _renew_copy(tx: Tx, direct_path: str, now: float) -> None:
    try:
        copies.use(tx, copies.at(tx, direct_path, now), now)
    except Refusal as refusal:
        raise Refusal(410, "stale_copy", f"The message has no live copy. {refusal.details}") from None


def _first_place(tx: Tx, to: Phone, given: Envelope, now: float) -> Place:
    if to.blocked:
        return _lost()
    if not to.online:
        return Place("server")
    (behind,) = next(tx.execute("SELECT max(due) FROM message WHERE phone = ? AND state = 'server'", (to.number,)))
    hop = habits(to.number).hop
    if hop or behind is not None:
        return Place("server", max(now + hop, behind or 0.0))  # never past what came before it
    return _landing(to, given, now)


def _landing(to: Phone, given: Envelope, now: float) -> Place:
    """Where a message is once its phone has it."""
    usual = habits(to.number)
    if given.media is None:
        return Place("arrived")
    if not to.auto_download:
        return Place("not_downloaded")
    if usual.fetches_after:
        return Place("not_downloaded", now + usual.fetches_after)
    return Place("queued", now + usual.hop if usual.hop else None)


def _lost() -> Place:
    return Place("lost", reason="the phone has blocked the business")


def _insert(tx: Tx, given: Envelope, place: Place, now: float, origin: str | None = None) -> Message:
    json = b"" if place.state == "lost" else msgspec.json.encode(given)
    file = _file(given.media) if given.media and json else None
    values = (given.id, given.to, given.sender, now, json, place.state, place.reason, place.due, file, origin)
    columns = "id, phone, sender, at, envelope, state, reason, due, file, origin"
    tx.execute(f"INSERT INTO message ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    return Message(tx.last_insert_rowid(), given.id, given.to, now, given, place.state, place.reason, place.due, file)


def _file(media: Media) -> str:
    """Equal for messages whose every check has the same outcome; tells nothing about the key."""
    parts = (
        media.media_key,
        media.file_enc_sha256,
        media.file_sha256,
        b"%d" % media.file_length,
        media.type.encode(),
        media.sidecar or b"",
    )
    return hashlib.sha256(b"".join(parts)).hexdigest()[:40]


def _delivered(tx: Tx, to: Phone, message: Message, now: float) -> None:
    if message.origin is None:  # what a phone forwards is none of the business's
        events.add_status(tx, message.id, message.phone, "delivered", now)
    if to.chat == phone.ANY_CHAT:
        phone.change(tx, to.number, {"chat": message.envelope.sender})
    if to.reads(message.envelope.sender):
        read(tx, to, message, now)
