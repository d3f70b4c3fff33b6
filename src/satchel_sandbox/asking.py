"""A phone whose media are over on the server asks their sender to upload them again (docs/reference/sandbox-wire.md, 4): its open requests.

A request is a row in state `requesting`. One that nobody answers in time leaves the media unavailable, and is answered later all the
same. What it says, sealed and opened, is `retry.py`; the download before and after it is `downloads.py`.
"""

import asyncio
import logging
import time
from dataclasses import replace

import msgspec

from . import events, messages, retry
from .bells import Bells
from .clock import Clock
from .envelope import Answered
from .errors import Refusal
from .messages import Message
from .outbox import Outbox, within
from .retry import Answer, Parcel, Sealing
from .store import Store, Tx

log = logging.getLogger("sandbox.phone")

ASKS_AFTER = (403, 404, 410)  # what the media server answers for an address that leads nowhere any more
PATIENCE = 30.0  # seconds of wall time that a phone waits for an answer
MOST_OPEN = 32  # requests of one phone that wait for an answer
_IN_A_ROW = 3  # a phone that gets nothing from so many new addresses gives up
_ASKS_AGAIN = 60.0  # seconds of network time after a sender could not answer for now
_NOBODY = "the sender of the message has not answered within {:g} s: it counts when it does, or ask again with download"
_SAID = {
    "NOT_FOUND": "the sender does not have the file any more",
    "DECRYPTION_ERROR": "the sender could not open the request for the file",
}


class Asking:
    """`patience`: seconds of wall time until a phone waits no longer."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox, bells: Bells, patience: float = PATIENCE) -> None:
        self._store, self._clock, self._outbox, self._bells, self._patience = store, clock, outbox, bells, patience
        self._more = asyncio.Event()

    async def ask(self, message: Message, reason: str) -> None:
        """The media of a queued message are nowhere: ask for them, unless new addresses have led nowhere again and again."""
        if message.asks >= _IN_A_ROW:
            await self._store.write(lambda tx: messages.fetched(tx, message, "unavailable", f"uploaded again in vain: {reason}"))
            return
        await self._store.write(lambda tx: _ask(tx, message, reason, self._clock.now()))
        log.info("message %s: phone %s asks for its media again, %s", message.id, message.phone, reason)
        self._outbox.wake()
        self._more.set()

    async def answered(self, message_id: str, given: Answered) -> list[Message]:
        """What a sender says; the messages whose media can be fetched now. What nobody waits for, or does not open, changes nothing."""
        now = self._clock.now()
        changed = await self._store.write(lambda tx: _answered(tx, message_id, given, now))
        for message in changed:
            log.info("message %s on phone %s: %s", message.id, message.phone, message.reason or "uploaded again")
        self._outbox.wake()
        self._more.set()
        self._bells.ring(given.recipient)
        return [message for message in changed if message.state == "queued"]

    async def step(self) -> None:
        """Wait until the oldest open request is too old; then its phone waits no longer."""
        self._more.clear()
        oldest = await self._store.read(_oldest)
        left = None if oldest is None else oldest + self._patience - time.time()
        if left is None or 0 < left <= self._patience:
            await within(self._more, left)
            return
        for message in await self._store.write(lambda tx: _give_up(tx, self._patience, self._clock.now())):
            log.warning("message %s on phone %s: nobody answers", message.id, message.phone)
            self._bells.ring(message.phone)
        self._outbox.wake()


def _ask(tx: Tx, message: Message, reason: str, now: float) -> None:
    changes = "state = 'requesting', reason = ?, due = NULL, asked_at = NULL, asks = asks + 1"
    tx.execute(f"UPDATE message SET {changes} WHERE seq = ? AND state = 'queued'", (reason, message.seq))
    _open_some(tx, message.phone, now)


def _open_some(tx: Tx, number: str, now: float) -> None:
    """Send requests of a phone, the oldest message's first, as far as it may have them open."""
    requesting = messages.of_state(tx, number, "requesting")
    room = MOST_OPEN - sum(message.asked_at is not None for message in requesting)
    for message in [message for message in requesting if message.asked_at is None][: max(0, room)]:
        _send(tx, message, now)


def _send(tx: Tx, message: Message, now: float) -> None:
    media = message.envelope.media
    assert media is not None  # only media are asked for
    parcel = retry.seal_request(media.media_key, message.sent_as)
    asked = {"recipient": message.phone, "direct_path": media.direct_path, "enc_p": parcel.enc_p, "enc_iv": parcel.enc_iv, "at": now}
    events.add_retry(tx, message.sent_as, asked)
    tx.execute("UPDATE message SET asked_at = ? WHERE seq = ?", (time.time(), message.seq))


def _answered(tx: Tx, message_id: str, given: Answered, now: float) -> list[Message]:
    open_ = messages.asking(tx, given.recipient, message_id)
    if not open_ and not messages.is_known(tx, given.recipient, message_id):
        raise Refusal(404, "unknown_message", f"The phone {given.recipient} has no message {message_id!r}.")
    changed = [
        after
        for message in open_
        if (answer := _read(message, given)) and (after := _take(tx, message, answer, now, _stays_open(message, given)))
    ]
    _open_some(tx, given.recipient, now)
    return changed


def _read(message: Message, given: Answered) -> Answer | None:
    """None for an answer that does not open: whoever sealed it does not know the message's key."""
    if given.error is not None:
        return Answer(retry.RESULTS[given.error] if given.error in (2, 3) else "GENERAL_ERROR")
    assert message.envelope.media is not None
    try:
        return retry.open_answer(message.envelope.media.media_key, message.sent_as, Parcel(given.enc_p, given.enc_iv))
    except Sealing as reason:
        log.warning("message %s: an answer for phone %s is dropped, %s", message.id, message.phone, reason)
        return None


def _stays_open(message: Message, given: Answered) -> float | None:
    """Anybody can send the bare number of an error: it counts until one comes that opens, which the message's key alone could seal."""
    return message.asked_at if given.error is not None else None


def _take(tx: Tx, message: Message, answer: Answer, now: float, asked_at: float | None) -> Message:
    if answer.direct_path is not None:
        return _fetch_there(tx, message, answer.direct_path)
    if answer.result == "GENERAL_ERROR":
        why = "the sender cannot upload the file for now, and is asked again"
        return _becomes(tx, replace(message, state="not_downloaded", reason=why, due=now + _ASKS_AGAIN, asked_at=asked_at))
    return _becomes(tx, replace(message, state="unavailable", reason=_SAID[answer.result], due=None, asked_at=asked_at))


def _fetch_there(tx: Tx, message: Message, direct_path: str) -> Message:
    media = message.envelope.media
    assert media is not None
    moved = msgspec.structs.replace(message.envelope, media=msgspec.structs.replace(media, direct_path=direct_path))
    tx.execute("UPDATE message SET envelope = ? WHERE seq = ?", (msgspec.json.encode(moved), message.seq))
    messages.queue(tx, message.seq)
    return replace(message, envelope=moved, state="queued", reason=None, due=None, asked_at=None)


def _becomes(tx: Tx, message: Message) -> Message:
    tx.execute(
        "UPDATE message SET state = ?, reason = ?, due = ?, asked_at = ?, asks = 0 WHERE seq = ?",
        (message.state, message.reason, message.due, message.asked_at, message.seq),
    )
    return message


def _give_up(tx: Tx, patience: float, now: float) -> list[Message]:
    """`asked_at` stays: an answer that comes later still counts. Where the computer's clock was set back, waits begin anew."""
    tx.execute("UPDATE message SET asked_at = ?1 WHERE state = 'requesting' AND asked_at > ?1", (time.time(),))
    late = messages.asked_before(tx, time.time() - patience)
    for message in late:
        reason = _NOBODY.format(patience)
        tx.execute("UPDATE message SET state = 'unavailable', reason = ? WHERE seq = ?", (reason, message.seq))
    for number in {message.phone for message in late}:
        _open_some(tx, number, now)
    return late


def _oldest(tx: Tx) -> float | None:
    row = tx.execute("SELECT min(asked_at) FROM message WHERE state = 'requesting'").fetchone()
    return None if row is None or row[0] is None else float(row[0])
