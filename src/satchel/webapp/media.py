"""POST /v1/media, GET, HEAD and DELETE /v1/media/{id}, as plain ASGI: bodies stream both ways. And GET /v1/media/{id}/download."""

from starlette.types import Receive, Scope, Send

from satchel.flows import download, media_node, reading
from satchel.webapp import Webapp, bodies, digests, keys
from satchel.webapp.downloads import Download
from satchel.webapp.replies import reply


class Media:
    """The collection: uploads."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = bodies.headers_of(scope)
        user = await self._webapp.gate.user(headers)
        key = keys.idempotency_key(headers)
        file = await bodies.file_of(scope, headers, receive)
        upload = media_node.Upload(file.mime, user.name, file.length, digests.sha256_of(headers), key)
        uploaded = await media_node.upload(self._webapp.ports, digests.checked(file.blocks, headers), upload)
        answer = {"media": [{"id": uploaded.id}]}
        await reply(answer, self._webapp.config.created, keys.replayed(uploaded.replayed))(scope, receive, send)


class OneMedia:
    """One media: its bytes, its end."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = bodies.headers_of(scope)
        media_id = scope["path_params"]["id"]
        if scope["method"] == "DELETE":
            user = await self._webapp.gate.user(headers)
            await media_node.delete(self._webapp.ports, media_id, user.name)
            await reply()(scope, receive, send)
            return
        media = await self._webapp.gate.user_and(headers, reading.look_for(media_id))
        opened = await reading.open_media(self._webapp.ports, media_id, media)
        try:
            await Download(opened, scope, headers, send).run()
        finally:
            opened.content.close()


class MediaDownload:
    """A received media that is to be fetched from the network once more: a GET that starts something, as it was."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.user(bodies.headers_of(scope))
        media_id = scope["path_params"]["id"]
        if scope["method"] == "GET":  # a HEAD starts nothing
            await download.ask(self._webapp.ports, media_id)
        await reply({"media_items": [{"id": media_id}]})(scope, receive, send)
