"""Phones: they take messages from the server, fetch the media, check and decrypt it, and keep the plain bytes.

Always online, always downloading by themselves, never reading. The order of steps is here; the checks are in `decrypt.py`.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from . import copies, files, messages
from .bells import Bells
from .clock import Clock
from .decrypt import Damaged, Stopped, open_into
from .envelope import Media
from .errors import Refusal
from .messages import Message
from .outbox import Outbox
from .ports import Ports
from .workers import end, forever
from .world import World, load

log = logging.getLogger("sandbox.phone")

_AT_ONCE = 4  # downloads that run side by side


class Phones:
    """All phones of one world. A message goes server -> queued -> downloading -> downloaded or unavailable, each step durable."""

    def __init__(self, ports: Ports, clock: Clock, outbox: Outbox, root: Path, durable: bool) -> None:
        self._ports, self._clock, self._outbox = ports, clock, outbox
        self._root, self._durable = root, durable
        self.bells = Bells()
        self._arrived = asyncio.Event()
        self._stop = Event()
        self._threads = ThreadPoolExecutor(_AT_ONCE, "phone")
        self._tasks: list[asyncio.Task[None]] = []

    def file(self, world: World, message: Message) -> Path:
        """Where a phone keeps a message's plain bytes."""
        return self._root / world.id / message.phone / str(message.seq)

    async def start(self, world: World) -> None:
        """Begin, or go on where an earlier process was killed."""
        await asyncio.to_thread(files.open_world, self._root, world.id, self._durable)
        self._world = world
        self._stop, self._threads = Event(), ThreadPoolExecutor(_AT_ONCE, "phone")
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        for message in await self._ports.store.read(messages.unfinished):
            self._queue.put_nowait(message)
        self._arrived.set()
        self._tasks = [asyncio.create_task(forever(step)) for step in [self._deliver] + [self._download] * _AT_ONCE]

    async def stop(self) -> None:
        """Let go of everything; no thread of this world writes any more when it returns."""
        self._stop.set()
        await end(self._tasks)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def arrived(self) -> None:
        """The server has a message for a phone."""
        self._arrived.set()

    async def _deliver(self) -> None:
        await self._arrived.wait()
        self._arrived.clear()
        try:
            delivered = await self._ports.store.write(lambda tx: messages.deliver(tx, self._clock.now()))
        except Exception:
            self._arrived.set()
            raise
        self._outbox.wake()
        for message in delivered:
            log.info("message %s reached phone %s", message.id, message.phone)
            if message.envelope.media:
                self._queue.put_nowait(message)
            self.bells.ring(message.phone)

    async def _download(self) -> None:
        message = await self._queue.get()
        try:
            await self._fetch(message)
        except Exception:
            self._queue.put_nowait(message)
            raise
        self.bells.ring(message.phone)

    async def _fetch(self, message: Message) -> None:
        store, media = self._ports.store, message.envelope.media
        assert media is not None  # only messages with media are queued
        await store.write(lambda tx: messages.set_state(tx, message.seq, "downloading"))
        self.bells.ring(message.phone)
        try:
            await self._keep(message, media)
        except (Damaged, Refusal) as fault:
            reason = str(fault)
            log.warning("message %s is unavailable on phone %s: %s", message.id, message.phone, reason)
            await store.write(lambda tx: messages.set_state(tx, message.seq, "unavailable", reason))
            # a process that was killed between file and row may have left it
            await asyncio.to_thread(self.file(self._world, message).unlink, missing_ok=True)
        else:
            log.info("message %s is downloaded on phone %s", message.id, message.phone)
            await store.write(lambda tx: messages.set_state(tx, message.seq, "downloaded"))

    async def _keep(self, message: Message, media: Media) -> None:
        source = await open_copy(self._ports, media.direct_path, self._clock.now())
        target = self.file(self._world, message)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, _open_into, source, target, media, self._durable, self._stop)
        except Stopped:
            raise asyncio.CancelledError from None


def _open_into(source: Path, target: Path, media: Media, durable: bool, stop: Event) -> None:
    if not target.parent.is_dir():
        target.parent.mkdir(exist_ok=True)
        if durable:
            files.sync_folder(target.parent.parent)
    open_into(source, target, media, durable, stop)


async def open_copy(ports: Ports, direct_path: str, now: float) -> Path:
    """The encrypted blob at an address: what a download over HTTP and a phone both use."""
    present, copy = await ports.store.read(lambda tx: (load(tx), copies.at(tx, direct_path, now)))
    if not await ports.vault.holds(present.id, copy.token):
        raise Refusal(404, "unknown_path", "The encrypted blob's file is gone from the vault: upload it again.")
    return ports.vault.path(present.id, copy.token)
