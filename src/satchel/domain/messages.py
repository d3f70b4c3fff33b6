"""What POST /v1/messages says: parsed and checked at the door. Nothing here looks at the media itself."""

from dataclasses import dataclass
from typing import Any

from satchel.domain.errors import (
    NOT_SUPPORTED_YET,
    PARAMETER_INVALID,
    PARAMETER_MISSING,
    RECIPIENT_TYPE,
    TOO_LONG,
    Fault,
)
from satchel.domain.limits import CAPTION_CHARS
from satchel.domain.numbers import wa_id

SUPPORTED = ("image", "document")
KNOWN = ("audio", "contacts", "document", "hsm", "image", "interactive", "location", "sticker", "template", "text", "video")


MEDIA_TYPES = ("audio", "document", "image", "sticker", "video")


@dataclass(frozen=True)
class Outgoing:
    """A message as accepted. `to`: digits; its media, where it has one, is named by `media_id` or by `link`, never by both.

    `provider`: whose credentials the link is fetched with; `template`: as given; `header`: the media type of its header; `ttl`: seconds.
    """

    to: str
    type: str
    media_id: str | None = None
    caption: str | None = None
    filename: str | None = None
    link: str | None = None
    provider: str | None = None
    text: str | None = None
    preview_url: bool = False
    template: dict[str, Any] | None = None
    header: str | None = None
    ttl: float | None = None

    @property
    def media_type(self) -> str | None:
        """What its media goes out as; None for a message without one."""
        return self.header or (self.type if self.type in MEDIA_TYPES else None)


def parse(given: Any) -> Outgoing:
    """Check a decoded body. Raises `Fault` with what is wrong and how to put it right."""
    if not isinstance(given, dict):
        raise Fault(
            PARAMETER_INVALID, 'The body must be a JSON object such as {"to": "12025550111", "type": "image", "image": {"id": "…"}}.'
        )
    if (recipient_type := given.get("recipient_type")) not in (None, "individual"):  # a tuple: it may be unhashable
        raise Fault(RECIPIENT_TYPE, f'recipient_type {_shown(recipient_type)} is not known: only "individual" is.')
    to = wa_id(_text(given, "to", required=True) or "")
    kind = _text(given, "type") or "text"
    if given.get("type") is None and given.get("text") is None:
        raise Fault(PARAMETER_MISSING, f"type is missing: say what is sent, one of {', '.join(SUPPORTED)}.")
    if kind not in KNOWN:
        raise Fault(PARAMETER_INVALID, f"type {_shown(kind)} is not known: use one of {', '.join(KNOWN)}.")
    if kind not in SUPPORTED:
        raise Fault(NOT_SUPPORTED_YET, f'type "{kind}" is not supported yet: this version sends {" and ".join(SUPPORTED)}.')
    return _media_message(to, kind, given.get(kind))


def _media_message(to: str, kind: str, media: Any) -> Outgoing:
    if media is None:
        raise Fault(PARAMETER_MISSING, f'{kind} is missing: a message of type "{kind}" needs {{"{kind}": {{"id": "<media id>"}}}}.')
    if not isinstance(media, dict):
        raise Fault(PARAMETER_INVALID, f'{kind} must be an object such as {{"id": "<media id>"}}.')
    return Outgoing(to, kind, _media_id(kind, media), _caption(kind, media), _filename(kind, media))


def _media_id(kind: str, media: dict[str, Any]) -> str:
    media_id, link = _text(media, "id", kind), _text(media, "link", kind)
    if media_id and link:
        raise Fault(PARAMETER_INVALID, f"{kind} has both id and link: give one of them.")
    if link is not None and link.lower().startswith("data:"):
        raise Fault(PARAMETER_INVALID, f"{kind}.link holds the bytes themselves: upload them with POST /v1/media and send the id.")
    if link:
        raise Fault(NOT_SUPPORTED_YET, f"{kind}.link is not supported yet: upload the file with POST /v1/media and send the id.")
    if not media_id:
        raise Fault(PARAMETER_MISSING, f"{kind}.id is missing: upload the file with POST /v1/media and send the id it answers.")
    return media_id


def _caption(kind: str, media: dict[str, Any]) -> str | None:
    caption = _text(media, "caption", kind)
    if caption is not None and len(caption) > CAPTION_CHARS:
        raise Fault(TOO_LONG, f"{kind}.caption has {len(caption)} characters; the limit is {CAPTION_CHARS}.")
    return caption


def _filename(kind: str, media: dict[str, Any]) -> str | None:
    return _text(media, "filename", kind) if kind == "document" else None


def _text(given: dict[str, Any], name: str, inside: str = "", required: bool = False) -> str | None:
    """A member that must be a string; null counts as absent."""
    value = given.get(name)
    where = f"{inside}.{name}" if inside else name
    if value is None:
        if required:
            raise Fault(PARAMETER_MISSING, f"{where} is missing: give it as a string.")
        return None
    if not isinstance(value, str):
        raise Fault(PARAMETER_INVALID, f"{where} must be a string, not {_shown(value)}.")
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise Fault(PARAMETER_INVALID, f"{where} holds a character that no text may hold (NUL, or half of a surrogate pair).")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:60]
