"""PNG: the facts of its header, and the same picture without metadata. Pure and linear in the size of the file; decodes nothing.

What stays: the picture, its palette, transparency and colour chunks byte for byte, and of EXIF the orientation.
Checked: the order of what matters, every length, and the checksum of every chunk that stays.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from satchel.postprocess import exif, png_data
from satchel.postprocess.broken import Broken

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PICTURE = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
COLOUR = frozenset((b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT"))
KEPT = PICTURE | COLOUR | {b"eXIf"}
ONCE = COLOUR | {b"eXIf"}
LENGTHS = {b"gAMA": (4,), b"cHRM": (32,), b"sRGB": (1,), b"cICP": (4,), b"mDCV": (24,), b"cLLI": (8,), b"sBIT": (1, 2, 3, 4)}
"""Bytes that a colour chunk may hold: a longer one, or a second one, carries something else."""
MOST_CHUNKS, MOST_PROFILE = 1 << 16, 4 << 20
PALETTES = frozenset((b"PLTE", b"tRNS"))
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
ALPHA = {GREY_ALPHA, RGB_ALPHA}


@dataclass(frozen=True)
class Header:
    """What stands before the picture data. `bits`: per sample; `width`, `height`: pixels; `transparency`: the payload of tRNS."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool
    transparency: bytes
    animated: bool

    @property
    def lacks(self) -> tuple[str, ...]:
        """Why the picture cannot go out as it is, in words. Whether pixels are transparent only a decode tells (`transparency`)."""
        return (f"{self.bits} bits per sample; pictures must have at most 8",) if self.bits > 8 else ()


def header(data: bytes | bytearray | memoryview) -> Header:
    """Read what stands before the picture data. Raises `Broken`."""
    view, before = memoryview(data), dict[bytes, memoryview]()
    for kind, start, end in _chunks(view):
        if kind == b"IDAT":
            break
        before[kind] = view[start:end]
    found = _ihdr(before[b"IHDR"], bytes(before.get(b"tRNS", b"")), b"acTL" in before)
    if found.colour == PALETTE and not 3 <= len(before.get(b"PLTE", b"")) <= 768:
        raise Broken("it has no palette, or an impossible one")
    return found


def strip(data: bytes | bytearray | memoryview, *, bare: bool = False, proven: bool = False) -> bytes:
    """The same picture without metadata: equal pixels, at most 38 bytes longer than it was. Raises `Broken`.

    `bare`: also without orientation and colour chunks, for a decoder; what hides behind the picture data stays.
    `proven`: raise `Broken` also unless the picture data are whole. Judge the header's size first: the time that takes grows with it.
    """
    view, keep = memoryview(data), PICTURE if bare else KEPT
    parts: list[bytes | memoryview] = [SIGNATURE]
    seen, stream, palette = set[bytes](), _stream(view), view[25:26] == bytes([PALETTE])
    for kind, start, end in _chunks(view):
        if kind not in keep or (kind in ONCE and kind in seen) or end - start not in LENGTHS.get(kind, (end - start,)):
            continue
        seen.add(kind)
        _check(view, kind, start, end)
        if kind == b"IDAT":
            used = end - start if bare else stream.used(view[start:end])
            parts += (
                [view[start - 8 : end + 4]] if used == end - start else [_chunk(kind, bytes(view[start : start + used]))] if used else []
            )
        elif kind == b"eXIf":
            parts.append(_orientation(bytes(view[start:end])))
        elif kind != b"PLTE" or palette:
            parts.append(view[start - 8 : end + 4])
    if proven:
        stream.end()
    return b"".join(parts)


def orientation(data: memoryview) -> int:
    """1 to 8, as in EXIF."""
    return exif.orientation(_payload(data, b"eXIf").removeprefix(b"Exif\0\0")) or 1


def profile(data: memoryview) -> bytes:
    """The ICC profile; empty when there is none, when it does not unpack, and when it is larger than any honest one."""
    packed = _payload(data, b"iCCP").partition(b"\0")[2][1:]
    try:
        unpack = zlib.decompressobj()
        found = unpack.decompress(packed, MOST_PROFILE)
    except zlib.error:
        return b""
    return found if unpack.eof else b""


def _payload(data: memoryview, kind: bytes) -> bytes:
    return next((bytes(data[start:end]) for found, start, end in _chunks(data) if found == kind), b"")


def _stream(view: memoryview) -> png_data.Stream:
    found = header(view)
    return png_data.Stream(found.width, found.height, found.bits * png_data.CHANNELS[found.colour], found.interlaced)


def _chunks(view: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk with the start and end of its payload, up to IEND; raises `Broken` unless the critical ones stand as they must."""
    if bytes(view[:8]) != SIGNATURE:
        raise Broken("it does not begin as a PNG")
    position, before, seen, count = 8, b"", set[bytes](), 0
    while before != b"IEND":
        count += 1
        if count > MOST_CHUNKS:
            raise Broken(f"it has more than {MOST_CHUNKS} chunks")
        start = position + 8
        if start > len(view):
            raise Broken("it is cut off: its end chunk is missing")
        length, kind = struct.unpack_from(">I4s", view, position)
        position = start + length + 4
        if position > len(view):
            raise Broken("it is cut off inside a chunk")
        _order(kind, before, seen)
        yield kind, start, start + length
        before = kind
        seen.add(kind)


def _order(kind: bytes, before: bytes, seen: set[bytes]) -> None:
    """Raise `Broken` when this chunk cannot stand here: one header, first; one run of picture data; no unknown critical one."""
    if (kind == b"IHDR") != (not seen):
        raise Broken("its header chunk is not the first chunk")
    if kind == b"IDAT" and before != b"IDAT" and b"IDAT" in seen:
        raise Broken("its picture data are interrupted")
    if kind == b"IEND" and b"IDAT" not in seen:
        raise Broken("it holds no picture data")
    if kind in PALETTES and (kind in seen or b"IDAT" in seen):
        raise Broken("its palette or transparency is stated twice or too late")
    if not kind.isalpha() or (kind[:1].isupper() and kind not in PICTURE):
        raise Broken(f"it holds a chunk no picture has ({kind!r})")


def _check(view: memoryview, kind: bytes, start: int, end: int) -> None:
    if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
        raise Broken(f"the checksum of its {kind.decode('ascii')} chunk is wrong")


def _ihdr(payload: memoryview, transparency: bytes, animated: bool) -> Header:
    if len(payload) != 13:
        raise Broken("its header chunk is not 13 bytes long")
    width, height, bits, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", payload)
    if not width or not height or bits not in DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise Broken("its header chunk states what no PNG has")
    return Header(width, height, bits, colour, bool(interlace), transparency, animated)


def _orientation(payload: bytes) -> bytes:
    """A new eXIf chunk; some writers put the six bytes in front that only JPEG has."""
    value = exif.orientation(payload.removeprefix(b"Exif\0\0"))
    if not value:
        return b""
    return _chunk(b"eXIf", exif.minimal(value))


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
