"""Whether the node lives and whether it can work: without a token and without detail, or as On-Premises tells it."""

from typing import Any

from starlette.types import Receive, Scope, Send

from satchel.db import Tx, hosts
from satchel.db.hosts import Host
from satchel.domain.errors import Later
from satchel.webapp import Webapp, bodies
from satchel.webapp.replies import reply

STATES = {"connected", "connecting", "disconnected", "uninitialized"}


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
            cores = await ports.db.read(_cores)
        except Later:
            return ["database"]
        checks = {
            "volume": await ports.volume.present(),
            "coreapp": bool(cores),
            "upstream": any(core.stats.get("upstream") == "connected" for core in cores),
        }
        return [name for name, fine in checks.items() if not fine]


class Health:
    """GET /v1/health: one state while there is one Coreapp, else one for each."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.observer(bodies.headers_of(scope))
        await reply({"health": told(await self._webapp.ports.db.read(_cores))})(scope, receive, send)


def _cores(tx: Tx) -> list[Host]:
    return hosts.living(tx, "core")


def told(cores: list[Host]) -> dict[str, Any]:
    """All Coreapps are equal; the first by name is called the primary master, since old tools look for one."""
    if len(cores) > 1:
        return {
            _key(core.id): {"gateway_status": _state(core), "role": "coreapp" if number else "primary_master"}
            for number, core in enumerate(cores)
        }
    return {"gateway_status": _state(cores[0]) if cores else "disconnected"}


def _state(core: Host) -> str:
    said = core.stats.get("upstream")
    return str(said) if said in STATES else "uninitialized"


def _key(id_: str) -> str:
    """`<host>:<container>`; a host's name may have dots itself."""
    host, *instance = id_.rsplit(".", 3)
    return f"{host}:{'.'.join(instance)}"
