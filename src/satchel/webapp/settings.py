"""GET and PATCH /v1/settings/application."""

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from satchel.db import settings as rows
from satchel.domain.application import shown
from satchel.flows import application
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Application:
    """What On-Premises keeps in its database and not in files."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        admin = await self._webapp.gate.admin(Headers(scope=scope).get("authorization"))
        if scope["method"] == "PATCH":
            patch = await bodies.json(receive)
            await application.change(self._webapp.ports.db, patch, admin.name)
            await reply()(scope, receive, send)
            return
        stored = await self._webapp.ports.db.read(rows.application)
        await reply({"settings": {"application": shown(stored)}})(scope, receive, send)
