"""What we say over HTTP: the envelope of the contract under /v1, problem details under /_satchel."""

import asyncio
import math
import time
from contextlib import suppress
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from satchel.domain.errors import MEDIA_UNKNOWN, WRONG_METHOD, Fault, Later, Situation
from satchel.domain.statuses import errors_of
from satchel.webapp.direct import KEY, Direct


class Refused(Fault):
    """A fault whose answer has headers of its own."""

    def __init__(self, situation: Situation, details: str, headers: dict[str, str]) -> None:
        super().__init__(situation, details)
        self.headers = headers


META = {"version": "v2.57.2", "api_status": "stable"}
"""Old clients read this as the version of the node that they were written for."""


def reply(body: dict[str, Any] | None = None, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON object with `meta`; never an empty body."""
    return Response(msgspec.json.encode({**(body or {}), "meta": META}), status, headers, media_type="application/json")


def wrong_method(method: str, path: str, allow: str) -> Refused:
    """The address is there, the method is not. `allow`: those that are."""
    return Refused(WRONG_METHOD, f"{method} is not for {path[:200]}: use {allow}.", {"Allow": allow})


def error_reply(error: Fault | Later, path: str) -> Response:
    """A fault or a delay at the door."""
    situation = error.situation
    headers = {"Satchel-Error": situation.slug, **(error.headers if isinstance(error, Refused) else {})}
    status = situation.status
    if isinstance(error, Later):
        status = situation.status if situation.status == 429 else 503
        headers["Retry-After"] = str(max(1, math.ceil(error.after)))
    if status == 401:
        headers["WWW-Authenticate"] = "Basic" if path == "/v1/users/login" else "Bearer"
    if situation is MEDIA_UNKNOWN and path.startswith("/v1/media/"):
        return Response(b"", 404, headers)  # the one answer of the contract without a body
    if path.startswith("/_satchel/"):
        return problem(status, situation.title, error.details, headers, situation.code)
    return reply({"errors": errors_of(Fault(situation, error.details))}, status, headers)


def problem(status: int, title: str, details: str, headers: dict[str, str], code: int) -> Response:
    """RFC 9457."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": details, "onprem_code": code}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/problem+json")


class Draining:
    """Sends a response before the request's body was read, then reads on for a while: a connection reset would eat the answer."""

    BYTES = 128 << 20
    SECONDS = 10.0
    """Many clients send their whole body before they look for an answer."""

    def __init__(self, response: Response) -> None:
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct: Direct | None = scope.get(KEY)
        if direct is not None:
            await direct.refuse(self._response.status_code, self._response.raw_headers, bytes(self._response.body), self._read_on(receive))
            return
        self._response.headers["connection"] = "close"
        start = {"type": "http.response.start", "status": self._response.status_code, "headers": self._response.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self._response.body, "more_body": True})
        await self._read_on(receive)
        await send({"type": "http.response.body", "body": b""})

    async def _read_on(self, receive: Receive) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.SECONDS):
                await self._drain(receive)

    async def _drain(self, receive: Receive) -> None:
        taken, until = 0, time.monotonic() + self.SECONDS  # a body that is always there never lets the time-out strike
        while taken < self.BYTES and time.monotonic() < until:
            message = await receive()
            taken += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return
