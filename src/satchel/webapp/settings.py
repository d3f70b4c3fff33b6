"""GET, PATCH and DELETE /v1/settings/application, and the one of its settings that users of hosted nodes set themselves."""

from starlette.types import Receive, Scope, Send

from satchel.db import settings as rows
from satchel.domain.application import shown
from satchel.domain.errors import PARAMETER_MISSING, Fault
from satchel.flows import application
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Application:
    """What On-Premises keeps in its database and not in files."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        admin = await gate.admin(headers)
        db = self._webapp.ports.db
        if scope["method"] == "PATCH":
            await application.change(db, await gate.then(headers, bodies.json(receive)), admin.name)
            await reply()(scope, receive, send)
        elif scope["method"] == "DELETE":
            await application.reset(db, admin.name)
            await reply()(scope, receive, send)
        else:
            stored = await db.read(rows.application)
            await reply({"settings": {"application": shown(stored)}})(scope, receive, send)


class Webhook:
    """POST /v1/configs/webhook, as 360dialog has it: there the holder of a key sets its URL, so any user may."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        user = await gate.user(headers)
        url = (await gate.then(headers, bodies.members(receive))).get("url")
        if url is None:
            raise Fault(PARAMETER_MISSING, "url is missing: the address that callbacks go to.")
        await application.change(self._webapp.ports.db, {"webhooks": {"url": url}}, user.name)
        await reply({"url": url})(scope, receive, send)
