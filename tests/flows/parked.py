"""Preparations that are slow or never end, and messages that wait for them."""

import asyncio
from pathlib import Path
from typing import Any

from satchel.db import Tx, message_listing, messages, settings
from satchel.db.message_listing import Held
from satchel.domain.errors import MEDIA_UNREADABLE, Fault
from satchel.domain.media import Media
from satchel.domain.messages import Outgoing
from satchel.flows import Ports, send
from satchel.postprocess import Decide

from . import test_send
from .lanes import claim, due

NUMBERS = [f"1202555010{n}" for n in range(5)]


class Slow:
    """The real transcoder, which counts what it is asked for, and says first what a test wants it to say."""

    def __init__(self, inner: Any, *errors: Exception) -> None:
        self._inner, self._errors, self.probes = inner, list(errors), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def process(self, path: Path, decide: Decide, into: Path, *, lengthy: bool = False) -> Any:
        self.probes += 1
        if self._errors:
            raise self._errors.pop(0)
        return await self._inner.process(path, decide, into, lengthy=lengthy)


class Hanging:
    """A transcoder, and a fetch of links, that take as long as a test wants."""

    def __init__(self) -> None:
        self.started, self.go_on = asyncio.Event(), asyncio.Event()

    async def process(self, *given: Any, **named: Any) -> Any:
        self.started.set()
        await self.go_on.wait()
        raise Fault(MEDIA_UNREADABLE, "It was broken, after all.")


async def picture(node: Ports, photo: Path) -> Media:
    return await test_send.upload(node, photo.read_bytes(), "image/jpeg")


async def accept(node: Ports, number: str, media: Media, kind: str = "image") -> str:
    return (await send.accept(node, Outgoing(number, kind, media.id))).id


async def state(node: Ports, message_id: str) -> str:
    row = await node.db.read(lambda tx: tx.one("SELECT state FROM message WHERE id = :id", id=message_id))
    assert row is not None
    return str(row[0])


async def fault_of(node: Ports, message_id: str) -> str | None:
    row = await node.db.read(lambda tx: tx.one("SELECT fault FROM status WHERE message_id = :id AND status = 'failed'", id=message_id))
    return None if row is None else str(row[0])


async def held(node: Ports, message_id: str) -> Held:
    return await node.db.read(lambda tx: message_listing.held(tx, message_id))


async def claim_and_run(node: Ports) -> bool:
    """Run whatever is due, one item."""
    for kind in ("link", "prep", "convert", "msg"):
        if (lane := await claim(node, kind)) is not None:
            await lane.run()
            return True
    return False


async def later(node: Ports, seconds: float) -> None:
    """Move what waits back in time: the database's clock cannot be moved."""

    def shift(tx: Tx) -> None:
        for table, column in (
            ("message", "not_before"),
            ("message", "parked"),
            ("prep", "not_before"),
            ("prep", "troubled"),
            ("prep", "begun"),
            ("lane", "run_at"),
        ):
            tx.run(f"UPDATE {table} SET {column} = {column} - :seconds WHERE {column} IS NOT NULL", seconds=seconds)

    await node.db.write(shift)


async def soon(node: Ports) -> Any:
    await later(node, 20)
    return await due(node, "prep")


async def linked(node: Ports, number: str) -> str:
    message = Outgoing(number, "document", link="http://10.0.0.1/bill.pdf")

    def add(tx: Tx) -> None:
        messages.add(tx, f"m{number}", message, "sandbox", None, settings.network_now(tx))

    await node.db.write(add)
    return f"m{number}"
