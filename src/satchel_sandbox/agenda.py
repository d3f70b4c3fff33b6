"""What happens by itself at a network time: a slow phone's deliveries and downloads, a late one's first fetch, what waited for a phone.

Everything due is in the rows (`message.due`); a moved clock runs it in order, each as of the time it was due.
"""

import asyncio
import logging
from dataclasses import dataclass, replace

from . import delivery, messages, phone
from .bells import Bells
from .clock import Clock
from .downloads import Downloads
from .messages import Message
from .outbox import Outbox, within
from .store import Store, Tx

log = logging.getLogger("sandbox.agenda")

_AT_ONCE = 500  # steps in one transaction


@dataclass(frozen=True)
class Ran:
    """One thing that has happened; `step`: delivered, lost, download or held."""

    at: float
    step: str
    message: Message


class Agenda:
    """`step` for a loop; `catch_up` when the clock was moved. `lock` keeps the two apart."""

    def __init__(self, store: Store, clock: Clock, downloads: Downloads, outbox: Outbox, bells: Bells) -> None:
        self._store, self._clock, self._downloads, self._outbox, self._bells = store, clock, downloads, outbox, bells
        self.lock = asyncio.Lock()
        self._more = asyncio.Event()

    def wake(self) -> None:
        """There is something new that is or will be due."""
        self._more.set()

    async def step(self) -> None:
        """Run what is due, or wait for it."""
        self._more.clear()
        async with self.lock:
            ran = await self.catch_up()
        if not ran:
            due = await self._store.read(messages.first_due)
            await within(self._more, None if due is None else max(0.0, due - self._clock.now()))

    async def catch_up(self) -> list[Ran]:
        """Run everything that is due by now, in order; the caller holds the lock."""
        ran: list[Ran] = []
        while some := await self._store.write(lambda tx: _run(tx, self._clock.now())):
            for one in some:
                log.info("message %s: %s, phone %s", one.message.id, one.step, one.message.phone)
                self.settle(one.message, one.at)
            self._outbox.wake()
            ran += some
        return ran

    def settle(self, message: Message, at: float) -> None:
        """A message was put where its row says: what follows from that at once."""
        if message.state == "queued" and message.due is None:
            self._downloads.fetch(message, at)
        elif message.due is not None:
            self.wake()
        self._bells.ring(message.phone)


def _run(tx: Tx, now: float) -> list[Ran]:
    ran: list[Ran] = []
    while len(ran) < _AT_ONCE and (message := messages.next_due(tx, now)) is not None:
        assert message.due is not None
        ran.append(_one(tx, message, message.due))
    return ran


def _one(tx: Tx, message: Message, at: float) -> Ran:
    if message.state == "server":
        placed = delivery.deliver(tx, message, at)
        return Ran(at, "lost" if placed.state == "lost" else "delivered", placed)
    if not phone.get(tx, message.phone).online:
        tx.execute("UPDATE message SET due = NULL WHERE seq = ?", (message.seq,))
        return Ran(at, "held", message)
    messages.queue(tx, message.seq)
    return Ran(at, "download", replace(message, state="queued", due=None))
