"""What they say over HTTP: bodies as a stream or as bounded JSON, headers with some sense."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import structlog
from starlette.types import Receive, Scope

from satchel.domain.errors import (
    BAD_REQUEST,
    PARAMETER_INVALID,
    PARAMETER_MISSING,
    UPLOAD_BROKEN_OFF,
    UPLOAD_TOO_LARGE,
    UPLOAD_TOO_SLOW,
    Fault,
)
from satchel.domain.limits import BODY_IDLE as IDLE
from satchel.domain.limits import BODY_SLOWEST as SLOWEST
from satchel.domain.media import is_mime
from satchel.webapp.direct import KEY, Direct
from satchel.webapp.multipart import Form, boundary_of

log = structlog.get_logger("satchel.webapp")
Came = tuple[list[bytes], bool] | None
"""Blocks and whether more is to come; None when the client has gone."""
JSON_BYTES = 1 << 20


async def stream(receive: Receive, direct: Direct | None = None) -> AsyncIterator[bytes]:
    """The body's blocks as they come, `direct` from the connection where there is a short way.

    Raises `Fault`: UPLOAD_BROKEN_OFF when the client goes away before the end, UPLOAD_TOO_SLOW when it sends too little.
    """
    if direct is not None and (whole := direct.at_once()) is not None:
        for block in whole:
            yield block
        return
    some = direct.some if direct is not None else partial(_some, receive)
    began, size, more = time.monotonic(), 0, True
    while more:
        came = await _in_time(some)
        if came is None:
            raise Fault(UPLOAD_BROKEN_OFF, "The upload broke off before its end; nothing was stored. Send it again.")
        blocks, more = came
        size += sum(map(len, blocks))
        if more and size < SLOWEST * (time.monotonic() - began - IDLE):
            raise Fault(UPLOAD_TOO_SLOW, f"The body comes at less than {SLOWEST} bytes a second; nothing was stored. Send it again.")
        for block in blocks:
            yield block


async def _some(receive: Receive) -> Came:
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    block = message.get("body", b"")
    return [block] if block else [], message.get("more_body", False)


async def _in_time(some: Callable[[], Awaitable[Came]]) -> Came:
    try:
        async with asyncio.timeout(IDLE):
            return await some()
    except TimeoutError:
        raise Fault(UPLOAD_TOO_SLOW, f"Nothing came of the body for {IDLE:.0f} seconds; nothing was stored. Send it again.") from None


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
    return json_of(await whole(receive))


def json_of(body: bytes) -> Any:
    """The value of a JSON text. Raises `Fault(BAD_REQUEST)`."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(BAD_REQUEST, f"The body is not JSON: {error}.") from error


async def members(receive: Receive) -> dict[str, Any]:
    """A JSON object. Raises `Fault` for anything else."""
    said = await json(receive)
    if not isinstance(said, dict):
        raise Fault(PARAMETER_INVALID, "The body must be a JSON object.")
    return said


@dataclass(frozen=True)
class File:
    """A file in a request. `mime`: with its parameters; `length`: bytes, where known beforehand."""

    mime: str
    blocks: AsyncIterator[bytes]
    length: int | None


async def file_of(scope: Scope, headers: Mapping[str, str], receive: Receive) -> File:
    """The file that a request carries: its body, or the one file of a multipart form. Raises `Fault` where that is not clear."""
    mime = mime_of(headers.get("content-type", ""))
    if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
        raise Fault(BAD_REQUEST, "The header Transfer-Encoding names more than chunked: send the bytes of the file as they are.")
    blocks = stream(receive, scope.get(KEY))
    if mime.lower().startswith("multipart/form-data"):
        form = Form(boundary_of(mime), blocks)
        return File(mime_of(await form.begin()), form.file(), None)
    if mime.lower().startswith("application/x-www-form-urlencoded"):
        log.warning(
            "form_type",
            hint="curl sends this type when it is told none, and a document goes out with it: give the file's own Content-Type",
        )
    return File(mime, blocks, declared_length(headers))


def mime_of(given: str) -> str:
    """The Content-Type of a file, parameters included. Raises `Fault` when it is missing or malformed."""
    given = given.strip()
    if not given:
        raise Fault(PARAMETER_MISSING, "The header Content-Type is missing: it names the type of the file, such as image/jpeg.")
    if not is_mime(given):
        raise Fault(PARAMETER_INVALID, f"The header Content-Type is malformed: {given[:80]!r}; a type looks like image/jpeg.")
    return given


def declared_length(headers: Mapping[str, str]) -> int | None:
    """Content-Length in bytes, None where none is given."""
    given = headers.get("content-length", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else None


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request by lower-case name; of one that came twice the first counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
