"""From a message on a phone to its bubble: kind, caption or label, media and ticks, as Android or iPhone shows them. Pure."""

import unicodedata

from .blocks import Bubble, Shown, Ticks
from .clock import rfc3339
from .copies import token_of
from .envelope import Envelope
from .messages import Message

ANDROID_LABEL = 30
"""Characters of a document's label that Android shows, the ellipsis included. One line is known; how long it is, is a guess."""
UNTITLED = "Untitled"
_JOINER = "\u200d"
KINDS = ("text", "image", "video", "document", "sticker", "template")


def bubble(message: Message, system: str, state: str, expires: float | None) -> Bubble:
    """`system`: android or iphone; `state`: of its media, as far as it has one; `expires`: the end of the server's copy, network time."""
    envelope, kind = message.envelope, _kind(message.envelope)
    label, cut, why = _label(envelope, kind, system)
    return Bubble(
        kind=kind,
        id=message.id,
        sender=envelope.sender,
        at=rfc3339(message.at),
        text=envelope.text,
        caption=None if kind == "document" or not (envelope.caption or "").strip() else envelope.caption,
        label=label,
        label_cut=cut,
        media=_media(message, state, expires),
        waveform=envelope.media.waveform if envelope.media and kind == "voice" else None,
        ticks=_ticks(message),
        why=why,
    )


def _kind(envelope: Envelope) -> str:
    if envelope.type == "audio" and envelope.media is not None:
        is_ogg = envelope.media.mime_type.partition(";")[0].strip().lower() == "audio/ogg"
        return "voice" if envelope.ptt or is_ogg else "audio"
    return envelope.type if envelope.type in KINDS else "unsupported"


def _label(envelope: Envelope, kind: str, system: str) -> tuple[str | None, bool | None, list[str]]:
    """The name that a card bears, whether it was cut, and why it is this one."""
    if kind == "template":
        return str((envelope.template or {}).get("name") or UNTITLED), None, ["a template is named: its text is not known here"]
    if kind in ("voice", "audio"):
        return None, None, ["Ogg with Opus is a voice note" if kind == "voice" else "audio other than Ogg is played as a file"]
    if kind == "unsupported":
        return envelope.type, None, [f"phones show nothing of the type {envelope.type}"]
    if kind != "document":
        return None, None, []
    caption = (envelope.caption or "").strip()
    why = ["the caption replaces the file name"] if caption else ["there is no caption: the file name is shown"]
    name = caption or (envelope.filename or "").strip() or UNTITLED
    if system != "android":
        return name, False, why
    line = " ".join(name.split())
    if len(line) <= ANDROID_LABEL:
        return line, False, why
    return cut(line, ANDROID_LABEL), True, [*why, f"Android shows {ANDROID_LABEL} characters of it"]


def cut(line: str, length: int) -> str:
    """The first characters of a longer line and an ellipsis, `length` in all; fewer where it would part an emoji or a syllable."""
    end = length - 1
    while end and _parts(line, end):
        end -= 1
    return line[: end or length - 1].rstrip() + "…"


def _parts(line: str, at: int) -> bool:
    """Whether a cut before this character would part what is drawn as one."""
    here, flags = line[at], 0
    while _is_flag(here) and flags < at and _is_flag(line[at - flags - 1]):
        flags += 1
    tied = unicodedata.category(here)[0] == "M" or here == _JOINER or line[at - 1] == _JOINER
    return tied or flags % 2 == 1 or "\U0001f3fb" <= here <= "\U0001f3ff" or "\u1160" <= here <= "\u11ff"


def _is_flag(character: str) -> bool:
    """Flags are written as two letters of a kind of their own."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _media(message: Message, state: str, expires: float | None) -> Shown | None:
    media = message.envelope.media
    if media is None:
        return None
    seen = state == "downloaded" and media.type in ("image", "sticker")
    return Shown(
        id=token_of(media.file_enc_sha256),
        state=state,
        mime_type=media.mime_type,
        size=media.file_length,
        thumb=f"/sandbox/phones/{message.phone}/messages/{message.id}/media" if seen else None,
        expires_at=None if expires is None else rfc3339(expires),
        reason=message.reason,
    )


def _ticks(message: Message) -> Ticks:
    """What became of it on this phone, also where the phone tells nobody."""
    if message.envelope.sender == message.phone:
        return "sent"
    if message.played_at is not None:
        return "played"
    return "delivered" if message.read_at is None else "read"
