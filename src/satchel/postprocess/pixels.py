"""From the bytes of a picture to pixels that can be encoded: 8 bits, grey, RGB or RGBA, no more of them than asked for.

Runs inside the child only, on pictures whose header has been judged. Nothing here holds a second copy of a large picture: it is made
smaller, and rid of its transparency, strip by strip.
"""

import io
import math
from collections.abc import Callable

from PIL import Image, ImageCms

from satchel.postprocess import held, jpeg, png, webp

STRIP = 250_000
"""Pixels worked on together: they fit the processor's cache."""

FORMATS = {"jpeg": (jpeg, "JPEG"), "png": (png, "PNG"), "webp": (webp, "WEBP")}
SRGB = ImageCms.createProfile("sRGB")
Size = tuple[int, int]
Factor = Callable[[Size], int]
"""The whole number by which the sides of a picture of this size are divided."""


def decoded(data: memoryview, form: str, draft: Factor) -> Image.Image:
    """All pixels of a picture; a JPEG is decoded smaller, by at most the factor, at less cost."""
    picture = held.take(data) or loaded(data, form, draft)
    if form == "png" and picture.mode != "P" and "transparency" in picture.info:
        picture.info["transparency"] = key_of_eight_bits(png.header(data))
    return picture


def loaded(data: memoryview, form: str, draft: Factor) -> Image.Image:
    """See `decoded`."""
    parser, name = FORMATS[form]
    picture = Image.open(io.BytesIO(parser.strip(data, bare=True)), formats=(name,))
    if form == "jpeg" and (factor := draft(picture.size)) > 1:
        picture.draft(None, (math.ceil(picture.width / factor), math.ceil(picture.height / factor)))
    picture.load()
    return picture


def key_of_eight_bits(header: png.Header) -> int | tuple[int, ...]:
    """The colour that stands for transparency, as Pillow has it after it made eight bits of each sample."""
    samples = [int.from_bytes(header.transparency[at : at + 2], "big") for at in range(0, len(header.transparency), 2)]
    if header.bits == 16:
        scaled = [sample >> 8 for sample in samples]
    else:
        scaled = [sample * 255 // ((1 << header.bits) - 1) for sample in samples]
    return scaled[0] if len(scaled) == 1 else tuple(scaled)


def rebuilt(picture: Image.Image, factor_of: Factor, piece: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture with `piece` done to each strip of it, and its sides divided by a factor."""
    (width, height), factor = picture.size, factor_of(picture.size)
    if factor == 1 and picture.mode in ("L", "RGB") and not picture.has_transparency_data:
        return piece(picture)
    rows = factor * max(1, STRIP // (width * factor))
    result: Image.Image | None = None
    for top in range(0, height, rows):
        strip = piece(picture.crop((0, top, width, min(top + rows, height))))
        strip = strip.reduce(factor) if factor > 1 else strip
        result = result or Image.new(strip.mode, (math.ceil(width / factor), math.ceil(height / factor)))
        result.paste(strip, (0, top // factor))
    assert result
    return result


def opaque(strip: Image.Image, background: str, space: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """Grey or RGB, 8 bits, on the background."""
    strip = eight_bits(strip, space)
    if strip.mode != "RGBA":
        return strip
    behind = Image.new("RGB", strip.size, background)
    behind.paste(strip.convert("RGB"), mask=strip)
    return behind


def clear(strip: Image.Image, space: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """RGBA, 8 bits."""
    return eight_bits(strip, space).convert("RGBA")


def eight_bits(strip: Image.Image, space: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """Grey, RGB or, where pixels are transparent, RGBA."""
    if strip.mode in ("1", "I;16"):
        key = strip.info.get("transparency")
        strip = strip.convert("L") if strip.mode == "1" else strip.convert("I").point(lambda level: level * (1 / 256)).convert("L")
        strip.info = {} if key is None else {"transparency": key}
    if strip.has_transparency_data:
        return strip.convert("RGBA")
    if space and strip.mode == "CMYK":
        return ImageCms.applyTransform(strip, space) or strip.convert("RGB")
    return strip.convert("L" if strip.mode == "L" else "RGB")


def cmyk_to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """None where the profile does not tell: then inks are mixed by the simplest of formulas."""
    if profile[16:20] != b"CMYK":
        return None
    try:
        return ImageCms.buildTransform(io.BytesIO(profile), SRGB, "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
