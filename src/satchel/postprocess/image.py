"""The handler of the pictures' children: what a probe and a rendition do to a JPEG, PNG or WebP. Runs inside the child only.

The header is judged first; a picture it already rules out is never decoded. Pillow gets the bare picture: metadata could inflate
beyond all bounds, and make it import modules, which a child cannot.
"""

import base64
import io
import math
import warnings

from PIL import Image, WebPImagePlugin

from satchel.domain.media import Facts
from satchel.domain.plans import Plan
from satchel.postprocess import held, jpeg, png, repair, transparency, webp
from satchel.postprocess.broken import Broken

MEGA = 1_000_000
DECODABLE = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}

Image.MAX_IMAGE_PIXELS = None  # Ours is judged from the header, before Pillow is called; Pillow's own would only warn.
Image.preinit()
assert WebPImagePlugin.SUPPORTED
warnings.simplefilter("ignore")  # Printing a warning would read source files, which a child cannot.

JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/"
    "2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAIABADASIAAhEBAxEB/8QA"
    "FQABAQAAAAAAAAAAAAAAAAAAAAT/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFAEBAAAAAAAAAAAAAAAAAAAABP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAM"
    "AwEAAhEDEQA/AIQDRX//2Q=="
)
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAABAAAAAICAYAAADwdn+XAAAAGUlEQVR42mOUi1rwn4ECwMRAIRg1YDAYAABKjgInxijLCAAAAABJRU5ErkJggg==")


def self_test() -> None:
    """Decode one picture of each format, and encode it anew as a job does. Raises whatever is missing: a library, a plug-in, memory."""
    sticker = repair.to_sticker(memoryview(PNG), "png", Plan("sticker", "convert", "image/webp", 10_000))
    for form, data in (("jpeg", JPEG), ("png", PNG), ("webp", sticker)):
        found = probe(memoryview(data), form, DECODABLE[form], max_pixels=1_000_000)
        if found.lacks or found.width != (512 if form == "webp" else 16):
            raise RuntimeError(f"the built-in {form} came out as {found}")
        repair.to_image(memoryview(data), form, Plan("image", "convert", "image/jpeg", 10_000))


def probe(data: memoryview, form: str, mime: str, max_pixels: int) -> Facts:
    """Judge a picture by its header and then, unless that rules it out, by decoding it. Raises `Broken` and whatever Pillow raises."""
    held.drop()
    match form:
        case "jpeg":
            return _probe_jpeg(data, max_pixels)
        case "png":
            return _probe_png(data, max_pixels)
        case _:
            return _probe_webp(data, max_pixels)


def render(data: memoryview, form: str, plan: Plan, max_pixels: int) -> tuple[str, bytes]:
    """The same picture without metadata, which is not decoded: that is what a probe is for; or another that fits. Raises `Broken`."""
    if plan.action == "convert":
        if beyond := _judged(data, form, max_pixels):
            raise Broken("; ".join(beyond))
        convert = repair.to_image if plan.media_type == "image" else repair.to_sticker
        return str(plan.mime), convert(data, form, plan)
    strip = {"jpeg": jpeg.strip, "png": png.strip, "webp": webp.strip}[form]
    return DECODABLE[form], strip(data)


def _judged(data: memoryview, form: str, max_pixels: int) -> tuple[str, ...]:
    """What rules a picture out before it is decoded."""
    match form:
        case "jpeg":
            found = jpeg.header(data)
            return (*found.beyond, *_over(found.width, found.height, max_pixels))
        case "png":
            size = png.header(data)
            return _over(size.width, size.height, max_pixels)
        case _:
            canvas = webp.header(data)
            return _over(canvas.width, canvas.height, max_pixels, share=2)


def _over(width: int, height: int, max_pixels: int, share: int = 1) -> tuple[str, ...]:
    """`share`: a WebP needs twice the memory of others, so it may have half the pixels."""
    pixels, most = width * height, max_pixels // share
    if pixels < most:
        return ()
    setting = "half of SATCHEL_POSTPROCESS__MAX_PIXELS" if share == 2 else "SATCHEL_POSTPROCESS__MAX_PIXELS"
    return (f"{math.ceil(pixels * 10 / MEGA) / 10:.1f} megapixels; the limit is {most / MEGA:.1f} ({setting})",)


def _probe_jpeg(data: memoryview, max_pixels: int) -> Facts:
    found, beyond = jpeg.header(data), _judged(data, "jpeg", max_pixels)
    lacks = (*found.lacks, *beyond)
    if beyond:
        return Facts("jpeg", "image/jpeg", found.width, found.height, lacks, beyond=beyond)
    stripped = jpeg.strip(data)
    _decode_jpeg(jpeg.strip(stripped, bare=True) if jpeg.is_tagged(memoryview(stripped)) else stripped)
    return Facts("jpeg", "image/jpeg", found.width, found.height, lacks, size=len(stripped), bare=stripped == data)


def _decode_jpeg(data: bytes) -> None:
    """Draft mode reads all of the entropy-coded data, and so finds whatever `load` finds, at half the cost."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        picture.draft("L", (1, 1))
        picture.load()


def _probe_png(data: memoryview, max_pixels: int) -> Facts:
    found, beyond = png.header(data), _judged(data, "png", max_pixels)
    if beyond:
        return Facts("png", "image/png", found.width, found.height, (*found.lacks, *beyond), beyond=beyond, animated=found.animated)
    stripped = png.strip(data, proven=True)
    size, bare, clear = len(stripped), stripped == data, transparency.of_png(data, found)
    return Facts("png", "image/png", found.width, found.height, found.lacks, clear, found.animated, size=size, bare=bare)


def _probe_webp(data: memoryview, max_pixels: int) -> Facts:
    """Of an animation the first picture is decoded."""
    found, beyond = webp.header(data), _judged(data, "webp", max_pixels)
    if beyond:
        return Facts("webp", "image/webp", found.width, found.height, beyond, beyond=beyond, animated=found.animated)
    clear, stripped = transparency.of_webp(data), webp.strip(data)
    return Facts("webp", "image/webp", found.width, found.height, (), clear, found.animated, size=len(stripped), bare=stripped == data)
