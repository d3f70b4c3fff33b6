"""The network as a whole: what its doors (`wire.py`, `control.py`) may ask of it, and which world is the present one.

Order everywhere: create = bytes, row, promise; destroy = promise, row, bytes. A caller is answered after the commit.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from . import copies, events, messages, world
from .clock import Clock
from .copies import Copy
from .envelope import Envelope
from .errors import Refusal, invalid
from .outbox import Outbox
from .phone import Phones, open_copy
from .ports import Ports
from .store import Tx
from .vault import HashMismatch
from .workers import end, forever

log = logging.getLogger("sandbox.network")

_NODE_PATIENCE = 2.0  # seconds a reset or a moved clock waits for the node to take the news


class Network:
    """One simulated network. `start` before anything else, `stop` at the end."""

    def __init__(self, ports: Ports, phones_root: Path, durable: bool) -> None:
        self._ports = ports
        self.store = ports.store
        self.clock = Clock()
        self.outbox = Outbox(ports.store, ports.poster)
        self.phones = Phones(ports, self.clock, self.outbox, phones_root, durable)
        self._changing = asyncio.Lock()  # one reset or clock change at a time
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.world = await self.store.write(world.load)
        self.clock.offset = self.world.offset
        await self._ports.vault.open(self.world.id)
        # Bytes that are over leave here and at a reset, when no upload can be putting the same bytes back.
        over = await self.store.read(lambda tx: copies.over(tx, self.clock.now()))
        await self._ports.vault.drop(self.world.id, over)
        await self._begin()

    async def stop(self) -> None:
        self.phones.bells.silence()
        await self._pause()
        await self._ports.poster.close()
        await self.store.close()

    async def _begin(self) -> None:
        self.outbox.restart()
        await self.phones.start(self.world)
        self._tasks.append(asyncio.create_task(forever(self.outbox.step)))

    async def _pause(self) -> None:
        await end(self._tasks)
        await self.phones.stop()

    async def look(self, token: str) -> Copy | None:
        """The live copy of a token, whose 14 days start anew; None = upload it."""
        now = self.clock.now()
        if not await self._ports.vault.holds(self.world.id, token):
            return None

        def refresh(tx: Tx) -> Copy | None:
            copy = copies.find(tx, token, now)
            return copies.refresh(tx, copy, now) if copy else None

        return await self.store.write(refresh)

    async def upload(self, kind: str, token: str, body: AsyncIterator[bytes]) -> Copy:
        """Take one encrypted blob in."""
        present = self.world.id
        try:
            size = await self._ports.vault.put(present, token, body)
        except HashMismatch:
            raise Refusal(
                400, "hash_mismatch", f"The SHA-256 of the body is not the token {token}: send the bytes it was made of."
            ) from None
        except FileNotFoundError:
            raise Refusal(503, "world_changed", "The vault's folder went away during this upload: upload again.") from None
        try:
            copy = await self.store.write(lambda tx: copies.keep(tx, present, token, kind, size, self.clock.now()))
        except Refusal:
            await self._ports.vault.drop(present, [token])
            raise
        log.info("encrypted blob %s: %d bytes, kept", token, size)
        return copy

    async def send(self, message: Envelope) -> float:
        """Take one message in; the network time of its intake, the first one if the id is known."""
        at = await self.store.write(lambda tx: messages.accept(tx, message, self.clock.now()))
        log.info("message %s for %s accepted", message.id, message.to)
        self.phones.arrived()
        self.outbox.wake()
        return at

    async def download(self, direct_path: str) -> Path:
        """The file behind a direct_path."""
        return await open_copy(self._ports, direct_path, self.clock.now())

    async def advance(self, seconds: float) -> None:
        """Move network time forward; returns when the node knows or has had its chance."""
        async with self._changing:
            event_id, offset = events.new_id(), self.clock.offset + seconds
            if not seconds > 0 or offset > 200 * 365 * 86400:
                raise invalid("The clock only moves forward, and by no more than 200 years.")
            taken = self.outbox.watch(event_id)
            await self.store.write(lambda tx: world.move(tx, offset, event_id))
            self.clock.offset = offset
            log.info("the clock is %.0f s ahead", offset)
            await self._tell(event_id, taken)

    async def reset(self) -> str:
        """Forget everything, begin a new world, and return its id when the node knows or has had its chance."""
        async with self._changing:
            event_id, old = events.new_id(), self.world.id
            taken = self.outbox.watch(event_id)
            await self._pause()  # nobody works for the old world any more
            try:
                self.world = await self.store.write(lambda tx: world.renew(tx, event_id))
                self.clock.offset = 0.0
                await self._ports.vault.open(self.world.id)
            finally:
                await self._begin()
            log.info("world %s was reset, the new one is %s", old, self.world.id)
            self.phones.bells.ring_all()
            await self._tell(event_id, taken)
            return self.world.id

    async def _tell(self, event_id: str, taken: asyncio.Event) -> None:
        self.outbox.hurry()
        try:
            await asyncio.wait_for(taken.wait(), _NODE_PATIENCE)
        except TimeoutError:
            log.warning("the node has not confirmed the state yet; it goes on being told")
        finally:
            self.outbox.unwatch(event_id)
