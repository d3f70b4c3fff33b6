"""Whether the last byte that a container promises is there: found from its own lengths, where FFmpeg would only stop earlier. Pure."""

import struct
from collections.abc import Callable

from satchel.domain.recordings import MP4
from satchel.postprocess.broken import Broken

NEEDED = {b"moov", b"moof", b"mdat"}
"""Boxes that must be whole; what follows them may be anything."""

SEGMENT = b"\x18\x53\x80\x67"
PAGE = 27
"""Bytes of an Ogg page before its table of lengths."""


def prove(data: memoryview, form: str) -> None:
    """Raise `Broken` for a file that ends before its container does; formats that do not tell pass."""
    if form in MP4:
        _boxes(data)
    elif test := TESTS.get(form):
        test(data)


def _boxes(data: memoryview) -> None:
    at, size = 0, len(data)
    while at + 8 <= size:
        length, kind = struct.unpack_from(">I4s", data, at)
        if length == 1 and at + 16 <= size:
            (length,) = struct.unpack_from(">Q", data, at + 8)
        if length == 0:
            return  # it goes on to the end, wherever that is
        if kind in NEEDED and (length < 8 or at + length > size):
            raise Broken(f"it ends after {size - at} of the {length} bytes of its {kind.decode()} box")
        at += max(length, 8)


def _pages(data: memoryview) -> None:
    at, size = 0, len(data)
    while bytes(data[at : at + 4]) == b"OggS":
        table = data[at + PAGE : at + PAGE + data[at + PAGE - 1]] if at + PAGE <= size else b""
        end = at + PAGE + len(table) + sum(table)
        if at + PAGE > size or len(table) < data[at + PAGE - 1] or end > size:
            raise Broken("it ends in the middle of a page")
        at = end


def _segment(data: memoryview) -> None:
    """The Matroska segment, which holds all the rest; recorded live it has no length."""
    head = bytes(data[:4096])
    at = head.find(SEGMENT) + len(SEGMENT)
    if at < len(SEGMENT) or at >= len(head) or not head[at]:
        return
    width = 9 - head[at].bit_length()
    length = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    if length != (1 << 7 * width) - 1 and at + width + length > len(data):
        raise Broken(f"it ends after {len(data) - at - width} of the {length} bytes of its segment")


TESTS: dict[str, Callable[[memoryview], None]] = {"ogg": _pages, "matroska": _segment, "webm": _segment}
