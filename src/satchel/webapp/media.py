"""POST /v1/media, GET and DELETE /v1/media/{id}, as plain ASGI: bodies stream both ways."""

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from satchel.domain.errors import MEDIA_CHANGED, Fault
from satchel.flows import media_node
from satchel.flows.media_node import Reading
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Media:
    """The collection: uploads."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        user = await self._webapp.gate.user(headers.get("authorization"))
        mime = bodies.mime_of(headers)
        body = bodies.stream(receive)
        media = await media_node.upload(self._webapp.ports, body, mime, user.name, bodies.declared_length(headers))
        await reply({"media": [{"id": media.id}]}, self._webapp.config.created)(scope, receive, send)


class OneMedia:
    """One media: its bytes, its end."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.user(Headers(scope=scope).get("authorization"))
        media_id = scope["path_params"]["id"]
        if scope["method"] == "DELETE":
            await media_node.delete(self._webapp.ports, media_id)
            await reply()(scope, receive, send)
            return
        async with media_node.read(self._webapp.ports, media_id) as reading:
            await _send(reading, send, head=scope["method"] == "HEAD")


async def _send(reading: Reading, send: Send, head: bool) -> None:
    """Every block waits until the one before has left, so that a slow reader holds one block."""
    headers = [
        (b"content-type", reading.media.mime.encode("latin-1")),
        (b"content-length", str(reading.content.size).encode()),
        (b"content-disposition", f"attachment; filename={reading.media.id}".encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    left = reading.content.size
    if not head:
        async for block in reading.content.blocks:
            await send({"type": "http.response.body", "body": block, "more_body": True})
            left -= len(block)
        if left:
            raise Fault(MEDIA_CHANGED, "The file was cut short by hand while it was being read: fetch it again.")
    await send({"type": "http.response.body", "body": b""})
