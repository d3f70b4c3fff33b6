"""What a media is, and what was found inside a file. Judged by content, never by a declared mime."""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Media:
    """A row of the media table. `sha256`: 64 hexadecimal digits; `size`: bytes; `stamp`: of the file when it was last hashed."""

    id: str
    mime: str
    size: int
    sha256: str
    stamp: str


@dataclass(frozen=True)
class Stream:
    """One stream of a recording. `codec`: FFmpeg's name, such as h264, aac, opus; `pixels`: its pixel format; `rate`: samples a second."""

    kind: str
    codec: str
    profile: str = ""
    pixels: str = ""
    width: int = 0
    height: int = 0
    channels: int = 0
    rate: int = 0


@dataclass(frozen=True)
class Facts:
    """What a probe found. `format`: "jpeg", "png", "webp", "mp4", "ogg", … or "unknown"; `width`, `height`: pixels as stored, 0 for none.

    `lacks`: what is wrong with it whatever it is sent as, in words; `beyond`: those of them no repair mends, for which nothing was decoded.
    `size`: bytes; of a picture, those it has without its metadata, 0 when it was not decoded. `bare`: it has none.
    `streams`, `seconds`: of a recording.
    """

    format: str
    mime: str
    width: int = 0
    height: int = 0
    lacks: tuple[str, ...] = ()
    transparent: bool = False
    animated: bool = False
    streams: tuple[Stream, ...] = ()
    seconds: float = 0.0
    size: int = 0
    beyond: tuple[str, ...] = ()
    bare: bool = False


@dataclass(frozen=True)
class Rendered:
    """What post-processing made of a file. `size`: bytes; `sha256`: hexadecimal; `mime`: of the result."""

    mime: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Rendition:
    """What goes out for some bytes as a media type. `file`: its name under renditions/, None where the original itself goes out.

    `media_key`: 32 bytes that belong to exactly these bytes for ever; kept out of every repr.
    """

    id: str
    source_sha256: str
    media_type: str
    profile: str
    file: str | None
    mime: str
    size: int
    sha256: str
    media_key: bytes = field(repr=False)


@dataclass(frozen=True)
class Refusal:
    """Why some bytes cannot go out as a media type: the situation's slug and the sentence for the business."""

    id: str
    source_sha256: str
    media_type: str
    profile: str
    slug: str
    details: str


TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
MIME = re.compile(rf'{TOKEN}/{TOKEN}(?:\s*;\s*(?:{TOKEN}=(?:{TOKEN}|"[ !#-~]*"))?)*\s*', re.ASCII)


def is_mime(given: str) -> bool:
    """Whether it is a media type as headers carry it, with or without parameters, of at most 255 characters."""
    return len(given) <= 255 and MIME.fullmatch(given) is not None


def advice(mime: str, media_type: str) -> str:
    """What to do with a file that was sent as the wrong media type."""
    kind = mime.partition("/")[0]
    return f"send it as {kind}" if kind in {"audio", "image", "video"} and kind != media_type else "send it as a document"
