"""Phones and messages as the control API shows them, and the `match` that picks messages. No media key is ever among it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import get_args

import msgspec

from .agenda import Ran
from .clock import rfc3339
from .envelope import Type
from .errors import Refusal
from .messages import Message
from .mine import Mine
from .phone import Phone

Match = Callable[[Message], bool]
NAMES = ("type", "from", "state", "text")


def message(found: Message, under_way: bool = False, sent: Mine | None = None) -> dict[str, object]:
    """`under_way`: its media is on its way right now; `sent`: how far it has come, of a message that the phone has sent."""
    envelope, media = found.envelope, found.envelope.media
    shown: dict[str, object] = {
        "id": found.id,
        "from": envelope.sender,
        "type": envelope.type,
        "caption": envelope.caption,
        "filename": envelope.filename,
        "at": rfc3339(found.at),
        "read": found.read_at is not None,
        "media": None,
    }
    if sent is not None:
        shown |= {"mine": True, "to": envelope.to, "ticks": sent.ticks}
    if envelope.ptt:
        shown["voice"] = True
    if found.origin is not None:
        shown["forwarded"] = True
    if envelope.text is not None:
        shown["text"] = envelope.text
    if envelope.template is not None:
        shown["template"] = envelope.template
    if media is not None:
        facts = {"mime_type": media.mime_type, "size": media.file_length, "sha256": media.file_sha256.hex()}
        shown["media"] = {"state": "downloading" if under_way and found.state == "queued" else found.state, **facts}
        if found.reason is not None:
            shown["media"] = {"state": found.state, "reason": found.reason, **facts}
        if media.type in ("audio", "video"):
            shown["played"] = found.played_at is not None
    return shown


def phone(found: Phone, messages: int, waiting: int) -> dict[str, object]:
    """`messages`: how many it has; `waiting`: how many the server holds for it."""
    return {**asdict(found), "messages": messages, "waiting": waiting}


def ran(done: Ran) -> dict[str, object]:
    return {"at": rfc3339(done.at), "step": done.step, "message": done.message.id, "phone": done.message.phone}


def match(given: list[str]) -> Match:
    """`type=image`, `from=1202…`, `state=downloaded`, `text=bill` (in the text, caption, file name or template); all must fit."""
    wanted = [one.partition("=")[::2] for one in given]
    for name, value in wanted:
        if name not in NAMES or not value:
            raise Refusal(400, "invalid_match", f"A match is one of {', '.join(NAMES)}, with its value: match=type=image.")
        if name == "type" and value not in get_args(Type):
            raise Refusal(400, "invalid_match", f"No message has the type {value!r}: use {', '.join(get_args(Type))}.")
    return lambda found: all(_fits(found, name, value) for name, value in wanted)


def _fits(found: Message, name: str, value: str) -> bool:
    envelope = found.envelope
    if name == "text":
        template = msgspec.json.encode(envelope.template).decode() if envelope.template else None
        said = (envelope.text, envelope.caption, envelope.filename, template)
        return any(value.casefold() in part.casefold() for part in said if part)
    return value == {"type": envelope.type, "from": envelope.sender, "state": found.state}[name]
