"""The way of upstream events to the node: signed POSTs, repeated until each is confirmed with 200. Rows and JSON: `events.py`."""

import asyncio
import importlib
import logging
import ssl
import time
from typing import TYPE_CHECKING

from . import events
from .chaos import Chaos
from .events import Pending
from .store import Store
from .world import load

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("sandbox.outbox")

PATH = "/_satchel/v1/upstream-events"
BATCH = 100  # upstream events in one body
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds
TIMEOUT = 10.0  # seconds for one POST
NO_ANSWER, FRESH = 0, -1  # in place of a status; FRESH: none yet
BOTH_START = 10.0  # seconds in which a node that does not answer yet is no news: it starts beside us


class Poster:
    """Posts one signed body to the node; one client for the life of the process. `trust`: for https, None for the machine's own."""

    def __init__(self, node: str, secret: str, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust or True
        self._url = node.rstrip("/") + PATH
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes) -> int:
        """The node's status, or NO_ANSWER. The signature's time is the time of this attempt."""
        http = await asyncio.to_thread(importlib.import_module, "aiohttp")  # 0.2 s of import: after the start, off the loop
        if self._session is None:
            self._session = http.ClientSession(timeout=http.ClientTimeout(total=TIMEOUT), trust_env=False)
        headers = {
            "Content-Type": "application/json",
            "Satchel-Sandbox-Signature": events.sign(self._secret, body, int(time.time())),
        }
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False, ssl=self._trust) as answer:
                return int(answer.status)
        except (http.ClientError, TimeoutError, OSError):
            return NO_ANSWER

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class Outbox:
    """Sends the oldest unconfirmed upstream event of each lane, up to BATCH lanes in a POST, one POST at a time.

    No answer, 5xx, 401, 408 and 429 concern the node: everything waits and is repeated. Any other refusal concerns the body:
    it is halved until one upstream event is left, whose lane is then set aside for a while so that the others go on.
    """

    def __init__(self, store: Store, poster: Poster, chaos: Chaos) -> None:
        self._store, self._poster, self._chaos = store, poster, chaos
        self._confirmation = asyncio.Event()
        self._last_status, self._until = FRESH, time.monotonic() + BOTH_START
        self.restart()

    def restart(self) -> None:
        """Forget what earlier attempts taught (a new world, or the node is asked for at once)."""
        self._more, self._hurry = asyncio.Event(), asyncio.Event()
        self._more.set()
        self._wait, self._limit = FIRST_WAIT, BATCH
        self._aside: dict[str, tuple[float, float]] = {}  # lane -> (loop time to try again, wait before that)

    def wake(self) -> None:
        """There are new rows."""
        self._more.set()

    def hurry(self) -> None:
        """There are new rows, and somebody waits for them: cut the present wait short."""
        self._more.set()
        self._hurry.set()

    async def told(self) -> None:
        """Return when the node has confirmed every upstream event that is stored by now."""
        last = await self._store.read(events.last)
        self.hurry()
        while True:
            confirmation = self._confirmation
            if await self._store.read(lambda tx: events.told(tx, last)):
                return
            await confirmation.wait()

    async def step(self) -> None:
        """One POST, or one wait for something to post."""
        self._more.clear()
        self._hurry.clear()  # before the rows are read: whoever hurries from now on is heard
        now = asyncio.get_running_loop().time()
        aside = {lane for lane, (due, _) in self._aside.items() if due > now}
        world, batch = await self._store.read(lambda tx: (load(tx).id, events.heads(tx, aside, self._limit)))
        if batch:
            await self._send(world, batch)
        else:
            due = min((due for due, _ in self._aside.values() if due > now), default=None)
            await within(self._more, None if due is None else due - now)

    async def _send(self, world: str, batch: list[Pending]) -> None:
        chaos = await self._chaos.strike("events")
        status = NO_ANSWER if chaos else await self._poster.post(events.envelope(world, batch))
        self._note(status)
        if status == 200:
            await self._store.write(lambda tx: events.remove(tx, batch))
            self._confirmed(batch)
        elif 400 <= status < 500 and status not in (401, 408, 429):
            self._refused(batch)
        else:
            await within(self._hurry, self._wait)
            self._wait = min(self._wait * 2, LONGEST_WAIT)

    def _confirmed(self, batch: list[Pending]) -> None:
        self._wait, self._limit = FIRST_WAIT, min(self._limit * 2, BATCH)
        for item in batch:
            self._aside.pop(item.lane, None)
        confirmation, self._confirmation = self._confirmation, asyncio.Event()
        confirmation.set()

    def _refused(self, batch: list[Pending]) -> None:
        if len(batch) > 1:
            self._limit = len(batch) // 2
            return
        _, wait = self._aside.get(batch[0].lane, (0.0, FIRST_WAIT / 2))
        wait = min(wait * 2, LONGEST_WAIT)
        self._aside[batch[0].lane] = (asyncio.get_running_loop().time() + wait, wait)
        self._limit = BATCH

    def _note(self, status: int) -> None:
        if status == NO_ANSWER and self._last_status == FRESH and time.monotonic() < self._until:
            return
        if status != self._last_status and (status, self._last_status) != (200, FRESH):
            said = f"the node answers {status}" if status else "the node does not answer"
            hint = ": start both with the same secret" if status == 401 else ""
            log.log(logging.INFO if status == 200 else logging.WARNING, "%s to upstream events%s", said, hint)
        self._last_status = status


async def within(event: asyncio.Event, seconds: float | None) -> bool:
    """Whether the event came in time."""
    try:
        async with asyncio.timeout(seconds):  # wait_for loses a cancellation that comes together with the event
            await event.wait()
    except TimeoutError:
        return False
    return True
