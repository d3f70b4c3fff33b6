"""Whether a picture has transparent pixels, which only a decode tells. Runs inside the child only; the header must have been judged."""

import io

from PIL import Image

from satchel.postprocess import held, png, webp

STRIP = 1_000_000
"""Pixels looked at together: a copy of the whole picture would not fit a child's memory."""


def of_png(data: memoryview, header: png.Header) -> bool:
    """Decodes only what may be transparent."""
    if header.colour not in png.ALPHA and not header.transparency:
        return False
    with Image.open(io.BytesIO(png.strip(data, bare=True)), formats=("PNG",)) as picture:
        picture.load()
        held.keep(data, picture)
        if header.colour in png.ALPHA:
            return picture.getchannel("A").getextrema()[0] != 255
        return _uses_transparency(picture, header)


def of_webp(data: memoryview) -> bool:
    """Decodes in any case, to the end, which proves that the picture is whole."""
    with Image.open(io.BytesIO(webp.strip(data, bare=True)), formats=("WEBP",)) as picture:
        picture.load()
        held.keep(data, picture)
        return "A" in picture.getbands() and picture.getchannel("A").getextrema()[0] != 255


def _uses_transparency(picture: Image.Image, header: png.Header) -> bool:
    """Whether a pixel has the colour, or the palette entry, that tRNS makes transparent."""
    key = header.transparency
    if header.colour == png.PALETTE:
        return any(count and alpha < 255 for count, alpha in zip(picture.histogram(), key, strict=False))
    if header.bits == 16:
        return True  # a key of 16 bits cannot be compared with what is left of the pixels: flattened either way, no harm
    if header.colour == png.GREY:
        level = int.from_bytes(key[:2], "big") * 255 // ((1 << header.bits) - 1)
        return len(key) == 2 and level < 256 and picture.convert("L").histogram()[level] > 0
    return len(key) == 6 and _has_colour(picture, (key[1], key[3], key[5]))


def _has_colour(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    """Row by row in strips of a megapixel or so."""
    rows = max(1, STRIP // picture.width)
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        strip.info["transparency"] = colour
        if strip.convert("RGBA").getchannel("A").getextrema()[0] != 255:
            return True
    return False
