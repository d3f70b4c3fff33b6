"""The kinds of lane that Coreapp runs, each a thin shell around its flow."""

from satchel.coreapp.leases import Lease
from satchel.db import Tx, callbacks, messages
from satchel.flows import Ports, Settle, media_node, send
from satchel.flows import callbacks as telling


class Messages:
    """Recipients' lanes."""

    kind = messages.KIND
    slots = 16

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def head(self, tx: Tx, lane: str) -> messages.Waiting | None:
        return messages.head(tx, lane)

    async def work(self, item: messages.Waiting, lease: Lease) -> Settle:
        return await send.deliver(self._ports, item, lease)

    def broken(self, item: messages.Waiting, error: Exception) -> Settle:
        return send.put_off(item, error)

    async def after(self, item: messages.Waiting) -> None:
        """The last message that needed a deleted media may just have left."""
        await media_node.bury(self._ports)


class Callbacks:
    """Callback lanes of the one endpoint."""

    kind = callbacks.KIND
    slots = 12

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def head(self, tx: Tx, lane: str) -> callbacks.Waiting | None:
        return callbacks.head(tx, lane)

    async def work(self, item: callbacks.Waiting, lease: Lease) -> Settle:
        return await telling.tell(self._ports, item, lease)

    def broken(self, item: callbacks.Waiting, error: Exception) -> Settle:
        return telling.put_off(item)

    async def after(self, item: callbacks.Waiting) -> None:
        """Nothing hangs on a callback."""
