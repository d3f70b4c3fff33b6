"""/v1/certificates/webhooks/ca: who is trusted, beside the usual, when callbacks go out over https."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from satchel.db import settings
from satchel.domain.errors import NOT_FOUND, PARAMETER_INVALID, Fault
from satchel.egress import trusting
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class WebhookCa:
    """One certificate or a bundle, in PEM form. It takes effect with the next callback."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, headers = self._webapp.gate, bodies.headers_of(scope)
        admin = await gate.admin(headers)
        db = self._webapp.ports.db
        if scope["method"] == "POST":
            pem = _checked(await gate.then(headers, bodies.whole(receive)))
            await db.write(lambda tx: settings.put(tx, settings.WEBHOOK_CA, pem, admin.name))
            await reply()(scope, receive, send)
        elif scope["method"] == "DELETE":
            await db.write(lambda tx: settings.drop(tx, settings.WEBHOOK_CA))
            await reply()(scope, receive, send)
        else:
            kept = await db.read(lambda tx: settings.get(tx, settings.WEBHOOK_CA))
            if kept is None:
                raise Fault(NOT_FOUND, "No certificate was uploaded: POST one in PEM form as text/plain.")
            await Response(kept, media_type="text/plain")(scope, receive, send)


def _checked(body: bytes) -> str:
    try:
        pem = body.decode("ascii")
        trusting(pem)
    except ValueError as error:
        raise Fault(PARAMETER_INVALID, f"The body must be certificates in PEM form, as text/plain: {error}.") from None
    return pem
