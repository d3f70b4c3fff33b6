"""Repairs: a picture decoded and encoded anew, so that it may go out as an image (JPEG) or as a sticker (WebP).

Runs inside the child only, on pictures whose header has been judged. Of metadata only the colour profile survives; the orientation is
carried out.
"""

import io
import math
from collections.abc import Callable

from PIL import Image

from satchel.domain.pictures import SIDE
from satchel.domain.plans import Plan
from satchel.postprocess.broken import Unfit
from satchel.postprocess.pixels import FORMATS, Size, clear, cmyk_to_srgb, decoded, opaque, rebuilt

MOST_PIXELS, MOST_SIDE = 50_000_000, 65_000
"""What is encoded has at most so many pixels, since more would not fit below a ceiling, and so many in a row or column, JPEG's limit."""

QUALITIES = (85, 75, 60, 45)
SHRUNK_QUALITY = 75
"""Where even the last of the qualities does not fit, the picture is made smaller, at a quality that is worth its bytes."""

PROFILE_SHARE = 8
"""A colour profile may take this part of the ceiling; without one, colours count as sRGB."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Encode = Callable[[Image.Image, int], bytes]


def to_image(data: memoryview, form: str, plan: Plan) -> bytes:
    """A JPEG of at most `plan.most` bytes: opaque, upright, 8 bits, grey or RGB; of an animation, its first picture."""
    parser = FORMATS[form][0]
    profile = parser.profile(data)
    space = cmyk_to_srgb(profile)
    flat = rebuilt(decoded(data, form, image_factor), image_factor, lambda strip: opaque(strip, plan.background, space))
    flat = upright(flat, parser.orientation(data))
    kept = fitting_profile(profile, flat.mode, plan.most)
    return fitted(flat, lambda small, quality: saved(small, "JPEG", quality=quality, icc_profile=kept), plan.most)


def to_sticker(data: memoryview, form: str, plan: Plan) -> bytes:
    """A WebP of 512 × 512 pixels and at most `plan.most` bytes: all of the picture, upright, with a transparent margin."""
    parser = FORMATS[form][0]
    profile = parser.profile(data)
    space = cmyk_to_srgb(profile)
    small = rebuilt(decoded(data, form, draft_factor), sticker_factor, lambda strip: clear(strip, space))
    small = upright(small, parser.orientation(data))
    kept = fitting_profile(profile, "RGB", plan.most)
    inner = small.resize(inside(small.size, SIDE), Image.Resampling.LANCZOS)
    return fitted(inner, lambda part, quality: saved(on_canvas(part), "WEBP", quality=quality, icc_profile=kept), plan.most)


def image_factor(size: Size) -> int:
    """The whole number by which a picture's sides are divided before it is encoded as an image."""
    return max(1, math.ceil(math.sqrt(size[0] * size[1] / MOST_PIXELS)), math.ceil(max(size) / MOST_SIDE))


def draft_factor(size: Size) -> int:
    """The same while a JPEG is decoded for a sticker, which costs no sharpness."""
    return max(1, max(size) // (SIDE * 3 // 2))


def sticker_factor(size: Size) -> int:
    """The same before it is encoded as a sticker: what is left is at least twice as large, so that nothing of it shows."""
    return max(1, max(size) // (2 * SIDE))


def fitting_profile(profile: bytes, mode: str, most: int) -> bytes:
    """The profile, where it describes the colours of this mode and leaves room for the picture."""
    describes = profile[16:20] == (b"GRAY" if mode == "L" else b"RGB ")
    return profile if describes and len(profile) <= most // PROFILE_SHARE else b""


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Turned as its orientation (EXIF, 1 to 8) says."""
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def inside(size: Size, side: int) -> Size:
    """The largest size of this shape within a square."""
    longer = max(size)
    return max(1, round(size[0] * side / longer)), max(1, round(size[1] * side / longer))


def on_canvas(picture: Image.Image) -> Image.Image:
    """In the middle of a transparent square of a sticker's size."""
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
    """The bytes of the picture in a format of Pillow's."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()
