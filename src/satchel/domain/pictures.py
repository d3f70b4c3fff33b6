"""What becomes of a picture that is sent as an image or as a sticker: the rules of the media page. Pure."""

from typing import Literal

from satchel.domain.errors import CONTENT_MISMATCH, TYPE_NOT_ACCEPTED, Fault
from satchel.domain.media import Facts, advice
from satchel.domain.plans import Plan, Policy, too_large

IMAGES = {"jpeg": "image/jpeg", "png": "image/png"}
STICKER = "image/webp"
READABLE = {"jpeg", "png", "webp"}
"""Formats that a repair can decode."""

PICTURES = READABLE | {"gif", "bmp", "tiff", "heif", "avif", "jp2", "psd", "ico"}
SIDE = 512
"""Pixels: the width and the height of a sticker."""


def plan_image(facts: Facts, policy: Policy, most: int, background: str) -> Plan:
    """Keep a compliant one, without its metadata; convert another to JPEG. Raises `Fault`; see `plan`."""
    refuse_unreadable(facts, "an image must be image/jpeg or image/png", "image")
    why = list(facts.lacks)
    if facts.format not in IMAGES:
        why.append(f"{facts.mime}; images must be image/jpeg or image/png")
    if facts.transparent:
        why.append("transparent pixels; images must be opaque")
    if facts.animated:
        why.append("an animation; images must be still")
    if why and policy == "refuse":
        raise unacceptable(facts, "image", why)
    if not why and facts.size <= most:
        return Plan("image", _kept(facts), IMAGES[facts.format], most)
    if policy == "refuse":
        raise too_large(facts.size, "image")
    why += [too_large(facts.size, "image").details] if facts.size > most else []
    return Plan("image", "convert", "image/jpeg", most, tuple(why), background)


def plan_sticker(facts: Facts, policy: Policy, most: int) -> Plan:
    """Keep a compliant one, without its metadata; convert another still picture to WebP. Raises `Fault`; see `plan`."""
    refuse_unreadable(facts, f"a sticker must be {STICKER}", "sticker")
    if facts.animated:
        raise Fault(TYPE_NOT_ACCEPTED, f"This {facts.mime} is animated; stickers must be still: send a still picture.")
    why = list(facts.lacks)
    if facts.mime != STICKER:
        why.append(f"{facts.mime}; stickers must be {STICKER}")
    if (facts.width, facts.height) != (SIDE, SIDE):
        why.append(f"{facts.width} × {facts.height} pixels; stickers must have {SIDE} × {SIDE}")
    if why and policy == "refuse":
        raise unacceptable(facts, "sticker", why)
    if not why and facts.size <= most:
        return Plan("sticker", _kept(facts), STICKER, most)
    if policy == "refuse":
        raise too_large(facts.size, "sticker")
    why += [too_large(facts.size, "sticker").details] if facts.size > most else []
    return Plan("sticker", "convert", STICKER, most, tuple(why))


def _kept(facts: Facts) -> Literal["keep", "strip"]:
    return "keep" if facts.bare else "strip"


def refuse_unreadable(facts: Facts, must: str, media_type: str) -> None:
    """Raise `Fault` for what no repair can make a picture of: another kind of file, another format, or beyond our limits."""
    if facts.format not in PICTURES:
        found = facts.mime if facts.format != "unknown" else "no known file type"
        raise Fault(CONTENT_MISMATCH, f"Sent as {media_type}, found {found}: {advice(facts.mime, media_type)}.")
    if facts.format not in READABLE:
        raise Fault(TYPE_NOT_ACCEPTED, f"Found {facts.mime}; {must}: convert it, or send it as a document.")
    if facts.beyond:
        raise unacceptable(facts, media_type, facts.beyond)


def unacceptable(facts: Facts, media_type: str, why: list[str] | tuple[str, ...]) -> Fault:
    """Said of a file that cannot go out as this media type; `why`: the reasons."""
    article = "an" if media_type == "image" else "a"
    return Fault(
        TYPE_NOT_ACCEPTED,
        f"This {facts.mime} cannot go out as {article} {media_type}: {'; '.join(why)}. Convert it, or send it as a document.",
    )
