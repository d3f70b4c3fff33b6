"""Pictures and files for the tests of post-processing, made in memory; and the harbour, which lies beside them."""

import io
import random
import struct
import zlib
from pathlib import Path

from PIL import Image

MEDIA = Path(__file__).parent.parent / "media"
HARBOUR = (MEDIA / "harbour.jpg").read_bytes()


def scene(width: int = 48, height: int = 32, mode: str = "RGB") -> Image.Image:
    """A small picture with shapes and noise, the same every time."""
    noise = Image.frombytes("RGB", (width, height), random.Random(3).randbytes(width * height * 3))
    slope = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    return Image.blend(slope, noise, 0.2).convert(mode)


def jpeg(picture: Image.Image | None = None, **options: object) -> bytes:
    return saved(picture or scene(), "JPEG", options)


def png(picture: Image.Image | None = None, **options: object) -> bytes:
    return saved(picture or scene(), "PNG", options)


def saved(picture: Image.Image, form: str, options: dict[str, object]) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def pixels(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.mode, picture.size, picture.tobytes()


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def markers(data: bytes) -> list[int]:
    """The markers of a JPEG up to its first scan."""
    found, position = [], 2
    while True:
        found.append(data[position + 1])
        if found[-1] == 0xDA:
            return found
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")


def frame_at(data: bytes) -> int:
    """Where the frame header's payload begins."""
    position = 2
    while data[position + 1] not in (0xC0, 0xC1, 0xC2):
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return position + 4


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, position = [], 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        found.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def with_chunk(data: bytes, kind: bytes, payload: bytes, before: bytes = b"IDAT") -> bytes:
    at = data.index(before) - 4
    return data[:at] + chunk(kind, payload) + data[at:]


def grey_png(bits: int, samples: list[int], *extra: tuple[bytes, bytes]) -> bytes:
    """One row of grey samples; `extra`: chunks in front of the picture data."""
    row = sum(sample << bits * (8 // bits - 1 - place) for place, sample in enumerate(samples))
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", len(samples), 1, bits, 0, 0, 0, 0))
    body += b"".join(chunk(kind, payload) for kind, payload in extra)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", zlib.compress(bytes([0, row]))) + chunk(b"IEND", b"")


def animation() -> bytes:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    return png(frames[0], save_all=True, append_images=frames[1:])


def interlaced() -> bytes:
    """A grey picture of 8 × 8 pixels in Adam7 order; Pillow cannot write one."""
    passes = ((1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8))
    rows = b"".join((b"\0" + bytes(range(10 * number, 10 * number + wide))) * high for number, (high, wide) in enumerate(passes))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def slow() -> bytes:
    """A PNG of 98 megapixels, which takes a child a good deal longer than a fiftieth of a second."""
    return png_of(9_900, 9_900, zlib.compress(bytes(9_901 * 9_900), 1))


def png_of(width: int, height: int, rows: bytes, colour: int = 0) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
