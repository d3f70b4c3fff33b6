"""PNG: proof that the picture data are whole, without making pixels of them. Pure; its work is bounded by the size the header states.

Pillow takes data that end early for a picture whose rest is black, so its word is not enough. Data that inflate to every row, each with
a filter that exists, do decode: nothing after that can fail.
"""

import zlib
from collections.abc import Iterator

from satchel.postprocess.broken import Broken

INPUT, OUTPUT = 64 << 10, 1 << 20
"""Bytes inflated at once, and the most made of them at once. Both are small: what zlib has not used yet is copied with each output."""

SPARE = 1 << 20
"""Inflated bytes that may follow a picture: careless writers pad, and a bomb must not be inflated to its end."""

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
LAST_FILTER = 4
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, step between columns, step between rows of each pass."""


class Stream:
    """Follows the compressed stream of a picture of so many pixels, to tell where it ends: whatever hides behind it is no picture."""

    def __init__(self, width: int, height: int, bits_per_pixel: int, interlaced: bool) -> None:
        self._inflate = zlib.decompressobj()
        self._passes = _passes(width, height, bits_per_pixel, interlaced)
        self._left = self._row_bytes = 0
        self._spare = SPARE
        self._next_pass()

    def used(self, payload: memoryview) -> int:
        """How many bytes of the next payload of an IDAT chunk belong to the stream. Raises `Broken`."""
        for start in range(0, len(payload), INPUT):
            block = payload[start : start + INPUT]
            if self._inflate.eof:
                return start
            self._feed(block)
            if self._inflate.eof:
                return start + len(block) - len(self._inflate.unused_data)
        return len(payload)

    def end(self) -> None:
        """Raise `Broken` unless all rows of the picture have come."""
        if self._left:
            raise Broken("its picture data end before the picture does")

    def _feed(self, block: memoryview) -> None:
        waiting: bytes | memoryview = block
        while waiting and not self._inflate.eof:
            try:
                rows = self._inflate.decompress(waiting, OUTPUT)
            except zlib.error as why:
                raise Broken(f"its picture data are damaged ({why})") from why
            self._check(memoryview(rows))
            waiting = self._inflate.unconsumed_tail

    def _check(self, block: memoryview) -> None:
        while block and self._left:
            here = block[: self._left]
            _check_filters(here[self._left % self._row_bytes :: self._row_bytes])
            block = block[len(here) :]
            self._left -= len(here)
            if not self._left:
                self._next_pass()
        self._spare -= len(block)
        if self._spare < 0:
            raise Broken("its picture data go on behind the picture")

    def _next_pass(self) -> None:
        rows, self._row_bytes = next(self._passes, (0, 1))
        self._left = rows * self._row_bytes


def _check_filters(filters: memoryview) -> None:
    if max(bytes(filters), default=0) > LAST_FILTER:
        raise Broken("its picture data name a filter no PNG has")


def _passes(width: int, height: int, bits_per_pixel: int, interlaced: bool) -> Iterator[tuple[int, int]]:
    """Rows, and bytes of a row with its filter byte, of each pass that has any."""
    for column, row, across, down in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((column - width) // across), -((row - height) // down)
        if columns > 0 and rows > 0:
            yield rows, 1 + (columns * bits_per_pixel + 7) // 8
