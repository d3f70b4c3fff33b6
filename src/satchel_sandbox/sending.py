"""What a phone sends to the business: encrypted, put onto the media server, into its chat, and told to the node, in this order."""

import base64
import binascii
import hashlib
import mimetypes
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import copies, messages, mine, phone
from .bodies import Action
from .encrypt import Sealed
from .envelope import Envelope, Media, MediaType
from .errors import Refusal, invalid
from .messages import Message
from .phone import Phone
from .store import Tx

if TYPE_CHECKING:
    from .network import Network

TYPES: dict[str, MediaType] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "voice": "audio",
    "document": "document",
    "sticker": "sticker",
}
BUSINESS = "12025550100"  # whom a phone writes to that nobody has written to
_USUAL = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg; codecs=opus",
    "document": "application/octet-stream",
    "sticker": "image/webp",
}
_HEADS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG", "image/png"), (b"OggS", "audio/ogg; codecs=opus"), (b"%PDF", "application/pdf"))
_CAPTIONED = ("image", "video", "document")
_ECHOED = "image"


async def send(network: "Network", number: str, said: Action) -> Message:
    """One message from this phone."""
    if said.type == "text":
        _check_text(said)
        return await _text(network, number, said)
    if said.type not in TYPES:
        raise invalid(f"The type {said.type!r} is unknown: use text, {', '.join(TYPES)}.")
    _check(said)
    source = await _source(network, said)
    return await _media(network, number, said, source, _new_id())


async def react(network: "Network", number: str, said: Action) -> Message:
    """An emoji under a message of this phone; an empty one takes it away."""
    if said.emoji is None or len(said.emoji) > 32 or "\0" in said.emoji:
        raise invalid('A reaction needs the member emoji, such as {"do": "react", "message": "latest", "emoji": "👍"}.')
    emoji, now = said.emoji, network.clock.now()

    def run(tx: Tx) -> Message:
        owner = _able(tx, number)
        about = messages.one(tx, number, said.message or "latest")
        mine.react(tx, owner, _new_id(), about.id, emoji, now)
        return about

    return await network.store.write(run)


async def echo(network: "Network", message: Message) -> None:
    """Answer an image with the same image, once, whatever crashes between."""
    media = message.envelope.media
    if media is None or media.type != _ECHOED or message.file is None:
        return
    answer = "ABEG" + copies.token_of(hashlib.sha256(f"echo {message.id}".encode()).digest())[:24]
    if await network.store.read(lambda tx: mine.known(tx, answer)):
        return
    said = Action(do="send", type=_ECHOED, mime_type=media.mime_type)
    try:
        await _media(network, message.phone, said, network.downloads.file(message), answer)
    except Refusal:  # it is offline or was forgotten meanwhile: nobody answers
        return


async def _text(network: "Network", number: str, said: Action) -> Message:
    now = network.clock.now()

    def run(tx: Tx) -> Message:
        owner = _able(tx, number)
        return _added(mine.add(tx, owner, _envelope(tx, owner, said, _new_id(), None), now, None))

    return await network.store.write(run)


async def _media(network: "Network", number: str, said: Action, source: Path, message_id: str) -> Message:
    """Bytes, row, promise."""
    kind, key, world, now = TYPES[str(said.type)], secrets.token_bytes(32), network.world.id, network.clock.now()
    await network.store.write(lambda tx: _able(tx, number))  # before anything is made for nothing
    head = await _head(source)
    try:
        sealed = await network.vault.seal(world, source, key, kind)
    except FileNotFoundError:
        raise Refusal(503, "world_changed", "The world was reset meanwhile: send it again.") from None
    name = hashlib.sha256(key + sealed.file_enc_sha256).hexdigest()[:40]
    await network.downloads.keep_mine(source, name)

    def run(tx: Tx) -> Message:
        owner = _able(tx, number)
        copy = copies.keep(tx, world, sealed.token, copies.kind_of(kind), sealed.size, now)
        media = _told(said, kind, key, sealed, copy.direct_path, head)
        return _added(mine.add(tx, owner, _envelope(tx, owner, said, message_id, media, head), now, name))

    return await network.store.write(run)


def _told(said: Action, kind: MediaType, key: bytes, sealed: Sealed, direct_path: str, head: bytes) -> Media:
    return Media(
        type=kind,
        mime_type=said.mime_type or mime_of(str(said.type), said.filename, head),
        media_key=key,
        direct_path=direct_path,
        file_sha256=sealed.file_sha256,
        file_enc_sha256=sealed.file_enc_sha256,
        file_length=sealed.length,
    )


def _envelope(tx: Tx, owner: Phone, said: Action, message_id: str, media: Media | None, head: bytes = b"") -> Envelope:
    business = _business(tx, owner)
    answered = messages.one(tx, owner.number, said.reply_to) if said.reply_to else None
    return Envelope(
        id=message_id,
        to=business,
        sender=owner.number,
        type=media.type if media else "text",
        text=said.text if media is None else None,
        caption=said.caption,
        filename=said.filename,
        media=media,
        ptt=True if said.type == "voice" else None,
        animated=is_animated(head) if said.type == "sticker" else None,
        context={"from": answered.envelope.sender, "id": answered.id} if answered else None,
    )


def _business(tx: Tx, owner: Phone) -> str:
    """Whoever wrote last; the usual number for a phone that nobody has written to."""
    newest = next(messages.newest_first(tx, owner.number), None)
    return newest.envelope.sender if newest else BUSINESS


def _able(tx: Tx, number: str) -> Phone:
    owner = phone.get(tx, number)
    if not owner.online:
        raise Refusal(409, "offline", f"The phone {number} is offline: bring it online first.")
    if owner.blocked:
        raise Refusal(409, "blocked", f"The phone {number} has blocked the business: unblock it first.")
    return owner


def _added(message: Message | None) -> Message:
    if message is None:
        raise Refusal(409, "known_message", "The message was sent before.")
    return message


def _check_text(said: Action) -> None:
    if not said.text or "\0" in said.text:
        raise invalid('A text needs the member text, such as {"do": "send", "type": "text", "text": "hello"}, and no NUL in it.')
    if foreign := [name for name in ("caption", "filename", "mime_type", "file", "data") if getattr(said, name) is not None]:
        raise invalid(f"A text has no {' and no '.join(foreign)}: leave it out, or send the file with its type.")


def _check(said: Action) -> None:
    if said.caption is not None and said.type not in _CAPTIONED:
        raise invalid(f"A message of type {said.type} has no caption: only {', '.join(_CAPTIONED)} have one.")
    if said.text is not None:
        raise invalid(f"A message of type {said.type} has a caption and no text.")
    for name in ("caption", "filename", "mime_type"):
        if "\0" in (getattr(said, name) or ""):
            raise invalid(f"The {name} holds a NUL, which no database takes.")


async def _source(network: "Network", said: Action) -> Path:
    if (said.file is None) == (said.data is None):
        raise invalid("A message with media needs either file, the name that POST /sandbox/phones/{number}/files gave, or data in base64.")
    name = said.file
    if said.data is not None:
        try:
            data = base64.b64decode(said.data, validate=True)
        except (binascii.Error, ValueError):
            raise invalid("The member data is no base64.") from None
        name, _ = await network.downloads.take_given(_once(data))
    return network.downloads.given(name or "")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _head(source: Path) -> bytes:
    """The first bytes, which tell a picture's format."""
    try:
        with source.open("rb") as file:
            return file.read(64)
    except FileNotFoundError:
        raise Refusal(404, "no_media", "The phone's file was removed by hand.") from None


def _new_id() -> str:
    return f"ABEG{secrets.token_urlsafe(21)}"


def mime_of(type_: str, filename: str | None, head: bytes) -> str:
    """What the phone says that a file is: by its first bytes or its name, whichever fits the type, else what is usual."""
    by_head = "image/webp" if head[8:12] == b"WEBP" else next((mime for start, mime in _HEADS if head.startswith(start)), None)
    by_name = mimetypes.guess_type(filename or "")[0]
    if type_ == "document":
        return by_name or by_head or _USUAL[type_]
    kind = _USUAL[type_].partition("/")[0]
    return next((mime for mime in (by_head, by_name) if mime and mime.startswith(f"{kind}/")), _USUAL[type_])


def is_animated(head: bytes) -> bool:
    """Whether a WebP moves: a bit in its extended header."""
    return head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
