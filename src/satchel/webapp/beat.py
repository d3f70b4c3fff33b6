"""A Webapp's beat: the other Webapps show its figures, too, for as long as it says that it lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from satchel import __version__
from satchel.db import Database, hosts
from satchel.domain.errors import Later
from satchel.observe.figures import snapshot
from satchel.observe.metrics import FACE, PROCESS

log = structlog.get_logger("satchel.webapp")
EVERY = 1.0
"""Seconds between two beats."""


@asynccontextmanager
async def beating(db: Database, name: str) -> AsyncIterator[None]:
    """Beat while the context lasts; a stop in order takes the beat away."""
    task = asyncio.create_task(_beat(db, name))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        try:
            await db.write(lambda tx: hosts.gone(tx, name), durable=False)
        except Later:
            pass


async def _beat(db: Database, name: str) -> None:
    while True:
        stats = {"metrics": snapshot(PROCESS, FACE)}
        try:
            await db.write(lambda tx, stats=stats: hosts.beat(tx, name, "web", __version__, stats), durable=False)  # type: ignore[misc]
        except Later as later:
            log.warning("beat_put_off", details=later.details)
        except Exception:
            log.exception("unexpected")
        await asyncio.sleep(EVERY)
