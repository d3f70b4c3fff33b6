"""What a probe and a rendition do to a picture. Runs inside the child only: the one place where Pillow sees bytes from outside.

The header is judged first; a picture it already rules out is never decoded. Pillow gets the bare picture: metadata could inflate
beyond all bounds, and make it import modules, which a child cannot.
"""

import io
import math
import warnings
from dataclasses import dataclass

from PIL import Image

from satchel.postprocess import jpeg, png

MEGA = 1_000_000

Image.MAX_IMAGE_PIXELS = None  # Ours is judged from the header, before Pillow is called; Pillow's own would only warn.
Image.preinit()
warnings.simplefilter("ignore")  # Printing a warning would read source files, which a child cannot.


@dataclass(frozen=True)
class Look:
    """The facts of one picture. `width`, `height`: pixels as stored; `lacks`: why it cannot go out as it is."""

    width: int
    height: int
    lacks: tuple[str, ...]


def look(data: memoryview, kind: str, max_pixels: int) -> Look:
    """Judge a "jpeg" or "png" by its header alone. Raises `Broken`."""
    header = jpeg.header(data) if kind == "jpeg" else png.header(data)
    pixels = header.width * header.height
    lacks = header.lacks
    if pixels >= max_pixels:
        measured, limit = math.ceil(pixels * 10 / MEGA) / 10, max_pixels / MEGA
        lacks = (*lacks, f"{measured:.1f} megapixels; the limit is {limit:.1f} (SATCHEL_POSTPROCESS__MAX_PIXELS)")
    return Look(header.width, header.height, lacks)


def probe(data: memoryview, kind: str, max_pixels: int) -> Look:
    """Judge a picture by its header and then, unless that rules it out, by decoding it. Raises `Broken` and whatever Pillow raises."""
    found = look(data, kind, max_pixels)
    if found.lacks:
        return found
    if kind == "jpeg":
        _decode_jpeg(jpeg.strip(data, bare=True))
    elif _is_transparent(data):
        return Look(found.width, found.height, ("transparent pixels; images must be opaque",))
    return found


def render(data: memoryview, kind: str) -> bytes:
    """The same picture without metadata. Raises `Broken`; does not decode, which is what a probe is for."""
    return jpeg.strip(data) if kind == "jpeg" else png.strip(data)


def _decode_jpeg(data: bytes) -> None:
    """Draft mode reads all of the entropy-coded data, and so finds whatever `load` finds, at half the cost."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        picture.draft("L", (1, 1))
        picture.load()


def _is_transparent(data: memoryview) -> bool:
    """Prove that a PNG is whole, and say whether any pixel is transparent; only for that it needs a decode."""
    header, bare = png.header(data), png.strip(data, bare=True)
    png.prove(bare)
    if header.colour not in png.ALPHA and not header.transparency:
        return False
    with Image.open(io.BytesIO(bare), formats=("PNG",)) as picture:
        picture.load()
        if header.colour in png.ALPHA:
            return picture.getchannel("A").getextrema()[0] != 255
        return _uses_transparency(picture, header)


def _uses_transparency(picture: Image.Image, header: png.Header) -> bool:
    """Whether a pixel has the colour, or the palette entry, that tRNS makes transparent."""
    key = header.transparency
    if header.colour == png.PALETTE:
        return any(count and alpha < 255 for count, alpha in zip(picture.histogram(), key, strict=False))
    if header.colour == png.GREY:
        level = int.from_bytes(key[:2], "big") * 255 // ((1 << header.bits) - 1)
        return len(key) == 2 and level < 256 and picture.convert("L").histogram()[level] > 0
    return len(key) == 6 and _has_colour(picture, (key[1], key[3], key[5]))


def _has_colour(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    """Row by row in strips of a megapixel or so, for a copy of the whole picture would not fit a child's memory."""
    rows = max(1, MEGA // picture.width)
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        strip.info["transparency"] = colour
        if strip.convert("RGBA").getchannel("A").getextrema()[0] != 255:
            return True
    return False
