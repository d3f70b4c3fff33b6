"""What they say over HTTP: bodies as a stream or as bounded JSON, headers with some sense."""

import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive

from satchel.domain.errors import BAD_REQUEST, PARAMETER_INVALID, PARAMETER_MISSING, UPLOAD_BROKEN_OFF, UPLOAD_TOO_LARGE, Fault

JSON_BYTES = 1 << 20
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
CONTENT_TYPE = re.compile(rf'{TOKEN}/{TOKEN}(?:\s*;\s*(?:{TOKEN}=(?:{TOKEN}|"[ !#-~]*"))?)*\s*', re.ASCII)


async def stream(receive: Receive) -> AsyncIterator[bytes]:
    """The body's blocks as they come. Raises `Fault(UPLOAD_BROKEN_OFF)` when the client goes away before the end."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Fault(UPLOAD_BROKEN_OFF, "The upload broke off before its end; nothing was stored. Send it again.")
        if block := message.get("body", b""):
            yield block
        more = message.get("more_body", False)


async def whole(receive: Receive) -> bytes:
    """A small body. Raises `Fault` over 1 MiB."""
    parts, size = [], 0
    async for block in stream(receive):
        size += len(block)
        if size > JSON_BYTES:
            raise Fault(UPLOAD_TOO_LARGE, f"The body is over {JSON_BYTES} bytes: JSON bodies are small here; files go to POST /v1/media.")
        parts.append(block)
    return b"".join(parts)


async def json(receive: Receive) -> Any:
    """A JSON body, whatever its Content-Type says. Raises `Fault(BAD_REQUEST)`."""
    try:
        return msgspec.json.decode(await whole(receive))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(BAD_REQUEST, f"The body is not JSON: {error}.") from error


def mime_of(headers: Headers) -> str:
    """The Content-Type of an upload, parameters included. Raises `Fault` when it is missing or malformed."""
    given = headers.get("content-type", "").strip()
    if not given:
        raise Fault(PARAMETER_MISSING, "The header Content-Type is missing: it names the type of the file, such as image/jpeg.")
    if len(given) > 255 or not CONTENT_TYPE.fullmatch(given):
        raise Fault(PARAMETER_INVALID, f"The header Content-Type is malformed: {given[:80]!r}; a type looks like image/jpeg.")
    if given.lower().startswith("multipart/"):
        raise Fault(PARAMETER_INVALID, "Send the raw bytes of the file as the body, with its own Content-Type, not a multipart form.")
    return given


def declared_length(headers: Headers) -> int | None:
    """Content-Length in bytes, None where none is given."""
    given = headers.get("content-length", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else None
