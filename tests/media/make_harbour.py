"""Makes `harbour.jpg`: a drawn photograph with everything a phone's camera writes around one. Not a test; run it to make the file anew.

A harbour at dusk, upright when turned as its EXIF says (orientation 6), with a position, a thumbnail, a maker note, an ICC profile,
XMP and a comment. The same bytes come out each time with the same Pillow.
"""

import io
import random
import struct
from pathlib import Path

from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFilter

WIDTH, HEIGHT, HORIZON = 900, 1200, 640
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/></x:xmpmeta>"
Entry = tuple[int, int, int, bytes]
"""Tag, type, count, value of one EXIF field."""


def harbour() -> Image.Image:
    """The scene, upright."""
    dice = random.Random(7)
    ramp = Image.linear_gradient("L").resize((WIDTH, HORIZON))
    sky = Image.composite(Image.new("RGB", ramp.size, (248, 178, 120)), Image.new("RGB", ramp.size, (40, 62, 110)), ramp)
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    picture.paste(sky, (0, 0))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((560, 500, 660, 600), fill=(255, 232, 180))
    hills(draw)
    houses(draw, dice)
    picture.paste(water(picture), (0, HORIZON))
    boats(ImageDraw.Draw(picture), dice)
    noise = Image.frombytes("L", picture.size, dice.randbytes(WIDTH * HEIGHT)).point([value // 12 for value in range(256)])
    return ImageChops.add(picture.filter(ImageFilter.GaussianBlur(0.8)), Image.merge("RGB", (noise, noise, noise)), offset=-10)


def hills(draw: ImageDraw.ImageDraw) -> None:
    for depth, colour in enumerate(((98, 96, 128), (70, 70, 98))):
        tops = [(x, HORIZON - 110 + depth * 40 + int(30 * ((x // 90 * 37 + depth * 11) % 7) / 7)) for x in range(0, WIDTH + 90, 90)]
        draw.polygon([(0, HORIZON), *tops, (WIDTH, HORIZON)], fill=colour)


def houses(draw: ImageDraw.ImageDraw, dice: random.Random) -> None:
    left = 20
    while left < WIDTH - 40:
        wide, high = dice.randint(36, 80), dice.randint(50, 120)
        shade = dice.choice(((96, 58, 52), (120, 104, 88), (62, 66, 78), (140, 90, 66)))
        draw.rectangle((left, HORIZON - high, left + wide, HORIZON), fill=shade)
        draw.polygon(
            [(left - 4, HORIZON - high), (left + wide // 2, HORIZON - high - 26), (left + wide + 4, HORIZON - high)], fill=(50, 34, 36)
        )
        for x in range(left + 8, left + wide - 10, 16):
            for y in range(HORIZON - high + 10, HORIZON - 14, 24):
                draw.rectangle((x, y, x + 7, y + 11), fill=(255, 214, 130) if dice.random() < 0.6 else (44, 46, 58))
        left += wide + dice.randint(0, 14)


def water(picture: Image.Image) -> Image.Image:
    """The shore upside down, darker, and shifted row by row."""
    mirror = picture.crop((0, HORIZON * 2 - HEIGHT, WIDTH, HORIZON)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    rippled = mirror.copy()
    for row in range(mirror.height):
        shift = int(6 * ((row * row // 40) % 5 - 2) / 2)
        rippled.paste(mirror.crop((0, row, WIDTH, row + 1)), (shift, row))
    return Image.blend(rippled, Image.new("RGB", mirror.size, (20, 40, 66)), 0.45)


def boats(draw: ImageDraw.ImageDraw, dice: random.Random) -> None:
    for left, top, size in ((90, 800, 150), (420, 740, 90), (600, 960, 210)):
        hull = dice.choice(((226, 226, 220), (150, 36, 40), (24, 62, 96)))
        draw.polygon(
            [(left, top), (left + size, top), (left + size * 5 // 6, top + size // 5), (left + size // 8, top + size // 5)], fill=hull
        )
        draw.line((left + size // 2, top, left + size // 2, top - size), fill=(70, 54, 44), width=4)
        draw.polygon(
            [(left + size // 2 + 6, top - size), (left + size - 8, top - 10), (left + size // 2 + 6, top - 10)], fill=(236, 230, 214)
        )


def profile() -> bytes:
    """The sRGB profile, with a fixed date in place of the moment it was made."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + struct.pack(">6H", 2024, 5, 1, 20, 30, 0) + made[36:]


def exif(thumbnail: bytes) -> bytes:
    """EXIF data with four directories: the camera, the picture, the position, the thumbnail."""
    camera = [
        text(0x010F, "Satchel"),
        text(0x0110, "Drawn camera"),
        short(0x0112, 6),
        text(0x0131, "make_harbour"),
        text(0x0132, "2024:05:01 20:30:00"),
    ]
    picture = [text(0x9003, "2024:05:01 20:30:00"), (0x927C, 7, 40, b"maker note" * 4), text(0xA433, "Satchel")]
    position = [text(0x0001, "N"), degrees(0x0002, 35, 6, 0), text(0x0003, "E"), degrees(0x0004, 129, 2, 31)]
    # Each directory's length does not depend on where it lies, so a first pass with zeros tells where the next ones do.
    start = 8
    after = start + len(directory([*camera, long(0x8769, 0), long(0x8825, 0)], start))
    after_picture = after + len(directory(picture, after))
    after_position = after_picture + len(directory(position, after_picture))
    small = [short(0x0103, 6), long(0x0201, 0), long(0x0202, len(thumbnail))]
    at = after_position + len(directory(small, after_position))
    small[1] = long(0x0201, at)
    first = directory([*camera, long(0x8769, after), long(0x8825, after_picture)], start, after_position)
    rest = directory(picture, after) + directory(position, after_picture) + directory(small, after_position)
    return b"II*\0" + struct.pack("<I", start) + first + rest + thumbnail


def text(tag: int, value: str) -> Entry:
    return tag, 2, len(value) + 1, value.encode() + b"\0"


def short(tag: int, value: int) -> Entry:
    return tag, 3, 1, struct.pack("<H", value)


def long(tag: int, value: int) -> Entry:
    return tag, 4, 1, struct.pack("<I", value)


def degrees(tag: int, *parts: int) -> Entry:
    return tag, 5, 3, b"".join(struct.pack("<II", part, 1) for part in parts)


def directory(entries: list[Entry], start: int, following: int = 0) -> bytes:
    """One EXIF directory that lies at `start`, its long values behind it."""
    fields, values, behind = b"", b"", start + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        if len(value) > 4:
            place, values = struct.pack("<I", behind + len(values)), values + value + bytes(len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        fields += struct.pack("<HHI", tag, kind, count) + place
    return struct.pack("<H", len(entries)) + fields + struct.pack("<I", following) + values


def main() -> None:
    """Write `harbour.jpg` beside this file."""
    stored = harbour().transpose(Image.Transpose.ROTATE_90)
    small = io.BytesIO()
    stored.resize((160, 120)).save(small, "JPEG", quality=70)
    stored.save(
        Path(__file__).with_name("harbour.jpg"),
        "JPEG",
        quality=82,
        exif=b"Exif\0\0" + exif(small.getvalue()),
        icc_profile=profile(),
        xmp=XMP,
        comment=b"drawn by make_harbour.py",
    )


if __name__ == "__main__":
    main()
