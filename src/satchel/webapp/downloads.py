"""Sending a media: whole, one range of it, only its head, or 304 for what the client has already."""

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Send

from satchel.domain.errors import MEDIA_CHANGED, Fault, Later
from satchel.flows.reading import Reading
from satchel.volume import READ_BLOCK
from satchel.webapp.ranges import Span, span_of

AT_ONCE = 128 * 1024
"""Bytes up to which a body is one message; from there on each block waits until the one before has left."""
STALLED = 300.0
"""Seconds in which a client that reads nothing of a block loses its connection."""
SAFETY = [
    (b"accept-ranges", b"bytes"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
]
"""Any type may be uploaded: a browser that is led here must neither guess another nor run what it finds."""


@dataclass(frozen=True)
class Wish:
    """What a request asks of a media: `head` for no body, and its conditions."""

    head: bool
    range: str | None
    if_range: str | None
    if_none_match: str | None

    @classmethod
    def of(cls, method: str, headers: Headers) -> "Wish":
        get = headers.get
        return cls(method == "HEAD", get("range"), get("if-range"), get("if-none-match"))


async def send_media(reading: Reading, wish: Wish, send: Send) -> None:
    """Answer a GET or HEAD. Raises `Fault(RANGE_BEYOND_END)`, and `Later` for a file that is cut short meanwhile."""
    etag = f'"{reading.media.sha256}"'
    if wish.if_none_match is not None and _holds(wish.if_none_match, etag):
        await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", etag.encode())]})
        await send({"type": "http.response.body"})
        return
    size = reading.content.size
    span = span_of(wish.range, size) if wish.range is not None and wish.if_range in (None, etag) else None
    start, end = (span.start, span.end) if span else (0, size)
    head = {"type": "http.response.start", "status": 206 if span else 200, "headers": _headers(reading, etag, end - start, span)}
    if wish.head or end - start <= AT_ONCE:
        body = b"" if wish.head else await _all(reading, start, end)
        await send(head)
        await send({"type": "http.response.body", "body": body})
    else:
        await send(head)
        await _stream(reading, start, end, send)


def _holds(if_none_match: str, etag: str) -> bool:
    given = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in given or given == ["*"]


def _headers(reading: Reading, etag: str, length: int, span: Span | None) -> list[tuple[bytes, bytes]]:
    media = reading.media
    headers = [
        (b"content-type", media.mime.encode("latin-1")),
        (b"content-length", b"%d" % length),
        (b"content-disposition", f"attachment; filename={media.id}".encode()),
        (b"etag", etag.encode()),
        *SAFETY,
    ]
    return [*headers, (b"content-range", span.content_range.encode())] if span else headers


async def _all(reading: Reading, start: int, end: int) -> bytes:
    body = await reading.content.read(start, end - start) if end > start else b""
    if len(body) < end - start:
        raise Later(MEDIA_CHANGED, "The file was cut short by hand while it was being read: fetch it again.")
    return body


async def _stream(reading: Reading, start: int, end: int, send: Send) -> None:
    """An empty message waits until the connection has taken everything before, so that a slow reader holds one block and no thread."""
    while start < end:
        async with asyncio.timeout(STALLED):
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        block = await reading.content.read(start, min(READ_BLOCK, end - start))
        if not block:
            raise Fault(MEDIA_CHANGED, "The file was cut short by hand while it was being read: fetch it again.")
        start += len(block)
        await send({"type": "http.response.body", "body": block, "more_body": start < end})
