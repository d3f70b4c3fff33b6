"""POST /_satchel/v1/upstream-events: what the upstream reports. 200 only after the commit."""

from starlette.types import Receive, Scope, Send

from satchel.flows import events
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class UpstreamEvents:
    """Authorised by the body's signature, not by a token."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = bodies.headers_of(scope)
        taken = await events.absorb(self._webapp.ports, headers, await bodies.whole(receive))
        await reply({"taken": taken})(scope, receive, send)
