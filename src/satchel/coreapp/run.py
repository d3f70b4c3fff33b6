"""Coreapp as a whole: the worker and the chores, which live and stop together."""

import asyncio

from satchel.coreapp.chores import Chores
from satchel.coreapp.worker import Worker


class Coreapp:
    """Run it once."""

    def __init__(self, worker: Worker, chores: Chores) -> None:
        self._worker = worker
        self._chores = chores

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the heads in work are settled."""
        self._worker.stop()

    async def run(self) -> None:
        """Until `stop`; when either half breaks, both end and what broke is raised."""
        work, clock = asyncio.create_task(self._worker.run()), asyncio.create_task(self._chores.run())
        try:
            await asyncio.wait({work, clock}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._worker.stop()
            clock.cancel()
            outcomes = await asyncio.gather(work, clock, return_exceptions=True)
            await self._chores.leave()
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome
