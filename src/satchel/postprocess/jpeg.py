"""JPEG: the facts of its header, and the same picture without metadata. Pure and linear in the size of the file; decodes nothing.

What stays: the frame, its tables and its entropy-coded data byte for byte; the colour (JFIF, ICC profile, Adobe transform); the
orientation. What cameras and libjpeg tolerate is tolerated: fill bytes, stray bytes between segments, no JFIF, anything after the end.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from satchel.postprocess import exif
from satchel.postprocess.broken import Broken

TEM, SOI, EOI, SOS, DHP, JPEG_LS = 0x01, 0xD8, 0xD9, 0xDA, 0xDE, 0xF7
APP0, APP1, APP2, APP14, APP15, COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
RESTARTS = range(0xD0, 0xD8)
DNL = 0xDC
TABLES = {0xC4: "DHT", 0xCC: "DAC", 0xDB: "DQT", DNL: "DNL", 0xDD: "DRI"}
FRAMES = {*range(0xC0, 0xD0), DHP, JPEG_LS} - {0xC4, 0xC8, 0xCC}
CODINGS = {
    0xC3: "lossless coding",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, DHP), "hierarchical coding"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "arithmetic coding"),
    JPEG_LS: "JPEG-LS coding",
}

# Two bytes each, so that a long run of FF is passed once and not once per byte.
NEXT_MARKER = re.compile(rb"\xff[^\x00\xff]")
END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True)
class Header:
    """The frame header. `coding`: its marker's second byte; `bits`: per sample; `width`, `height`: pixels, `height` 0 when not stated."""

    coding: int
    bits: int
    width: int
    height: int
    components: int

    @property
    def beyond(self) -> tuple[str, ...]:
        """Why the picture cannot even be decoded, in words."""
        found = []
        if self.coding in CODINGS:
            found.append(f"{CODINGS[self.coding]}; pictures must be baseline or progressive")
        if self.bits != 8:
            found.append(f"{self.bits} bits per sample; pictures must have 8")
        if self.components not in (1, 3, 4):
            found.append(f"{self.components} colour components; pictures must have 1 or 3")
        if not self.height:
            found.append("no height in its header; pictures must state it")
        return tuple(found)

    @property
    def lacks(self) -> tuple[str, ...]:
        """Why the picture cannot go out as it is although it can be decoded, in words."""
        return ("4 colour components (CMYK); pictures must have 1 or 3",) if self.components == 4 else ()


def header(data: bytes | bytearray | memoryview) -> Header:
    """Read the frame header. Raises `Broken` when there is none before the first scan."""
    view = memoryview(data)
    for marker, start, end in _segments(view):
        if marker in FRAMES:
            return _frame(marker, view[start:end])
        if marker == SOS:
            break
    raise Broken("it has no frame header")


def strip(data: bytes | bytearray | memoryview, *, bare: bool = False) -> bytes:
    """The same picture without metadata: equal pixels, at most 34 bytes longer than it was. Raises `Broken`.

    `bare`: also without orientation and ICC profile, for a decoder that is only to prove that the pixels are there.
    """
    view = memoryview(data)
    parts: list[bytes | memoryview] = [b"\xff\xd8"]
    frames = scans = exifs = 0
    for marker, start, end in _segments(view):
        if marker == DNL:
            continue  # the height again, which the header must state
        if marker in FRAMES or marker in TABLES or marker == SOS:
            frames += marker in FRAMES
            scans += marker == SOS
            if frames > 1 or (scans and not frames):
                raise Broken("it has two frame headers" if frames > 1 else "it has a scan before its frame header")
            parts.append(view[start - 4 : end])
        elif scans or (bare and marker in (APP1, APP2)):
            continue
        elif marker == APP1 and bytes(view[start : start + 5]) == b"Exif\0":
            exifs += 1
            parts += [_orientation(bytes(view[start:end]))] if exifs == 1 else []
        elif APP0 <= marker <= APP15:
            parts.append(_application(marker, bytes(view[start:end])))
    if not scans:
        raise Broken("it holds no picture data")
    return b"".join([*parts, b"\xff\xd9"])


def orientation(data: memoryview) -> int:
    """1 to 8, as in EXIF."""
    for marker, start, end in _before_scan(data):
        if marker == APP1 and bytes(data[start : start + 5]) == b"Exif\0":
            return exif.orientation(bytes(data[start + 6 : end])) or 1
    return 1


def profile(data: memoryview) -> bytes:
    """The ICC profile, put together from its pieces; empty when there is none, or a piece is missing."""
    pieces, count = dict[int, bytes](), 0
    for marker, start, end in _before_scan(data):
        if marker == APP2 and bytes(data[start : start + 12]) == b"ICC_PROFILE\0" and end - start > 14:
            number, count = data[start + 12], data[start + 13]
            pieces.setdefault(number, bytes(data[start + 14 : end]))
    whole = count and all(number in pieces for number in range(1, count + 1))
    return b"".join(pieces[number] for number in range(1, count + 1)) if whole else b""


def is_tagged(data: memoryview) -> bool:
    """Whether it has an orientation or a profile."""
    return any(marker in (APP1, APP2) for marker, _, _ in _before_scan(data))


def _before_scan(data: memoryview) -> Iterator[tuple[int, int, int]]:
    return takewhile(lambda segment: segment[0] != SOS, _segments(data))


def _segments(view: memoryview) -> Iterator[tuple[int, int, int]]:
    """Each marker with the start and end of its payload, which for SOS takes in the entropy-coded data; stops at the end marker."""
    if bytes(view[:2]) != b"\xff\xd8":
        raise Broken("it does not begin as a JPEG")
    position = 2
    while found := NEXT_MARKER.search(view, position):
        position = found.end()
        marker = view[position - 1]
        if marker == EOI:
            return
        if marker == TEM or marker in RESTARTS:
            continue
        end = _end(view, marker, position)
        yield marker, position + 2, end
        position = end
    raise Broken("it is cut off: its end marker is missing")


def _end(view: memoryview, marker: int, position: int) -> int:
    """Where the segment ends whose length field is at `position`."""
    if marker not in FRAMES and marker not in TABLES and marker != SOS and not APP0 <= marker <= APP15 and marker != COM:
        raise Broken(f"it holds a marker no picture has (FF{marker:02X})")
    length = int.from_bytes(view[position : position + 2], "big")
    end = position + length
    if end > len(view) or position + 2 > len(view):
        raise Broken("it is cut off inside a segment")
    if length < 2:
        raise Broken("a segment's length is impossible")
    return _scan_end(view, end) if marker == SOS else end


def _scan_end(view: memoryview, start: int) -> int:
    """Where the entropy-coded data end that begin at `start`: before the next marker and its fill bytes."""
    found = END_OF_SCAN.search(view, start)
    if not found:
        raise Broken("it is cut off inside its picture data")
    end = found.start()
    while end > start and view[end - 1] == 0xFF:
        end -= 1
    return end


def _frame(marker: int, payload: memoryview) -> Header:
    if len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
        raise Broken("its frame header is too short")
    bits, height, width, components = struct.unpack_from(">BHHB", payload)
    if not width or not components:
        raise Broken("its frame header states no width or no colour components")
    return Header(marker, bits, width, height, components)


def _application(marker: int, payload: bytes) -> bytes:
    """What stays of an APPn segment, in its own marker: all of a piece of ICC profile, the fixed fields of JFIF and Adobe, else nothing."""
    if marker == APP0 and payload[:5] == b"JFIF\0" and len(payload) >= 14:
        return _segment(marker, payload[:12] + b"\0\0")
    if marker == APP2 and payload[:12] == b"ICC_PROFILE\0" and len(payload) > 14:
        return _segment(marker, payload)
    if marker == APP14 and payload[:5] == b"Adobe" and len(payload) >= 12:
        return _segment(marker, payload[:12])
    return b""


def _orientation(payload: bytes) -> bytes:
    value = exif.orientation(payload[6:])
    return _segment(APP1, b"Exif\0\0" + exif.minimal(value)) if value else b""


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
