"""POST /_satchel/v1/upstream-events: what the upstream reports. 200 only after the commit."""

import structlog
from starlette.types import Receive, Scope, Send

from satchel.domain.errors import Fault
from satchel.flows import events
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import error_reply, reply

log = structlog.get_logger("satchel.webapp")


class UpstreamEvents:
    """Authorised by the body's signature, not by a token."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp
        self._refused = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = bodies.headers_of(scope)
        body = await bodies.whole(receive)
        try:
            taken = await events.absorb(self._webapp.ports, headers, body)
        except Fault as fault:
            self._note(fault.details)
            await error_reply(fault, scope["path"])(scope, receive, send)
            return
        self._note("")
        await reply({"taken": taken})(scope, receive, send)

    def _note(self, refused: str) -> None:
        """The upstream repeats what is refused, again and again: why is said when it changes, and when it is over."""
        if refused and refused != self._refused:
            log.warning("upstream_events_refused", details=refused)
        elif self._refused and not refused:
            log.info("upstream_events_taken")
        self._refused = refused
