"""WebP: the facts of its header, and the same picture without metadata. Pure and linear in the size of the file; decodes nothing.

What stays of a still picture: its pixels, their transparency and the colour profile byte for byte, in the order the format asks for.
Chunks nobody knows are metadata, too. Anything after the end that the RIFF header states is no part of the picture.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from satchel.postprocess import exif
from satchel.postprocess.broken import Broken

PROFILE, ALPHA, ANIMATION = 0x20, 0x10, 0x02
"""Flags of a VP8X chunk."""
ORDER = (b"VP8X", b"ICCP", b"ANIM", b"ALPH", b"VP8 ", b"VP8L", b"ANMF")
FRAMES = {b"VP8 ", b"VP8L"}
MOST_CHUNKS = 1 << 16


@dataclass(frozen=True)
class Header:
    """`width`, `height`: of the canvas, in pixels; `alpha`: whether pixels may be transparent."""

    width: int
    height: int
    alpha: bool
    animated: bool


def header(data: memoryview) -> Header:
    """Read the container. Raises `Broken` when it is cut off, or when its picture is not the size it says."""
    chunks = _known(data)
    first = chunks.get(b"VP8X")
    frame = next((_frame(kind, chunks[kind]) for kind in FRAMES if kind in chunks), None)
    if first is None:
        if frame is None:
            raise Broken("it holds no picture data")
        return frame
    if len(first) < 10:
        raise Broken("its header chunk is too short")
    canvas = int.from_bytes(first[4:7], "little") + 1, int.from_bytes(first[7:10], "little") + 1
    if first[0] & ANIMATION or b"ANMF" in chunks:
        if b"ANMF" not in chunks:
            raise Broken("it says that it is an animation and has no picture")
        return Header(*canvas, bool(first[0] & ALPHA), True)
    if frame is None or (frame.width, frame.height) != canvas:
        raise Broken("its picture is not of the size that its header states")
    return Header(*canvas, frame.alpha or b"ALPH" in chunks, False)


def strip(data: memoryview, *, bare: bool = False) -> bytes:
    """The same picture without metadata, equal pixels; of an animation its first picture alone. Raises `Broken`.

    `bare`: also without colour profile, for a decoder that is only to prove that the pixels are there.
    """
    chunks = _known(data)
    if bare:
        chunks.pop(b"ICCP", None)
    if b"VP8X" in chunks:
        flags = chunks[b"VP8X"][0] & (ALPHA | ANIMATION) | (PROFILE if b"ICCP" in chunks else 0)
        chunks[b"VP8X"] = memoryview(bytes([flags, 0, 0, 0]) + bytes(chunks[b"VP8X"][4:10]))
    else:
        chunks = {kind: payload for kind, payload in chunks.items() if kind in FRAMES}
    body = b"".join(_chunk(kind, chunks[kind]) for kind in ORDER if kind in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def orientation(data: memoryview) -> int:
    """1 to 8, as in EXIF."""
    for kind, payload in _chunks(data):
        if kind == b"EXIF":
            return exif.orientation(bytes(payload).removeprefix(b"Exif\0\0")) or 1
    return 1


def profile(data: memoryview) -> bytes:
    """The ICC profile; empty when there is none."""
    return bytes(_known(data).get(b"ICCP", b""))


def _known(data: memoryview) -> dict[bytes, memoryview]:
    """The first chunk of each kind that belongs to a picture. Raises `Broken` for a second still picture."""
    found = dict[bytes, memoryview]()
    for kind, payload in _chunks(data):
        if kind in FRAMES and not FRAMES.isdisjoint(found):
            raise Broken("it holds two pictures and says nothing of an animation")
        if kind in ORDER:
            found.setdefault(kind, payload)
    return found


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WEBP":
        raise Broken("it does not begin as a WebP")
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise Broken(f"it is cut off: {end} bytes are announced, {len(data)} are there")
    position, count = 12, 0
    while position + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, position)
        position, count = position + 8, count + 1
        if position + size > end:
            raise Broken("it is cut off inside a chunk")
        if count > MOST_CHUNKS:
            raise Broken(f"it has more than {MOST_CHUNKS} chunks")
        yield kind, data[position : position + size]
        position += size + (size & 1)


def _frame(kind: bytes, payload: memoryview) -> Header:
    if kind == b"VP8 ":
        if len(payload) < 10 or payload[0] & 1 or bytes(payload[3:6]) != b"\x9d\x01\x2a":
            raise Broken("its picture does not begin as one")
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", payload, 6))
        if not width or not height:
            raise Broken("its picture has no size")
        return Header(width, height, False, False)
    if len(payload) < 5 or payload[0] != 0x2F:
        raise Broken("its picture does not begin as one")
    bits = int.from_bytes(payload[1:5], "little")
    return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1), False)


def _chunk(kind: bytes, payload: memoryview) -> bytes:
    return kind + struct.pack("<I", len(payload)) + bytes(payload) + bytes(len(payload) & 1)
