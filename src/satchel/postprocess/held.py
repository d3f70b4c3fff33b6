"""One decoded picture, from a probe that had to decode it to the rendition of the same bytes that most often follows. In the child only.

Nobody is promised anything: another file in between, or another child, and the picture is decoded again.
"""

import hashlib

from PIL import Image

MOST_PIXELS = 16_000_000
"""An idle child holds no more."""

_held: list[tuple[bytes, Image.Image]] = []


def keep(data: memoryview, picture: Image.Image) -> None:
    """Hold this picture, and no other, as what these bytes decode to."""
    _held.clear()
    if picture.width * picture.height <= MOST_PIXELS:
        _held.append((hashlib.sha256(data).digest(), picture))


def take(data: memoryview) -> Image.Image | None:
    """What these bytes decoded to, if that is known; nothing is held any more."""
    key, picture = _held.pop() if _held else (b"", None)
    return picture if key == hashlib.sha256(data).digest() else None


def drop() -> None:
    """Hold nothing."""
    _held.clear()
