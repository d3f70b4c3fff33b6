"""Files that clients upload and phones send: small, each with bytes of its own."""

import io
import random
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Body:
    """`type`: the message type it is for; `raw`: it goes out as it is."""

    type: str
    mime: str
    data: bytes
    raw: bool


def jpeg(dice: random.Random) -> Body:
    """Goes out as it is, or nearly: whatever post-processing thinks of it."""
    return Body("image", "image/jpeg", _saved(_noise(dice, "RGB", 40, 120), "JPEG", quality=80), raw=False)


def transparent(dice: random.Random) -> Body:
    """A picture that must be made anew."""
    return Body("image", "image/png", _saved(_noise(dice, "RGBA", 30, 60), "PNG"), raw=False)


def webp(dice: random.Random) -> Body:
    """No image format of the page: re-encoded, too."""
    return Body("image", "image/webp", _saved(_noise(dice, "RGB", 30, 90), "WEBP", quality=70), raw=False)


def document(dice: random.Random) -> Body:
    return Body("document", "application/octet-stream", dice.randbytes(dice.randrange(100, 60_000)), raw=True)


def any_body(dice: random.Random) -> Body:
    """Mostly pictures."""
    return dice.choices([jpeg, transparent, webp, document], weights=[5, 2, 1, 2])[0](dice)


def _noise(dice: random.Random, mode: str, least: int, most: int) -> Image.Image:
    size = dice.randrange(least, most), dice.randrange(least, most)
    return Image.frombytes(mode, size, dice.randbytes(size[0] * size[1] * len(mode)))


def _saved(image: Image.Image, format_: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()
