"""PUT /v1/services/media/gc and /v1/services/message/gc: asks for a run of gc, which a Coreapp does and a callback tells."""

from starlette.types import Receive, Scope, Send

from satchel.db.gc_runs import What
from satchel.flows import gc_runs
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply


class Gc:
    """`name`: in the answer, as in the address; `what` is cleaned up. A body is not needed and not read."""

    def __init__(self, webapp: Webapp, name: str, what: What) -> None:
        self._webapp = webapp
        self._name = name
        self._what = what

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        admin = await self._webapp.gate.admin(bodies.headers_of(scope))
        await gc_runs.ask(self._webapp.ports.db, self._what, admin.name)
        await reply({"services": {self._name: {"gc": {"status": "processing"}}}})(scope, receive, send)
