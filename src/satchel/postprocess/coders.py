"""Which coders the FFmpeg that came with PyAV has: builds differ, so it is asked at run time and never assumed. Decodes nothing."""

from av.codec.codec import Codec, UnknownCodecError

WANTED = {"H.264": ("libx264", "libopenh264"), "AAC": ("aac",), "Opus": ("libopus",)}
"""What a repair makes, and the encoders that make it, the better one first."""


def available() -> dict[str, str | None]:
    """For each of `WANTED` the encoder that is used, or None where this FFmpeg has none."""
    return {what: next(filter(_exists, names), None) for what, names in WANTED.items()}


def needed(what: str) -> str:
    """The encoder for one of `WANTED`. Raises ImportError, for it is the installation that lacks something and not the file."""
    if name := available()[what]:
        return name
    raise ImportError(f"this FFmpeg has no encoder for {what} ({' or '.join(WANTED[what])}): install a PyAV whose FFmpeg has one")


def _exists(name: str) -> bool:
    try:
        Codec(name, "w")
    except UnknownCodecError:
        return False
    return True
