"""POST /v1/messages, and PUT /v1/messages/{id}, which says that one was read."""

import hashlib

from starlette.types import Receive, Scope, Send

from satchel.db.idempotency import Request
from satchel.domain.errors import PARAMETER_INVALID, PARAMETER_MISSING, Fault
from satchel.domain.members import shown
from satchel.domain.messages import parse
from satchel.flows import receipts
from satchel.flows import send as sending
from satchel.webapp import Webapp, bodies, keys
from satchel.webapp.replies import reply


class Messages:
    """Accepts messages; what becomes of them is told by callbacks."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = bodies.headers_of(scope)
        user = await self._webapp.gate.user(headers)
        key = keys.idempotency_key(headers)
        body = await self._webapp.gate.then(headers, bodies.whole(receive))
        given = bodies.json_of(body)
        message = parse(given)
        request = Request(user.name, key, hashlib.sha256(b"message\0" + body).hexdigest()) if key else None
        accepted = await sending.accept(self._webapp.ports, message, request)
        contact = {"input": given["to"], "wa_id": message.to}
        answer = {"contacts": [contact], "messages": [{"id": accepted.id}]}
        await reply(answer, self._webapp.config.created, keys.replayed(accepted.replayed))(scope, receive, send)


class OneMessage:
    """A message that was received: the business says that it has read it."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        await gate.user(headers)
        said = await gate.then(headers, bodies.members(receive))
        if said.get("status") is None:
            raise Fault(PARAMETER_MISSING, 'status is missing: send {"status": "read"}.')
        if said["status"] != "read":
            raise Fault(PARAMETER_INVALID, f'status must be "read", not {shown(said["status"])}.')
        await receipts.mark_read(self._webapp.ports, scope["path_params"]["id"].replace("\0", ""))
        await reply()(scope, receive, send)
