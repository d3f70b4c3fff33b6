"""What phones send, as upstream events tell it (docs/reference/sandbox-wire.md, 3.1), read without trust: nothing in it ends a request.

A message that cannot be told of is dropped; one that can, of a kind or with media that nobody can read, is of type `unknown`.
"""

import math
import re
from base64 import b64decode
from binascii import Error
from dataclasses import dataclass
from typing import Any

import msgspec

from satchel.domain.incoming import Incoming, Offered
from satchel.domain.media import is_mime

MESSAGE_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
NUMBER = re.compile(r"[0-9]{7,15}", re.ASCII)
PATH = re.compile(r"/(?!/)[!-~]{1,1023}", re.ASCII)
MEDIA = ("image", "video", "audio", "document", "sticker")
CAPTIONED = ("image", "video", "document")
UNNAMED = "application/octet-stream"
LONGEST_NAME = 255
FAR = 1 << 53


class Source(msgspec.Struct, frozen=True):
    """Where an encrypted blob lies and what opens it: the text in the remote table."""

    type: str
    media_key: bytes
    direct_path: str
    file_sha256: bytes
    file_enc_sha256: bytes
    file_length: int

    def __repr__(self) -> str:
        return f"Source({self.type}, {self.direct_path.partition('?')[0]})"  # no key, no signature


@dataclass(frozen=True)
class Read:
    """A message, and the source of its media as text."""

    message: Incoming
    source: str | None = None


def read(given: dict[str, Any]) -> Read | None:
    """The message in an upstream event; None for one that has no sender, no id or no time."""
    message_id, sender, at = given.get("message"), given.get("from"), given.get("at")
    if not (_is(MESSAGE_ID, message_id) and _is(NUMBER, sender) and _is_time(at)):
        return None
    name = given.get("name")
    said: dict[str, Any] = {
        "id": message_id,
        "sender": sender,
        "name": name[:LONGEST_NAME] if isinstance(name, str) and name.strip() else sender,
        "at_net": float(at or 0),
        "context": _context(given.get("context")),
    }
    return _with_media(said, given) or _without(said, given) or Read(Incoming(type="unknown", **said))


def without_key(given: dict[str, Any]) -> dict[str, Any]:
    """The same event as it may be kept where people look."""
    media = given.get("media")
    return {**given, "media": {**media, "media_key": None}} if isinstance(media, dict) else given


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_time(at: Any) -> bool:
    return isinstance(at, int | float) and not isinstance(at, bool) and math.isfinite(at) and 0 <= at < FAR


def _without(said: dict[str, Any], given: dict[str, Any]) -> Read | None:
    """A text or a reaction."""
    if given.get("type") == "text" and isinstance(given.get("text"), str):
        return Read(Incoming(type="text", text=given["text"], **said))
    reaction = given.get("reaction")
    if given.get("type") == "reaction" and isinstance(reaction, dict):
        about, emoji = reaction.get("message"), reaction.get("emoji")
        if _is(MESSAGE_ID, about) and isinstance(about, str) and isinstance(emoji, str) and len(emoji) <= LONGEST_NAME:
            return Read(Incoming(type="reaction", reaction={"message_id": about, "emoji": emoji}, **said))
    return None


def _with_media(said: dict[str, Any], given: dict[str, Any]) -> Read | None:
    media, type_ = given.get("media"), given.get("type")
    if type_ not in MEDIA or not isinstance(media, dict) or media.get("type") != type_:
        return None
    source = _source(media)
    if source is None:
        return None
    offered = Offered(
        mime=media["mime_type"] if isinstance(media.get("mime_type"), str) and is_mime(media["mime_type"]) else UNNAMED,
        size=source.file_length,
        sha256=source.file_sha256.hex(),
        filename=_filename(given.get("filename")) if type_ in ("document", "audio") else None,
        caption=_text(given.get("caption")) if type_ in CAPTIONED else None,
        animated=given.get("animated") is True if type_ == "sticker" else None,
        metadata=given["metadata"] if type_ == "sticker" and isinstance(given.get("metadata"), dict) else None,
    )
    told = "voice" if type_ == "audio" and given.get("ptt") is True else type_
    return Read(Incoming(type=told, media=offered, **said), msgspec.json.encode(source).decode())


def _source(media: dict[str, Any]) -> Source | None:
    key, plain, blob = (_bytes32(media.get(name)) for name in ("media_key", "file_sha256", "file_enc_sha256"))
    path, length = media.get("direct_path"), media.get("file_length")
    if key is None or plain is None or blob is None or not _is(PATH, path):
        return None
    if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length < FAR:
        return None
    return Source(media["type"], key, str(path), plain, blob, length)


def _bytes32(value: Any) -> bytes | None:
    try:
        found = b64decode(value, validate=True) if isinstance(value, str) else b""
    except (Error, ValueError):
        return None
    return found if len(found) == 32 else None


def _context(given: Any) -> dict[str, Any] | None:
    """To what the message answers, of what the contract knows."""
    if not isinstance(given, dict):
        return None
    told: dict[str, Any] = {name: given[name] for name, pattern in (("from", NUMBER), ("id", MESSAGE_ID)) if _is(pattern, given.get(name))}
    told |= {name: True for name in ("forwarded", "frequently_forwarded") if given.get(name) is True}
    return told or None


def _text(given: Any) -> str | None:
    return given if isinstance(given, str) and given else None


def _filename(given: Any) -> str | None:
    """A name and no path, without what would mislead a terminal or a reader."""
    last = re.split(r"[/\\]", given)[-1] if isinstance(given, str) else ""
    name = "".join(sign for sign in last if sign.isprintable())[:LONGEST_NAME].strip()
    return name if name.strip(".") else None
