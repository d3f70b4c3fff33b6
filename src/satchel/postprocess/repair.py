"""Repairs: a picture decoded and encoded anew, so that it may go out as an image (JPEG) or as a sticker (WebP).

Runs inside the child only, on pictures whose header has been judged. Nothing here holds a second copy of a large picture: it is made
smaller, and rid of its transparency, strip by strip. Of metadata only the colour profile survives; the orientation is carried out.
"""

import io
import math
from collections.abc import Callable

from PIL import Image, ImageCms

from satchel.domain.pictures import SIDE
from satchel.domain.plans import Plan
from satchel.postprocess import jpeg, png, webp
from satchel.postprocess.broken import Unfit

MOST_PIXELS, MOST_SIDE = 50_000_000, 65_000
"""What is encoded has at most so many pixels, since more would not fit below a ceiling, and so many in a row or column, JPEG's limit."""

QUALITIES = (85, 75, 60, 45)
SHRUNK_QUALITY = 75
"""Where even the last of the qualities does not fit, the picture is made smaller, at a quality that is worth its bytes."""

PROFILE_SHARE = 8
"""A colour profile may take this part of the ceiling; without one, colours count as sRGB."""

STRIP = 1_000_000
FORMATS = {"jpeg": (jpeg, "JPEG"), "png": (png, "PNG"), "webp": (webp, "WEBP")}
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SRGB = ImageCms.createProfile("sRGB")
Encode = Callable[[Image.Image, int], bytes]


def to_image(data: memoryview, form: str, plan: Plan) -> bytes:
    """A JPEG of at most `plan.most` bytes: opaque, upright, 8 bits, grey or RGB; of an animation, its first picture."""
    parser = FORMATS[form][0]
    profile = parser.profile(data)
    picture = decoded(data, form, 0)
    space = cmyk_to_srgb(profile) if picture.mode == "CMYK" else None
    flat = rebuilt(picture, shrink_factor(picture.size), lambda strip: opaque(strip, plan.background, space))
    flat = upright(flat, parser.orientation(data))
    kept = fitting_profile(profile, flat.mode, plan.most)
    return fitted(flat, lambda small, quality: saved(small, "JPEG", quality=quality, icc_profile=kept), plan.most)


def to_sticker(data: memoryview, form: str, plan: Plan) -> bytes:
    """A WebP of 512 × 512 pixels and at most `plan.most` bytes: all of the picture, upright, with a transparent margin."""
    parser = FORMATS[form][0]
    profile = parser.profile(data)
    picture = decoded(data, form, 2 * SIDE)
    space = cmyk_to_srgb(profile) if picture.mode == "CMYK" else None
    small = rebuilt(picture, max(1, max(picture.size) // (2 * SIDE)), lambda strip: clear(strip, space))
    small = upright(small, parser.orientation(data))
    kept = fitting_profile(profile, "RGB", plan.most)
    inner = small.resize(inside(small.size, SIDE), Image.Resampling.LANCZOS)
    return fitted(inner, lambda part, quality: saved(on_canvas(part), "WEBP", quality=quality, icc_profile=kept), plan.most)


def decoded(data: memoryview, form: str, enough: int) -> Image.Image:
    """All pixels. A JPEG too large to be encoded is decoded smaller, and where `enough` pixels of its longer side are, down to those."""
    parser, name = FORMATS[form]
    picture = Image.open(io.BytesIO(parser.strip(data, bare=True)), formats=(name,))
    if form == "jpeg":
        factor = max(picture.size) // enough if enough else shrink_factor(picture.size)
        if factor > 1:
            picture.draft(None, (math.ceil(picture.width / factor), math.ceil(picture.height / factor)))
    picture.load()
    return picture


def shrink_factor(size: tuple[int, int]) -> int:
    """The whole number by which a picture's sides are divided before it is encoded."""
    return max(1, math.ceil(math.sqrt(size[0] * size[1] / MOST_PIXELS)), math.ceil(max(size) / MOST_SIDE))


def rebuilt(picture: Image.Image, factor: int, piece: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture with `piece` done to each strip of it, and its sides divided by `factor`."""
    width, height = picture.size
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
    if strip.has_transparency_data and strip.mode != "I;16":
        strip = strip.convert("RGBA")
        behind = Image.new("RGBA", strip.size, background)
        behind.alpha_composite(strip)
        return behind.convert("RGB")
    return eight_bits(strip, space)


def clear(strip: Image.Image, space: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """RGBA, 8 bits."""
    if strip.has_transparency_data and strip.mode != "I;16":
        return strip.convert("RGBA")
    return eight_bits(strip, space).convert("RGBA")


def eight_bits(strip: Image.Image, space: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """Grey or RGB of what has no transparency."""
    if strip.mode == "I;16":
        return strip.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    if space and strip.mode == "CMYK":
        return ImageCms.applyTransform(strip, space) or strip.convert("RGB")
    return strip.convert("L" if strip.mode in ("1", "L") else "RGB")


def cmyk_to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """None where the profile does not tell: then inks are mixed by the simplest of formulas."""
    if profile[16:20] != b"CMYK":
        return None
    try:
        return ImageCms.buildTransform(io.BytesIO(profile), SRGB, "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def fitting_profile(profile: bytes, mode: str, most: int) -> bytes:
    """The profile, where it describes the colours of this mode and leaves room for the picture."""
    describes = profile[16:20] == (b"GRAY" if mode == "L" else b"RGB ")
    return profile if describes and len(profile) <= most // PROFILE_SHARE else b""


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def inside(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The largest size of this shape within a square."""
    longer = max(size)
    return max(1, round(size[0] * side / longer)), max(1, round(size[1] * side / longer))


def on_canvas(picture: Image.Image) -> Image.Image:
    if picture.size == (SIDE, SIDE):
        return picture
    canvas = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    canvas.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return canvas


def fitted(picture: Image.Image, encode: Encode, most: int) -> bytes:
    """The first of the qualities that fits; else the picture smaller and smaller until it does. Raises `Unfit`."""
    sizes = {}
    for quality in QUALITIES:
        data = encode(picture, quality)
        if len(data) <= most:
            return data
        sizes[quality] = len(data)
    scale, size = 1.0, sizes[SHRUNK_QUALITY]
    while max(picture.width, picture.height) * scale > 1:
        scale *= min(0.9, 0.97 * math.sqrt(most / size))
        smaller = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
        data = encode(picture.resize(smaller, Image.Resampling.LANCZOS, reducing_gap=2.0), SHRUNK_QUALITY)
        if len(data) <= most:
            return data
        size = len(data)
    raise Unfit(f"not even one pixel of it fits into {most} bytes")


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()
