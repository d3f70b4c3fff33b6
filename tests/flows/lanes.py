"""Runs lanes step by step, as the worker does: what is tested is when a step comes, so each is a call of its own."""

from satchel.coreapp.kinds import Conversions, Downloads, Inbound, Links, Messages, Preparations
from satchel.coreapp.worker import Kind
from satchel.db import Tx, lanes
from satchel.db.lanes import Claimed
from satchel.flows import Ports, Settle, Settlement

from .conftest import Held


class Lane:
    """A claimed lane and its head."""

    def __init__(self, ports: Ports, kind: Kind, claimed: Claimed, item: object) -> None:
        self._ports, self._kind, self.claimed, self.item = ports, kind, claimed, item

    async def work(self) -> Settle | Settlement:
        return await self._kind.work(self.item, Held())  # type: ignore[arg-type]

    async def settle(self, done: Settle | Settlement) -> bool:
        """Settle and release; whether the lane is due again at once."""
        whole = done if isinstance(done, Settlement) else Settlement(done, lambda tx: None)

        def both(tx: Tx) -> bool:
            whole.ahead(tx)
            assert lanes.fence(tx, self.claimed)
            lanes.settled(tx, self.claimed)
            whole.settle(tx)
            head = self._kind.head(tx, self.claimed.name)
            assert head is None or not whole.lets_go or head.due_in <= 0
            lanes.release(tx, self.claimed, None if head is None else max(0.0, head.due_in))
            return head is not None and head.due_in <= 0 and not whole.lets_go

        return await self._ports.db.write(both)

    async def run(self) -> bool:
        return await self.settle(await self.work())


async def claim(ports: Ports, name: str) -> Lane | None:
    """The lane that is due first of the kind `name`, or None."""
    known: tuple[Kind, ...] = (Messages(ports), Preparations(ports), Conversions(ports), Links(ports), Inbound(ports), Downloads(ports))
    kinds = {kind.kind: kind for kind in known}
    kind = kinds[name]

    def take(tx: Tx) -> Lane | None:
        claimed = lanes.claim(tx, name, "test", 30.0)
        if claimed is None:
            return None
        item = kind.head(tx, claimed.name)
        if item is not None and item.due_in <= 0:
            kind.begins(tx, item)
            return Lane(ports, kind, claimed, item)
        lanes.release(tx, claimed, None if item is None else item.due_in)
        return None

    return await ports.db.write(take)


async def due(ports: Ports, name: str) -> Lane:
    lane = await claim(ports, name)
    assert lane is not None, f"no {name} lane is due"
    return lane
