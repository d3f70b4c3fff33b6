"""Sending a media: whole, one range of it, only its head, or 304 for what the client has already."""

from collections.abc import AsyncIterator, Mapping

from starlette.types import Scope, Send

from satchel.domain.errors import MEDIA_CHANGED, Fault, Later
from satchel.domain.media import Media
from satchel.flows.reading import Reading
from satchel.volume import READ_BLOCK
from satchel.webapp.direct import KEY, Direct, Header, Span
from satchel.webapp.ranges import span_of

AT_ONCE = 128 * 1024
"""Bytes up to which a body is one message; from there on each block waits until the one before has left."""
FILE_BLOCK = 2 * 1024 * 1024
SAFETY = [
    (b"accept-ranges", b"bytes"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
]
"""Any type may be uploaded: a browser that is led here must neither guess another nor run what it finds."""
HEADERS = [
    (b"content-type", b"%(mime)b"),
    (b"content-length", b"%(length)d"),
    (b"content-disposition", b"attachment; filename=%(id)b"),
    (b"etag", b'"%(sha256)b"'),
    *SAFETY,
]


class Download:
    """One GET or HEAD. `headers`: those of the request, by lower-case name; `request_id`: goes out with the answer."""

    def __init__(self, reading: Reading, scope: Scope, headers: Mapping[str, str], send: Send) -> None:
        self._reading, self._send = reading, send
        self._asked = headers
        self._head = scope["method"] == "HEAD"
        self._direct: Direct | None = scope.get(KEY)
        self._etag = f'"{reading.media.sha256}"'

    async def run(self) -> int:
        """Send it; the HTTP status. Raises `Fault(RANGE_BEYOND_END)`, and `Later` for a file that is cut short meanwhile."""
        known = self._asked.get("if-none-match")
        if known is not None and _holds(known, self._etag):
            return await self._whole(304, [(b"etag", self._etag.encode())], b"")
        size, wish = self._reading.content.size, self._asked.get("range")
        span = span_of(wish, size) if wish is not None and self._asked.get("if-range") in (None, self._etag) else None
        start, end = (span.start, span.end) if span else (0, size)
        headers = self._headers(end - start)
        if span:
            headers.append((b"content-range", span.content_range.encode()))
        status = 206 if span else 200
        if self._head:
            return await self._whole(status, headers, b"")
        if end - start <= AT_ONCE:
            return await self._whole(status, headers, await self._all(start, end))
        await self._stream(status, headers, start, end)
        return status

    def _headers(self, length: int) -> list[Header]:
        values = values_of(self._reading.media, length)
        return [(name, value % values) for name, value in HEADERS]

    async def _whole(self, status: int, headers: list[Header], body: bytes) -> int:
        if self._direct is not None:
            await self._direct.answer(status, headers, body)
        else:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})
        return status

    async def _all(self, start: int, end: int) -> bytes:
        body = await self._reading.content.read(start, end - start) if end > start else b""
        if len(body) < end - start:
            raise Later(MEDIA_CHANGED, CUT_SHORT)
        return body

    async def _stream(self, status: int, headers: list[Header], start: int, end: int) -> None:
        content, direct = self._reading.content, self._direct
        if direct is None:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
            async for block in self._blocks(start, end):
                await self._send({"type": "http.response.body", "body": block, "more_body": True})
            await self._send({"type": "http.response.body"})
        elif content.descriptor is None or not direct.may_send_files:
            await direct.answer_with_blocks(status, headers, self._blocks(start, end))
        else:
            try:
                await direct.answer_with_file(status, headers, self._spans(content.descriptor, start, end))
            except EOFError:
                raise Fault(MEDIA_CHANGED, CUT_SHORT) from None

    async def _spans(self, fd: int, start: int, end: int) -> AsyncIterator[Span]:
        for offset in range(start, end, FILE_BLOCK):
            size = min(FILE_BLOCK, end - offset)
            await self._reading.content.warm(offset, size)
            yield fd, offset, size

    async def _blocks(self, start: int, end: int) -> AsyncIterator[bytes]:
        while start < end:
            block = await self._reading.content.read(start, min(READ_BLOCK, end - start))
            if not block:
                raise Fault(MEDIA_CHANGED, CUT_SHORT)
            start += len(block)
            yield block


def values_of(media: Media, length: int) -> dict[bytes, bytes | int]:
    """What goes into `HEADERS`."""
    return {b"mime": media.mime.encode("latin-1"), b"length": length, b"id": media.id.encode(), b"sha256": media.sha256.encode()}


CUT_SHORT = "The file was cut short by hand while it was being read: fetch it again."


def _holds(if_none_match: str, etag: str) -> bool:
    given = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in given or given == ["*"]
