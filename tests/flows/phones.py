"""The other end of the wire for what phones send: a media server that answers what a test tells it to, and signed upstream events."""

import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web

from satchel.flows import Ports, events
from satchel.upstream.sandbox.wire import SIGNATURE, sign

from ..sandbox.crypt import Sealed, seal

SECRET, PHONE, AT = "a-secret-for-events", "12025550111", 1767225600.5
_numbers = count(1)


@dataclass
class MediaServer:
    """`blobs`: by path; `answers`: statuses to give first; `gets`: paths that were asked for; `asked`: messages whose sender was.

    `meanwhile`: what happens while a blob is on its way.
    """

    url: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuses: int = 200
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def give(self, request: web.Request) -> web.Response:
        self.gets.append(request.path)
        if self.meanwhile is not None:
            await self.meanwhile()
        status = self.answers.pop(0) if self.answers else 200
        if status == 200 and request.path not in self.blobs:
            status = 410
        return web.Response(status=status, body=self.blobs[request.path] if status == 200 else b"")

    async def ask(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        self.asked.append(request.match_info["id"])
        return web.json_response({"error": "unknown_message"} if self.refuses != 200 else {}, status=self.refuses)

    def put(self, sealed: Sealed, path: str | None = None) -> str:
        """Where the blob lies."""
        path = path or f"/v/{next(_numbers)}"
        self.blobs[path] = sealed.blob
        return path


@asynccontextmanager
async def serving() -> AsyncIterator[MediaServer]:
    server = MediaServer()
    app = web.Application()
    app.router.add_get("/v/{name}", server.give)
    app.router.add_post("/wire/messages/{id}/media-retry-request", server.ask)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def post(ports: Ports, *reported: dict[str, Any], world: str = "w1") -> int:
    """One signed POST of these upstream events."""
    body = json.dumps({"world": world, "events": reported}).encode()
    return await events.absorb(ports, {SIGNATURE: sign(SECRET, body, int(time.time()))}, body)


def event(message: str, type_: str, **members: Any) -> dict[str, Any]:
    """A message of a phone, as an upstream event."""
    told = {"id": f"ev-{next(_numbers)}", "kind": "message", "message": message, "from": PHONE, "name": "Customer", "at": AT}
    return {**told, "type": type_, **members}


def with_media(server: MediaServer, message: str, type_: str = "image", data: bytes = b"a photo", **members: Any) -> dict[str, Any]:
    """The same with media that lies on the server. `media`: members of it to change."""
    sealed = seal(data, type_)
    changes = members.pop("media", {})
    return event(message, type_, media={**sealed.media(server.put(sealed)), **changes}, **members)


def answered(message: str, **members: Any) -> dict[str, Any]:
    """What a phone says when it was asked for media that are over."""
    binary = {name: b64encode(value).decode() if isinstance(value, bytes) else value for name, value in members.items()}
    return {"id": f"ev-{next(_numbers)}", "kind": "media_retry_answer", "message": message, "at": AT, **binary}
