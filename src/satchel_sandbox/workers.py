"""Loops that run until they are stopped and survive whatever goes wrong in one round."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("sandbox.worker")

_PAUSE = 1.0  # seconds after a round that failed for a reason nobody foresaw (disk full, database locked)


async def forever(step: Callable[[], Awaitable[None]]) -> None:
    """Run one step after the other; a step must leave its work where the next one finds it again."""
    while True:
        try:
            await step()
        except Exception:
            log.exception("a round failed and is tried again in %.0f s", _PAUSE)
            await asyncio.sleep(_PAUSE)


async def end(tasks: list["asyncio.Task[None]"]) -> None:
    """Cancel and wait until the last one has let go."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()
