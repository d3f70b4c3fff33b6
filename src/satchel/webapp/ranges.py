"""The header Range (RFC 9110, 14): one range of bytes. Several, other units and nonsense are ignored, as the RFC allows."""

import re
from dataclasses import dataclass

from satchel.domain.errors import RANGE_BEYOND_END
from satchel.domain.quantities import shown_bytes
from satchel.webapp.replies import Refused

ONE = re.compile(r"bytes\s*=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """Bytes `start` to before `end` of a file of `size`."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """For the header Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def span_of(header: str, size: int) -> Span | None:
    """What of a file of `size` bytes is asked for; None for the whole. Raises `Refused(RANGE_BEYOND_END)`, with the size in a header."""
    found = ONE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    first, last = found[1], found[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        details = f"The range {header[:80]} starts behind the end: the file has {shown_bytes(size)}."
        raise Refused(RANGE_BEYOND_END, details, {"Content-Range": f"bytes */{size}"})
    return Span(start, end, size)
