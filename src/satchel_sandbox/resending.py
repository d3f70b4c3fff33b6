"""A business asks a phone for media that are over on the server; the phone puts the same bytes there once more, or says that it cannot.

What is asked waits for the phone to be online, over restarts. The other direction is `retry.py` with `downloads.py`.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
from msgspec import Meta

from . import copies, events, messages, mine, retry
from .errors import Refusal, invalid
from .messages import Message
from .retry import Answer, Parcel, Result, Sealing
from .store import Tx

if TYPE_CHECKING:
    from .network import Network

log = logging.getLogger("sandbox.phone")
_Row = tuple[str, str, bytes, bytes]


class Asked(msgspec.Struct, frozen=True):
    """The body of wire section 1.6."""

    enc_p: Annotated[bytes, Meta(max_length=4096)]
    enc_iv: Annotated[bytes, Meta(max_length=64)]
    world: str | None = None


def read(body: bytes) -> Asked:
    """Raises a refusal for what does not follow the wire page."""
    try:
        return msgspec.json.decode(body, type=Asked)
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"The request does not follow the wire page: {error}.") from None


class Resending:
    """`ask` from the wire, `step` for a loop, `wake` when a phone has come online."""

    def __init__(self, network: "Network") -> None:
        self._network = network
        self._more = asyncio.Event()

    def wake(self) -> None:
        self._more.set()

    async def ask(self, message_id: str, asked: Asked) -> None:
        """Keep the request for the phone; a later one for the same message takes its place."""

        def run(tx: Tx) -> None:
            found = mine.find(tx, message_id)
            if found.envelope.media is None:
                raise Refusal(404, "unknown_message", f"The message {message_id!r} has no media.")
            tx.execute("INSERT OR REPLACE INTO asked VALUES (?, ?, ?)", (found.seq, asked.enc_p, asked.enc_iv))

        await self._network.store.write(run)
        self.wake()

    async def step(self) -> None:
        """Answer what can be answered, then wait."""
        self._more.clear()
        while waiting := await self._network.store.read(_open):
            for message, parcel in waiting:
                await self._answer(message, parcel)
        await self._more.wait()

    async def _answer(self, message: Message, parcel: Parcel) -> None:
        media = message.envelope.media
        assert media is not None  # else nobody could ask
        told: dict[str, Any] = {"kind": "media_retry_answer", "message": message.id}
        try:
            retry.open_request(media.media_key, message.id, parcel)
            path = await self._put_again(message)
            sealed = retry.seal_answer(media.media_key, message.id, Answer("SUCCESS", path))
            told |= {"enc_p": sealed.enc_p, "enc_iv": sealed.enc_iv}
        except Sealing:
            told["error"] = _number("DECRYPTION_ERROR")
        except Refusal as refusal:
            log.info("message %s cannot be sent again by phone %s: %s", message.id, message.phone, refusal.details)
            told["error"] = _number("NOT_FOUND")

        def run(tx: Tx) -> None:
            tx.execute("DELETE FROM asked WHERE seq = ?", (message.seq,))
            events.add_from_phone(tx, message.phone, {**told, "at": self._network.clock.now()})

        await self._network.store.write(run)
        self._network.outbox.wake()

    async def _put_again(self, message: Message) -> str:
        """The same bytes under the same key; their new address."""
        network, media, world = self._network, message.envelope.media, self._network.world.id
        assert media is not None
        if message.state != "downloaded":
            raise Refusal(404, "no_media", "the phone has deleted its copy")
        try:
            sealed = await network.vault.seal(world, network.downloads.file(message), media.media_key, media.type)
        except FileNotFoundError:
            raise Refusal(404, "no_media", "the phone's file was removed by hand") from None
        if sealed.file_enc_sha256 != media.file_enc_sha256:
            raise Refusal(404, "no_media", "the phone's file was changed by hand")
        kind, now = copies.kind_of(media.type), network.clock.now()
        copy = await network.store.write(lambda tx: copies.keep(tx, world, sealed.token, kind, sealed.size, now))
        return copy.direct_path


def _number(result: Result) -> int:
    return retry.RESULTS.index(result)


def _open(tx: Tx) -> list[tuple[Message, Parcel]]:
    """Requests to phones that are online."""
    rows = tx.execute(
        "SELECT phone, message.id, enc_p, enc_iv FROM asked JOIN message USING (seq) JOIN phone ON number = phone"
        " WHERE online AND state <> 'lost' ORDER BY asked.seq LIMIT 100"
    ).fetchall()
    return [(messages.one(tx, number, id_), Parcel(enc_p, enc_iv)) for number, id_, enc_p, enc_iv in cast(list[_Row], rows)]
