"""A Webapp's beat: the other Webapps show its figures, too, for as long as it says that it lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from satchel.db import Database
from satchel.domain.errors import Later
from satchel.flows import beat
from satchel.observe.figures import snapshot
from satchel.observe.metrics import FACE, PROCESS

log = structlog.get_logger("satchel.webapp")


@asynccontextmanager
async def beating(db: Database, name: str) -> AsyncIterator[None]:
    """Beat while the context lasts; a stop in order takes the beat away."""
    task = asyncio.create_task(_beat(db, name))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        await beat.leave(db, name)


async def _beat(db: Database, name: str) -> None:
    while True:
        try:
            await beat.beat(db, name, "web", {"metrics": snapshot(PROCESS, FACE)})
        except Later as later:
            log.warning("beat_put_off", details=later.details)
        except Exception:
            log.exception("unexpected")
        await asyncio.sleep(beat.EVERY)
