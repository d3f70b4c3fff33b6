"""What POST /v1/messages says: parsed and checked at the door. Nothing here looks at the media itself."""

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from satchel.domain import templates
from satchel.domain.errors import (
    NOT_REQUIRED,
    NOT_SUPPORTED_YET,
    PARAMETER_INVALID,
    PARAMETER_MISSING,
    RECIPIENT_TYPE,
    TOO_LONG,
    Fault,
)
from satchel.domain.limits import CAPTION_CHARS, DAY, TEXT_CHARS
from satchel.domain.members import shown, text
from satchel.domain.numbers import wa_id

MEDIA_TYPES = ("audio", "document", "image", "sticker", "video")
CAPTIONED = ("document", "image", "video")
SUPPORTED = (*MEDIA_TYPES, "template", "text")
KNOWN = (*SUPPORTED, "contacts", "hsm", "interactive", "location")
LINK = re.compile(r"https?://[^\s/?#@\\]+(?:[/?#][^\s\x00-\x1f\x7f]*)?", re.IGNORECASE)
NAMED_LINK = re.compile(r"([A-Za-z_-]{1,200})/(https?://.*)", re.IGNORECASE | re.DOTALL)
LINK_CHARS = 2048
PERIOD = re.compile(r"P(?=.)(?:(\d{1,4})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?", re.ASCII)
LONGEST_TTL = 30 * DAY


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


def shown_link(link: str) -> str:
    """A link as people may see it: without its query and its credentials, which may be secrets."""
    try:
        parts = urlsplit(link)
    except ValueError:  # brackets that enclose no address: where its host ends nobody can say
        return f"{link.partition('://')[0]}://…"[:200]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def has_host(link: str) -> bool:
    """Whether a link can be taken apart, with a host in it and a port that exists."""
    try:
        parts = urlsplit(link)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def server_of(link: str) -> str:
    """Host and port of a link, in small letters; empty where it cannot be taken apart."""
    try:
        parts = urlsplit(link)
        return f"{(parts.hostname or '').rstrip('.')}:{parts.port or parts.scheme}"
    except ValueError:
        return ""


def parse(given: Any) -> Outgoing:
    """Check a decoded body. Raises `Fault` with what is wrong and how to put it right."""
    if not isinstance(given, dict):
        raise Fault(
            PARAMETER_INVALID, 'The body must be a JSON object such as {"to": "12025550111", "type": "image", "image": {"id": "…"}}.'
        )
    if (recipient_type := given.get("recipient_type")) not in (None, "individual"):  # a tuple: it may be unhashable
        raise Fault(RECIPIENT_TYPE, f'recipient_type {shown(recipient_type)} is not known: only "individual" is.')
    message = Outgoing(wa_id(text(given, "to", required=True) or ""), _kind(given), ttl=_ttl(given.get("ttl")))
    if message.type == "text":
        return _text_message(message, given)
    said = _section(given, message.type)
    if message.type != "template":
        return _with_media(message, message.type, said)
    header = templates.media_header(said)
    message = replace(message, template=said)
    return message if header is None else _with_media(replace(message, header=header.type), header.where, header.media)


def _kind(given: dict[str, Any]) -> str:
    kind = text(given, "type") or "text"
    if given.get("type") is None and given.get("text") is None:
        raise Fault(PARAMETER_MISSING, f"type is missing: say what is sent, one of {', '.join(SUPPORTED)}.")
    if kind not in KNOWN:
        raise Fault(PARAMETER_INVALID, f"type {shown(kind)} is not known: use one of {', '.join(SUPPORTED)}.")
    if kind not in SUPPORTED:
        raise Fault(NOT_SUPPORTED_YET, f'type "{kind}" is not supported: this node sends {", ".join(SUPPORTED)}.')
    return kind


def _text_message(message: Outgoing, given: dict[str, Any]) -> Outgoing:
    said = _section(given, "text")
    body = text(said, "body", "text", required=True) or ""
    if not body:
        raise Fault(PARAMETER_INVALID, "text.body is empty: give what the recipient is to read.")
    if len(body) > TEXT_CHARS:
        raise Fault(TOO_LONG, f"text.body has {len(body)} characters; the limit is {TEXT_CHARS}.")
    preview = given.get("preview_url") if given.get("preview_url") is not None else said.get("preview_url")
    if not isinstance(preview, bool | None):
        raise Fault(PARAMETER_INVALID, f"preview_url must be true or false, not {shown(preview)}.")
    return replace(message, text=body, preview_url=bool(preview))


def _section(given: dict[str, Any], kind: str) -> dict[str, Any]:
    said, example = given.get(kind), {"text": '{"body": "…"}', "template": '{"name": "…", "language": {"code": "en"}}'}
    such = example.get(kind, '{"id": "<media id>"}')
    if said is None:
        raise Fault(PARAMETER_MISSING, f'{kind} is missing: a message of type "{kind}" needs {{"{kind}": {such}}}.')
    if not isinstance(said, dict):
        raise Fault(PARAMETER_INVALID, f"{kind} must be an object such as {such}.")
    return said


def _with_media(message: Outgoing, where: str, said: dict[str, Any]) -> Outgoing:
    media_id, link = text(said, "id", where), text(said, "link", where)
    if media_id and link:
        raise Fault(PARAMETER_INVALID, f"{where} has both id and link: give one of them.")
    if not media_id and not link:
        raise Fault(PARAMETER_MISSING, f"{where} has neither id nor link: upload the file with POST /v1/media and send the id it answers.")
    provider = None
    if link:
        link, provider = _link(link, _provider(said, where), where)
    caption = _caption(message, said, where)
    filename = text(said, "filename", where) if message.media_type == "document" else None
    return replace(message, media_id=media_id or None, link=link or None, provider=provider, caption=caption, filename=filename)


def _link(link: str, provider: str | None, where: str) -> tuple[str, str | None]:
    """The address, and the provider, which an early form of links carries in front."""
    if link.lower().startswith("data:"):
        raise Fault(PARAMETER_INVALID, f"{where}.link holds the bytes themselves: upload them with POST /v1/media and send the id.")
    if named := NAMED_LINK.fullmatch(link):
        provider, link = provider or named[1], named[2]
    if len(link) > LINK_CHARS or not LINK.fullmatch(link) or not has_host(link):
        such = "such as https://example.com/bill.pdf"
        raise Fault(PARAMETER_INVALID, f"{where}.link must be an http:// or https:// address of at most {LINK_CHARS} characters, {such}.")
    return link, provider


def _provider(said: dict[str, Any], where: str) -> str | None:
    """Its name; the documents show an object, some a plain string."""
    given = said.get("provider")
    if isinstance(given, dict):
        return text(given, "name", f"{where}.provider", required=True)
    return text(said, "provider", where) or None


def _caption(message: Outgoing, said: dict[str, Any], where: str) -> str | None:
    caption = text(said, "caption", where)
    if caption and (message.header or message.type not in CAPTIONED):
        raise Fault(NOT_REQUIRED, f"{where}.caption cannot be: only {', '.join(CAPTIONED)} have a caption. Leave it out.")
    if caption is not None and len(caption) > CAPTION_CHARS:
        raise Fault(TOO_LONG, f"{where}.caption has {len(caption)} characters; the limit is {CAPTION_CHARS}.")
    return caption if message.type in CAPTIONED else None


def _ttl(given: Any) -> float | None:
    """Seconds as a number or as text, or a duration such as P4D."""
    if given is None:
        return None
    seconds = -1.0
    if isinstance(given, int) and not isinstance(given, bool):
        seconds = float(given) if abs(given) < 1 << 40 else -1.0
    elif isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 10:
        seconds = float(given)
    elif isinstance(given, str) and (found := PERIOD.fullmatch(given)):
        seconds = sum(int(amount or 0) * unit for amount, unit in zip(found.groups(), (DAY, 3600.0, 60.0, 1.0), strict=True))
    if not 0 < seconds <= LONGEST_TTL:
        raise Fault(PARAMETER_INVALID, f"ttl must be a number of seconds up to 30 days, or a duration such as P4D, not {shown(given)}.")
    return seconds
