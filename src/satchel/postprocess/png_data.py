"""PNG: proof that the picture data are whole, without making pixels of them. Pure; its work is bounded by the size the header states.

Pillow takes data that end early for a picture whose rest is black, so its word is not enough. Data that inflate to every row, each with
a filter that exists, do decode: nothing after that can fail.
"""

import zlib
from collections.abc import Iterable, Iterator

from satchel.postprocess.broken import Broken

INPUT, OUTPUT = 64 << 10, 1 << 20
"""Bytes inflated at once, and the most made of them at once. Both are small: what zlib has not used yet is copied with each output."""

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
LAST_FILTER = 4
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, step between columns, step between rows of each pass."""


def prove(payloads: Iterable[memoryview], width: int, height: int, bits_per_pixel: int, interlaced: bool) -> None:
    """Raise `Broken` unless these payloads of IDAT chunks inflate to all rows of such a picture. Anything beyond is not looked at."""
    blocks = _inflated(payloads)
    block = memoryview(b"")
    for rows, row_bytes in _passes(width, height, bits_per_pixel, interlaced):
        left = rows * row_bytes
        while left:
            if not block and not (block := memoryview(next(blocks, b""))):
                raise Broken("its picture data end before the picture does")
            here = block[:left]
            _check_filters(here[left % row_bytes :: row_bytes])
            left -= len(here)
            block = block[len(here) :]


def _check_filters(filters: memoryview) -> None:
    if max(bytes(filters), default=0) > LAST_FILTER:
        raise Broken("its picture data name a filter no PNG has")


def _passes(width: int, height: int, bits_per_pixel: int, interlaced: bool) -> Iterator[tuple[int, int]]:
    """Rows, and bytes of a row with its filter byte, of each pass that has any."""
    for column, row, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((column - width) // across), -((row - height) // down)
        if columns > 0 and rows > 0:
            yield rows, 1 + (columns * bits_per_pixel + 7) // 8


def _inflated(payloads: Iterable[memoryview]) -> Iterator[bytes]:
    """What the payloads inflate to, in blocks of at most `OUTPUT` bytes, none of them empty."""
    stream = zlib.decompressobj()
    for payload in payloads:
        for at in range(0, len(payload), INPUT):
            waiting: bytes | memoryview = payload[at : at + INPUT]
            while waiting:
                try:
                    block = stream.decompress(waiting, OUTPUT)
                except zlib.error as why:
                    raise Broken(f"its picture data are damaged ({why})") from why
                if block:
                    yield block
                if stream.eof:
                    return
                waiting = stream.unconsumed_tail


class Stream:
    """Follows the compressed stream of a picture, to tell where it ends: whatever hides behind it is no picture."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj()

    def used(self, payload: memoryview) -> int:
        """How many bytes of the next payload belong to the stream. Raises `Broken`."""
        for start in range(0, len(payload), INPUT):
            block = payload[start : start + INPUT]
            if self._inflate.eof:
                return start
            self._feed(block)
            if self._inflate.eof:
                return start + len(block) - len(self._inflate.unused_data)
        return len(payload)

    def _feed(self, block: memoryview) -> None:
        waiting: bytes | memoryview = block
        try:
            while waiting and not self._inflate.eof:
                self._inflate.decompress(waiting, OUTPUT)
                waiting = self._inflate.unconsumed_tail
        except zlib.error as error:
            raise Broken(f"its picture data cannot be unpacked ({error})") from error
