"""The kinds of lane that Coreapp runs, each a thin shell around its flow."""

from collections.abc import Callable
from typing import Any

from satchel.coreapp.leases import Lease
from satchel.db import Tx, callbacks, downloads, gc_runs, media, messages, preps, reuploads
from satchel.db import inbound as inbound_rows
from satchel.domain.application import MOST_CONCURRENT
from satchel.domain.errors import BUG, Fault
from satchel.flows import Ports, Settle, Settlement, download, inbound, media_node, parking, renew, send
from satchel.flows import callbacks as telling
from satchel.flows import gc_runs as collecting
from satchel.flows.steps import Timeline


def _deadly(item: messages.Waiting | preps.Waiting | reuploads.Waiting, what: str) -> Fault:
    """Said of an item whose workers died each time, also when nothing else was in work."""
    return Fault(BUG, f"{what} ended Satchel's worker again and again and is not tried any more: see the log of Coreapp around {item.id}.")


class _Lanes:
    """What most kinds have in common: slots for whoever comes, which wait for others, and nothing to do afterwards."""

    share: int | None = None
    risky = False
    room: Callable[[Tx], int] | None = None

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def begins(self, tx: Tx, item: Any) -> None:
        """Nobody asks."""

    async def after(self, item: Any) -> None:
        """Nobody waits for it."""


class Messages(_Lanes):
    """Recipients' lanes."""

    kind = messages.KIND
    slots = 48
    risky = True

    def head(self, tx: Tx, lane: str) -> messages.Waiting | None:
        return messages.head(tx, lane)

    async def work(self, item: messages.Waiting, lease: Lease) -> Settle | Settlement:
        return await send.deliver(self._ports, item, lease)

    def broken(self, item: messages.Waiting, error: Exception) -> Settle:
        return send.put_off(item, error, Timeline(self._ports.host, item.attempts + 1))

    def hopeless(self, item: messages.Waiting) -> Settle:
        return send.failed(item, _deadly(item, "Sending this message"), Timeline(self._ports.host, item.attempts + 1))

    async def after(self, item: messages.Waiting) -> None:
        """The last message that needed a deleted media may just have left."""
        if item.media_id is not None and await self._ports.db.read(lambda tx: media.is_going(tx, str(item.media_id)), alone=True):
            await media_node.bury(self._ports)


class Preparations(_Lanes):
    """Bytes to be made ready, looked into first: what takes long is left to `Conversions`. `slots`: as many as keep the children busy."""

    kind = preps.PREP
    risky = True
    _lengthy = False

    def __init__(self, ports: Ports, slots: int = 4) -> None:
        super().__init__(ports)
        self.slots = slots

    def head(self, tx: Tx, lane: str) -> preps.Waiting | None:
        return preps.head(tx, lane)

    def begins(self, tx: Tx, item: preps.Waiting) -> None:
        if not item.begun and not item.ended and parking.is_ours(self._ports, item.wanted):
            preps.begin(tx, item.id)

    async def work(self, item: preps.Waiting, lease: Lease) -> Settle | Settlement:
        return await parking.work(self._ports, item, lease, lengthy=self._lengthy)

    def broken(self, item: preps.Waiting, error: Exception) -> Settle:
        return parking.put_off(self._ports, item)

    def hopeless(self, item: preps.Waiting) -> Settle:
        return parking.hopeless(self._ports, item, _deadly(item, "Preparing this media"))


class Conversions(Preparations):
    """Sound and film to be encoded anew, which takes seconds to minutes each. `slots`: as many as there are children for it."""

    kind = preps.CONVERT
    _lengthy = True


class Links(Preparations):
    """Links to be fetched: they wait for others, so they have slots of their own, of which one server gets a quarter."""

    kind = preps.LINK
    share: int | None = 4
    risky = False

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports, slots=16)


class Inbound(_Lanes):
    """Senders' lanes. They wait for the network and the volume and decode nothing."""

    kind = inbound_rows.KIND
    slots = 24

    def head(self, tx: Tx, lane: str) -> inbound_rows.Waiting | None:
        return inbound_rows.head(tx, lane)

    async def work(self, item: inbound_rows.Waiting, lease: Lease) -> Settle:
        return await inbound.announce(self._ports, item, lease)

    def broken(self, item: inbound_rows.Waiting, error: Exception) -> Settle:
        return inbound.broken(item)

    def hopeless(self, item: inbound_rows.Waiting) -> Settle:
        return inbound.broken(item)

    async def after(self, item: inbound_rows.Waiting) -> None:
        """It may have been deleted while it came."""
        await inbound.bury(self._ports, item)


class Downloads(_Lanes):
    """Received media that the business asked for: beside the new ones, which must not wait for these."""

    kind = downloads.KIND
    slots = 8

    def head(self, tx: Tx, lane: str) -> downloads.Waiting | None:
        return downloads.head(tx, lane)

    async def work(self, item: downloads.Waiting, lease: Lease) -> Settle:
        return await download.work(self._ports, item, lease)

    def broken(self, item: downloads.Waiting, error: Exception) -> Settle:
        return download.broken(item)

    def hopeless(self, item: downloads.Waiting) -> Settle:
        return download.broken(item)

    async def after(self, item: downloads.Waiting) -> None:
        """It may have been deleted while it came."""
        await download.bury(self._ports, item)


class Renewals(_Lanes):
    """Phones that ask for media again, a lane per rendition."""

    kind = reuploads.KIND
    slots = 4
    risky = True

    def head(self, tx: Tx, lane: str) -> reuploads.Waiting | None:
        return reuploads.head(tx, lane)

    async def work(self, item: reuploads.Waiting, lease: Lease) -> Settle:
        return await renew.work(self._ports, item, lease)

    def broken(self, item: reuploads.Waiting, error: Exception) -> Settle:
        return renew.put_off(item)

    def hopeless(self, item: reuploads.Waiting) -> Settle:
        return renew.hopeless(item, _deadly(item, "Uploading this media again"))


class Callbacks(_Lanes):
    """Callback lanes of the one endpoint; how many run at once is its setting."""

    kind = callbacks.KIND
    slots = MOST_CONCURRENT

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self.room = telling.room
        self._recovered = False

    def head(self, tx: Tx, lane: str) -> callbacks.Waiting | None:
        return callbacks.head(tx, lane)

    async def work(self, item: callbacks.Waiting, lease: Lease) -> Settle | Settlement:
        return await telling.tell(self._ports, item, lease, self._note_recovery)

    def broken(self, item: callbacks.Waiting, error: Exception) -> Settle:
        return telling.put_off(item)

    def hopeless(self, item: callbacks.Waiting) -> Settle:
        return lambda tx: callbacks.finish(tx, item.id, "dead")

    async def after(self, item: callbacks.Waiting) -> None:
        """After an outage nobody waits any longer. Were this process to die here, they would wait for their own next attempts."""
        if self._recovered:
            self._recovered = False
            await telling.wake_after_outage(self._ports)

    def _note_recovery(self) -> None:
        self._recovered = True


class GcRuns(_Lanes):
    """Runs of gc: one lane, so one at a time over all hosts."""

    kind = gc_runs.KIND
    slots = 1

    def head(self, tx: Tx, lane: str) -> gc_runs.Waiting | None:
        return gc_runs.head(tx, lane)

    async def work(self, item: gc_runs.Waiting, lease: Lease) -> Settle:
        return await collecting.work(self._ports, item, lease)

    def broken(self, item: gc_runs.Waiting, error: Exception) -> Settle:
        return collecting.broken(self._ports, item)

    def hopeless(self, item: gc_runs.Waiting) -> Settle:
        return collecting.ended(self._ports, item, "This run ended Satchel's worker again and again and is not tried any more.")
