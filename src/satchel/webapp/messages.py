"""POST /v1/messages."""

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from satchel.domain.messages import parse
from satchel.flows import send as sending
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Messages:
    """Accepts messages; what becomes of them is told by callbacks."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.user(Headers(scope=scope).get("authorization"))
        given = await bodies.json(receive)
        message = parse(given)
        message_id = await sending.accept(self._webapp.ports, message)
        contact = {"input": given["to"], "wa_id": message.to}
        await reply({"contacts": [contact], "messages": [{"id": message_id}]}, self._webapp.config.created)(scope, receive, send)
