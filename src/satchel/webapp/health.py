"""Whether the node lives and whether it can work. Without a token and without detail."""

from starlette.types import Receive, Scope, Send

from satchel.db import hosts
from satchel.domain.errors import Later
from satchel.webapp import Webapp
from satchel.webapp.replies import reply

FRESH = 5.0
"""A Coreapp whose last beat is older, in seconds, counts as gone."""


class Live:
    """This process answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await reply()(scope, receive, send)


class Ready:
    """Database, volume, a living Coreapp, and an upstream that answers it."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lacking = await self._lacking()
        await reply({"ready": not lacking, "lacking": lacking}, 503 if lacking else 200)(scope, receive, send)

    async def _lacking(self) -> list[str]:
        ports = self._webapp.ports
        try:
            cores = [host for host in await ports.db.read(lambda tx: hosts.all_of(tx, "core")) if host.age < FRESH]
        except Later:
            return ["database"]
        checks = {
            "volume": await ports.volume.present(),
            "coreapp": bool(cores),
            "upstream": any(core.stats.get("upstream") == "connected" for core in cores),
        }
        return [name for name, fine in checks.items() if not fine]
