"""Phones fetch the media of what reached them, check and decrypt it, and keep the plain bytes. The checks are in `decrypt.py`.

Plain bytes lie in one folder per world. Messages that are alike in key, hashes, length and type have the same outcome, so they share
one file, and only the first of them is decrypted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from weakref import WeakValueDictionary

from . import copies, files, given, messages
from .asking import ASKS_AFTER, Asking
from .bells import Bells
from .chaos import Chaos
from .copies import Copy
from .decrypt import Damaged, Stopped, open_into
from .envelope import Media
from .errors import Refusal
from .files import PART
from .messages import Message
from .ports import Ports
from .store import Tx
from .workers import end, forever
from .world import World

log = logging.getLogger("sandbox.phone")

_AT_ONCE = 24  # downloads under way: those that wait for a commit share it
_THREADS = 4  # of which so many decrypt
_AT_HAND = 10_000  # names to remember


class Downloads:
    """What phones fetch and what they have. A message goes queued -> downloaded, requesting or unavailable, each durable."""

    def __init__(self, ports: Ports, chaos: Chaos, bells: Bells, asking: Asking, root: Path, durable: bool) -> None:
        self._ports, self._chaos, self._bells, self._asking = ports, chaos, bells, asking
        self._root, self._durable = root, durable
        self.under_way: set[int] = set()  # seqs
        self.then: Callable[[Message], Awaitable[None]] = _nothing  # once a phone has a message's media; may be skipped by a crash
        self._at_hand: set[str] = set()  # names of plain bytes that are known to be there
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: list[asyncio.Task[None]] = []

    def file(self, message: Message) -> Path:
        """Where a phone keeps a message's plain bytes."""
        assert message.file is not None  # it has media
        return self._root / self._world.id / message.file

    async def start(self, world: World, now: float) -> None:
        """Begin, or go on where an earlier process was killed."""
        await asyncio.to_thread(_open_world, self._root, world.id, self._durable)
        self._world = world
        self._stop, self._threads = Event(), ThreadPoolExecutor(_THREADS, "phone")
        self._queue: asyncio.Queue[tuple[Message, float]] = asyncio.Queue()
        self.under_way.clear()
        self._at_hand.clear()
        for message in await self._ports.store.read(messages.unfinished):
            self.fetch(message, now)
        self._tasks = [asyncio.create_task(forever(self._step)) for _ in range(_AT_ONCE)]

    async def stop(self) -> None:
        """Let go of everything; no thread of this world writes any more when it returns."""
        self._stop.set()
        await end(self._tasks)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def close_others(self) -> list[Path]:
        """Forget the bytes of every other world; the folders to remove."""
        return await asyncio.to_thread(files.close_worlds, self._root, self._world.id)

    def fetch(self, message: Message, at: float) -> None:
        """Fetch a queued message's media; `at` is the network time of that, which may be past when the clock was moved."""
        self._queue.put_nowait((message, at))

    async def done(self) -> None:
        """Everything that was to be fetched has been."""
        await self._queue.join()

    def given(self, name: str) -> Path:
        """A file that somebody gave to a phone; refused when there is none."""
        return given.path(self._root / self._world.id, name)

    async def take_given(self, body: AsyncIterator[bytes]) -> tuple[str, int]:
        """Keep the bytes of a file that a phone is to send; their name and number."""
        return await given.take(self._root / self._world.id, body, self._durable)

    async def keep_mine(self, source: Path, name: str) -> None:
        """The plain bytes of what a phone sends, under the name that its message has."""
        await asyncio.to_thread(given.keep, source, self._root / self._world.id / name)

    async def drop(self, names: list[str]) -> None:
        """Remove plain bytes that no phone has any more."""
        for name in names:
            self._at_hand.discard(name)
            async with self._lock(name):
                if not await self._ports.store.read(lambda tx, name=name: messages.needed(tx, name)):  # type: ignore[misc]
                    await asyncio.to_thread((self._root / self._world.id / name).unlink, missing_ok=True)

    async def _step(self) -> None:
        message, at = await self._queue.get()
        self.under_way.add(message.seq)
        self._bells.ring(message.phone)
        try:
            await self._fetch(message, at)
        except Exception:
            self._queue.put_nowait((message, at))
            raise
        finally:
            self.under_way.discard(message.seq)
            self._queue.task_done()
        self._bells.ring(message.phone)

    async def _fetch(self, message: Message, at: float) -> None:
        media, name = message.envelope.media, message.file
        assert media is not None and name is not None  # only messages with media are queued
        try:
            if (status := await self._chaos.strike("download")) is not None:
                raise Refusal(status, "chaos", f"the media server answered {status}")
            async with self._lock(name):
                if name not in self._at_hand:
                    await self._keep(message, media, at)
                    self._note(name)
            # Nothing was awaited since: whoever drops the bytes asks the rows after this has been put down in them.
            await self._ports.store.write(lambda tx: _downloaded(tx, message, media, at))
            await self.then(message)
        except Refusal as refusal:
            if refusal.status in ASKS_AFTER:
                await self._asking.ask(message, str(refusal))
            else:
                await self._became(message, "unavailable", str(refusal))
            await self.drop([name])
        except Damaged as fault:
            await self._became(message, "unavailable", str(fault))
            await self.drop([name])

    async def _became(self, message: Message, state: str, reason: str) -> None:
        await self._ports.store.write(lambda tx: messages.fetched(tx, message, state, reason))
        log.warning("message %s is %s on phone %s: %s", message.id, state, message.phone, reason)

    async def _keep(self, message: Message, media: Media, at: float) -> None:
        copy = await self._ports.store.read(lambda tx: copies.at(tx, media.direct_path, at))
        source, target = self._ports.vault.path(self._world.id, copy.token), self.file(message)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, _open_into, source, target, media, self._durable, self._stop)
        except Stopped:
            raise asyncio.CancelledError from None

    def _note(self, name: str) -> None:
        if len(self._at_hand) >= _AT_HAND:
            self._at_hand.clear()
        self._at_hand.add(name)

    def _lock(self, name: str) -> asyncio.Lock:
        """Whoever writes or removes the bytes of a name holds it."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock


async def _nothing(_: Message) -> None:
    """Most phones only look."""


def _downloaded(tx: Tx, message: Message, media: Media, at: float) -> None:
    copies.at(tx, media.direct_path, at)  # also where nothing had to be fetched: another phone's copy is no copy of one's own
    messages.fetched(tx, message, "downloaded")


def _open_into(source: Path, target: Path, media: Media, durable: bool, stop: Event) -> None:
    try:
        source.stat()
        if not target.is_file():
            open_into(source, target, media, durable, stop)
    except FileNotFoundError:
        raise gone() from None


def _open_world(root: Path, world: str, durable: bool) -> None:
    for part in files.open_world(root, world, durable).rglob(f"*{PART}"):
        part.unlink()


def gone() -> Refusal:
    """The row is there and the bytes are not."""
    return Refusal(404, "unknown_path", "The encrypted blob's file is gone from the vault: upload it again.")


async def open_copy(ports: Ports, world: World, direct_path: str, now: float) -> Path:
    """The encrypted blob at an address."""
    copy: Copy = await ports.store.read(lambda tx: copies.at(tx, direct_path, now))
    if not await ports.vault.holds(world.id, copy.token):
        raise gone()
    return ports.vault.path(world.id, copy.token)
