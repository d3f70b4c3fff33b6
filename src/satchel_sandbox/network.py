"""The network as a whole: what its doors (`wire.py`, `control.py`) may ask of it, and which world is the present one.

Order everywhere: create = bytes, row, promise; destroy = promise, row, bytes. A caller is answered after the commit.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from . import copies, delivery, files, forwards, messages, mine, phone, sending, world
from .agenda import Agenda, Ran
from .asking import PATIENCE, Asking
from .bells import Bells
from .chaos import Chaos
from .clock import Clock
from .copies import Copy
from .downloads import Downloads, open_copy
from .envelope import Answered, Envelope
from .errors import Refusal, invalid
from .magic import ECHOES
from .messages import Message
from .outbox import Outbox
from .ports import Ports
from .receiving import HashMismatch, WrongOffset
from .resending import Resending
from .store import Tx
from .workers import end, forever

log = logging.getLogger("sandbox.network")

_NODE_PATIENCE = 2.0  # seconds a reset or a moved clock waits for the node to take the news
_FARTHEST = 200 * 365 * 86400.0  # seconds the clock may be ahead


@dataclass(frozen=True)
class Terms:
    """`life`: seconds of network time that an encrypted blob lives from each send.

    `patience`: seconds of wall time that a phone waits for the sender of media that are over.
    """

    life: float = world.LIFE
    patience: float = PATIENCE


class Network:
    """One simulated network. `start` before anything else, `stop` at the end."""

    def __init__(self, ports: Ports, phones_root: Path, durable: bool, terms: Terms) -> None:
        self._ports, self._terms = ports, terms
        self.store = ports.store
        self.clock, self.chaos, self.bells = Clock(), Chaos(), Bells()
        self.outbox = Outbox(ports.store, ports.poster, self.chaos)
        self.asking = Asking(ports.store, self.clock, self.outbox, self.bells, terms.patience)
        self.downloads = Downloads(ports, self.chaos, self.bells, self.asking, phones_root, durable)
        self.agenda = Agenda(ports.store, self.clock, self.downloads, self.outbox, self.bells)
        self.vault, self.resending = ports.vault, Resending(self)
        self.downloads.then = self._fetched
        self._changing = asyncio.Lock()  # one reset or clock change at a time
        self._tasks: list[asyncio.Task[None]] = []
        self._removals: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.world = await self.store.write(lambda tx: world.begin(tx, self._terms.life))
        self.clock.offset = self.world.offset
        await self._ports.vault.open(self.world.id, self.clock.now())
        # Bytes that are over leave here and at a reset, when no upload can be putting the same bytes back.
        over = await self.store.read(lambda tx: copies.over(tx, self.clock.now()))
        await self._ports.vault.drop(self.world.id, over)
        await self._begin()
        await self._close_other_worlds()

    async def stop(self) -> None:
        self.bells.silence()
        await self._pause()
        await asyncio.gather(*self._removals, return_exceptions=True)
        await self._ports.poster.close()
        await self.store.close()

    async def _begin(self) -> None:
        self.outbox.restart()
        await self.downloads.start(self.world, self.clock.now())
        steps = (self.outbox.step, self.agenda.step, self.asking.step, self.resending.step)
        self._tasks += [asyncio.create_task(forever(step)) for step in steps]
        for number in ECHOES:  # what an earlier process had fetched and not answered
            for message in await self.store.read(lambda tx, number=number: messages.of_state(tx, number, "downloaded")):  # type: ignore[misc]
                await self._fetched(message)

    async def _fetched(self, message: Message) -> None:
        """A phone has the media of a message."""
        if message.phone in ECHOES and message.envelope.sender != message.phone:
            await sending.echo(self, message)
            self.outbox.wake()
            self.bells.ring(message.phone)

    async def seen(self, message_id: str) -> None:
        """The business has read what a phone sent."""
        self.bells.ring(await self.store.write(lambda tx: mine.see(tx, message_id, self.clock.now())))

    async def _pause(self) -> None:
        await end(self._tasks)
        await self.downloads.stop()

    async def _close_other_worlds(self) -> None:
        gone = await self._ports.vault.close_others(self.world.id) + await self.downloads.close_others()
        if gone:  # nobody waits for that
            self._removals.append(asyncio.create_task(asyncio.to_thread(files.remove, gone)))
            self._removals = [task for task in self._removals if not task.done()]

    async def look(self, token: str) -> Copy | int:
        """The live copy of a token, whose 14 days start anew; else how many of its bytes are here from an upload that broke off."""
        now, present = self.clock.now(), self.world.id

        def refresh(tx: Tx) -> Copy | None:
            copy = copies.find(tx, token, now)
            return copies.refresh(tx, copy, now) if copy else None

        if await self._ports.vault.holds(present, token) and (copy := await self.store.write(refresh)):
            return copy
        return await self._ports.vault.kept(present, token, now)

    async def upload(self, kind: str, token: str, body: AsyncIterator[bytes], offset: int = 0) -> Copy:
        """Take one encrypted blob in; `body` begins at `offset` of it."""
        present, now = self.world.id, self.clock.now()
        if offset and await self._ports.vault.kept(present, token, now) < offset:
            raise _wrong_offset(offset)
        try:
            size = await self._ports.vault.put(present, token, body, now, offset)
        except HashMismatch:
            raise Refusal(
                400, "hash_mismatch", f"The SHA-256 of the body is not the token {token}: send the bytes it was made of."
            ) from None
        except WrongOffset:
            raise _wrong_offset(offset) from None
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
        now = self.clock.now()
        accepted = await self.store.write(lambda tx: delivery.accept(tx, message, now))
        if isinstance(accepted, float):
            return accepted
        log.info("message %s for %s: %s", accepted.id, accepted.phone, accepted.state)
        self.outbox.wake()
        self.agenda.settle(accepted, now)
        return accepted.at

    async def answered(self, message_id: str, given: Answered) -> None:
        """Pass on what a sender says to a phone that has asked for media again; the phone alone can open it."""
        if given.world not in (None, self.world.id):
            raise Refusal(409, "wrong_world", f"The answer belongs to the world {given.world!r}, which was reset.")
        now = self.clock.now()
        for message in await self.asking.answered(message_id, given):
            if await self.store.read(lambda tx, number=message.phone: phone.get(tx, number).online):  # type: ignore[misc]
                self.downloads.fetch(message, now)
        self.agenda.wake()

    async def forward(self, number: str, message_id: str, to: str) -> Message:
        """A person sends a message on to another phone; the message as it is there."""
        now = self.clock.now()
        sent = await self.store.write(lambda tx: forwards.forward(tx, number, message_id, to, now))
        log.info("message %s is forwarded to %s: %s", sent.id, sent.phone, sent.state)
        self.agenda.settle(sent, now)
        return sent

    async def download(self, direct_path: str) -> Path:
        """The file behind a direct_path."""
        return await open_copy(self._ports, self.world, direct_path, self.clock.now())

    async def advance(self, seconds: float) -> list[Ran]:
        """Move network time forward and run what is due by then; returns when the node knows or has had its chance."""
        async with self._changing, self.agenda.lock:
            offset = self.clock.offset + seconds
            if not seconds > 0 or offset > _FARTHEST:
                raise invalid("The clock only moves forward, and by no more than 200 years.")
            await self.store.write(lambda tx: world.move(tx, offset))
            self.clock.offset = offset
            log.info("the clock is %.0f s ahead", offset)
            ran = await self.agenda.catch_up()
            self.agenda.wake()  # what it waits for is nearer now
            await self._ports.vault.sweep(self.world.id, self.clock.now())
            await self._tell(with_downloads=True)
            return ran

    async def reset(self) -> str:
        """Forget everything, begin a new world, and return its id when the node knows or has had its chance."""
        async with self._changing:
            old = self.world.id
            await self._pause()  # nobody works for the old world any more
            self.chaos.off()
            try:
                self.world = await self.store.write(world.renew)
                self.clock.offset = 0.0
                await self._ports.vault.open(self.world.id, self.clock.now())
            finally:
                await self._begin()
            log.info("world %s was reset, the new one is %s", old, self.world.id)
            self.bells.ring_all()
            await self._close_other_worlds()
            await self._tell()
            return self.world.id

    async def _tell(self, with_downloads: bool = False) -> None:
        """Wait until the node has heard everything up to now, and phones have fetched what they were to fetch; but not for long."""
        try:
            async with asyncio.timeout(_NODE_PATIENCE):
                await self.outbox.told()  # first of all: the node must have learnt the time
                if with_downloads:
                    await self.downloads.done()
                    await self.outbox.told()
        except TimeoutError:
            log.warning("the node has not confirmed everything yet; it goes on being told")


def _wrong_offset(offset: int) -> Refusal:
    return Refusal(409, "wrong_offset", f"Nothing is kept that ends at byte {offset}: ask with resume=1, or upload the whole.")
