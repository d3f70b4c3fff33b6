"""The /sandbox/... API for the network as a whole: state, clock, chaos, reset. Loopback only, no token. Phones: `control_phones.py`."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import bodies, chaos, events, phone, shown
from .clock import rfc3339
from .network import Network
from .replies import reply
from .store import Tx

MOST_TOLD = 1000  # steps of a moved clock that its answer lists


class Control:
    """Handlers over one network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/readyz", self._ready),
            Route("/sandbox/status", self._status),
            Route("/sandbox/clock", self._clock),
            Route("/sandbox/clock", self._advance, methods=["PUT"]),
            Route("/sandbox/chaos", self._chaos),
            Route("/sandbox/chaos", self._set_chaos, methods=["PUT"]),
            Route("/sandbox/seed", self._seed, methods=["POST"]),
            Route("/sandbox/reset", self._reset, methods=["POST"]),
        ]

    async def _ready(self, _: Request) -> Response:
        return reply({"ready": True})

    async def _status(self, _: Request) -> Response:
        def count(tx: Tx) -> dict[str, object]:
            phones = phone.listing(tx)
            has, waits = sum(row[1] for row in phones), sum(row[2] for row in phones)
            return {"phones": len(phones), "messages": has, "waiting": waits, "events_waiting": events.waiting(tx)}

        counts = await self._network.store.read(count)
        stages = sorted(self._network.chaos.stages)
        return reply({"world": self._network.world.id, **self._time(), **counts, "chaos": stages})

    def _time(self) -> dict[str, object]:
        clock = self._network.clock
        return {"now": rfc3339(clock.now()), "offset": clock.offset}

    async def _clock(self, _: Request) -> Response:
        return reply(self._time())

    async def _advance(self, request: Request) -> Response:
        move = bodies.read(await request.body(), bodies.ClockMove)
        ran = await self._network.advance(move.seconds(self._network.clock.now()))
        return reply({**self._time(), "ran": [shown.ran(one) for one in ran[:MOST_TOLD]]})

    async def _chaos(self, _: Request) -> Response:
        return reply(msgspec.to_builtins(self._network.chaos.stages))

    async def _set_chaos(self, request: Request) -> Response:
        self._network.chaos.set(chaos.parse(await request.body()))
        return await self._chaos(request)

    async def _seed(self, request: Request) -> Response:
        seed = bodies.read(await request.body(), bodies.Seed).random_seed
        self._network.chaos.seed(seed)
        return reply({"random_seed": seed})

    async def _reset(self, _: Request) -> Response:
        return reply({"world": await self._network.reset()})
