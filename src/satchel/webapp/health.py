"""Whether the node lives and whether it can work: without a token and without detail, or as On-Premises tells it."""

from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from satchel.db import Tx, hosts, preps
from satchel.db.hosts import Host
from satchel.domain import room
from satchel.domain.errors import Later
from satchel.domain.hosts import node_of
from satchel.flows import Ports
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
            if not cores:  # all gone at once are perhaps alive, and the database's disk is full
                await ports.db.write(partial(hosts.touch, id_=self._webapp.name), durable=False)
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
            node_of(core.id): {"gateway_status": _state(core), "role": "coreapp" if number else "primary_master"}
            for number, core in enumerate(cores)
        }
    return {"gateway_status": _state(cores[0]) if cores else "disconnected"}


def _state(core: Host) -> str:
    said = core.stats.get("upstream")
    return str(said) if said in STATES else "uninitialized"


class Detail:
    """GET /_satchel/v1/health: what /v1/health has no form for, such as the room on the volume and what stops for want of it."""

    def __init__(self, webapp: Webapp) -> None:
        self._webapp = webapp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._webapp.gate.observer(bodies.headers_of(scope))
        ports = self._webapp.ports
        cores, waiting = await ports.db.read(lambda tx: (_cores(tx), preps.waiting_for_room(tx)))
        seen = [{"id": core.id, "upstream": _state(core), "volume": (core.stats.get("volume") or {}).get("level")} for core in cores]
        volume = {**await _volume(ports), "waiting_for_room": waiting}
        await reply({"health": {"volume": volume, "coreapps": seen}})(scope, receive, send)


async def _volume(ports: Ports) -> dict[str, Any]:
    """As this Webapp sees it. Sizes in bytes, times in seconds."""
    try:
        space = await ports.volume.space()
    except Later as later:
        return {"level": "missing", "stops": room.STOPS["missing"], "details": later.details}
    level = room.level(space, ports.limits.high_water)
    return {
        "level": level,
        "stops": room.STOPS[level],
        "details": f"The media volume is {room.told(space)}.",
        "total": space.total,
        "free": space.free,
        "high_water_below": int((1 - ports.limits.high_water) * space.total),
        "uploads_refused_below": room.kept(space, urgent=False)[0],
        "full_below": room.kept(space, urgent=True)[0],
        "wait_for_room": ports.limits.wait_for_room,
    }
