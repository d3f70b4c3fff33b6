"""What Coreapp does by the clock: say that it lives, follow the upstream's clock and the room on the volume, finish deletions, arm lanes
that sleep by mistake.

Every Coreapp does all of it; each chore may run twice at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from satchel.db import Tx, brake, callbacks, contacts, downloads, idempotency, lanes, messages, preps, reuploads, settings, tokens
from satchel.db import gc_runs as gc_rows
from satchel.domain.errors import Fault, Later
from satchel.flows import Ports, beat, gc_runs, media_node, parking, reconcile, retention, room, worlds
from satchel.observe.figures import snapshot
from satchel.observe.metrics import PROCESS
from satchel.upstream import State

log = structlog.get_logger("satchel.coreapp")
MEASURE, FOLLOW, SWEEP, LOOK = 3.0, 10.0, 60.0, 3600.0
"""Seconds between two runs of each chore."""
FIRST_RETRY = 0.1


class Chores:
    """`name`: of this instance in the host table."""

    def __init__(self, ports: Ports, name: str) -> None:
        self._ports = ports
        self._name = name
        self._upstream = "connecting"
        self._room = room.UNSEEN

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_each(FOLLOW, self._follow))
            group.create_task(_each(beat.EVERY, self._beat))
            group.create_task(_each(SWEEP, self._sweep))
            group.create_task(_each(MEASURE, self._measure))
            group.create_task(_each(LOOK, self._look))
            group.create_task(_each(SWEEP, self._nightly))

    async def leave(self) -> None:
        """Stopped in order: take the beat away."""
        await beat.leave(self._ports.db, self._name)

    async def _beat(self) -> None:
        await beat.beat(self._ports.db, self._name, "core", self._stats())

    def _stats(self) -> dict[str, Any]:
        said = {"upstream": self._upstream, "profile": self._ports.limits.profile, "metrics": snapshot(PROCESS)}
        return {**said, **room.said(self._room)}

    async def _follow(self) -> None:
        """Learn the upstream's world and clock. An upstream event that brought newer ones while we asked is not overwritten."""
        before = await self._ports.db.read(settings.upstream)
        try:
            state = await self._ports.upstream.state()
        except (Later, Fault) as error:
            self._upstream = "disconnected"
            raise Later(error.situation, error.details) from error
        self._upstream = "connected"
        if before != (state.world, state.offset):
            await self._ports.db.write(partial(_learn, state=state, before=before, host=self._name))
        await self._beat()

    async def _measure(self) -> None:
        """Look at the room on the volume: whoever waits for some is woken, and a mark that is crossed is told.

        While it is short, what was made and nobody has been sent goes first.
        """
        seen = await room.look(self._ports, self._room)
        if seen.has_grown_since(self._room):
            await room.wake(self._ports)
        self._room = seen
        await self._beat()
        await room.tell(self._ports)
        if seen.is_short:
            await retention.evict(self._ports, 0)

    async def _look(self) -> None:
        await reconcile.report_strays(self._ports)
        await reconcile.sweep_renditions(self._ports)
        await reconcile.sweep_parts(self._ports)
        await retention.evict(self._ports, self._ports.limits.retention.spare_renditions)

    async def _nightly(self) -> None:
        await gc_runs.nightly(self._ports, time.time())

    async def _sweep(self) -> None:
        await media_node.bury(self._ports)
        for prune in (
            idempotency.prune,
            brake.prune,
            tokens.prune,
            preps.prune,
            contacts.prune,
            callbacks.prune,
            downloads.prune,
            reuploads.prune,
        ):
            await self._ports.db.write(prune, durable=False)
        for name in await self._ports.db.read(messages.asleep):
            await self._arm(name, messages.kind_of(name))
        for rows in (callbacks, downloads, reuploads, gc_rows):
            for name in await self._ports.db.read(rows.asleep):
                await self._arm(name, rows.KIND)
        for name in await self._ports.db.read(preps.asleep):
            await self._arm(name, preps.kind_of(name))
        for prep in await self._ports.db.read(preps.overslept):
            for name in await self._ports.db.write(partial(parking.wake_all, prep_id=prep)):
                log.error("lane_overslept", lane=name, prep=prep)

    async def _arm(self, name: str, kind: str) -> None:
        """Such a lane should not be: this makes good an error of ours."""
        log.error("lane_asleep", lane=name)
        await self._ports.db.write(partial(lanes.wake, name=name, kind=kind))


def _learn(tx: Tx, state: State, before: tuple[str | None, float], host: str) -> None:
    if settings.upstream(tx) == before:
        worlds.learn(tx, state.world, state.offset, host)


async def _each(seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Run a chore every so many seconds; one that is put off comes again soon, and less soon each time. Why is said when it changes."""
    retry, name, why = FIRST_RETRY, chore.__name__.strip("_"), ""
    while True:
        try:
            await chore()
            if why:
                log.info("chore_goes_on", chore=name)
            retry, why = FIRST_RETRY, ""
            await asyncio.sleep(seconds)
        except (Later, Fault) as error:
            if error.details != why:
                log.warning("chore_put_off", chore=name, details=error.details)
            why = error.details
        except Exception:
            log.exception("unexpected", chore=name)
        else:
            continue
        await asyncio.sleep(min(retry, seconds))
        retry *= 2
