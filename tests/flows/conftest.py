"""Ports over real engines, the upstream nobody: what a flow does when the network does not answer."""

from collections.abc import AsyncIterator

import pytest

from satchel import build
from satchel.db import Tx
from satchel.flows import Ports, Settle, Settlement

from ..conftest import Place
from ..journeys.running import free_port


class Held:
    """A lease that is ours."""

    def check(self) -> None:
        pass


async def settled(ports: Ports, settle: Settle | Settlement) -> bool:
    """What the worker does with it, the lane apart."""

    def both(tx: Tx) -> bool:
        if not isinstance(settle, Settlement):
            return settle(tx)
        settle.ahead(tx)
        return settle.settle(tx)

    return await ports.db.write(both)


@pytest.fixture
async def ports(place: Place) -> AsyncIterator[Ports]:
    """A node's engines; nobody listens at the upstream's address."""
    place.environ["SATCHEL_UPSTREAM__URL"] = f"http://127.0.0.1:{free_port()}"
    async with build.opened(place.settings, "core") as opened:
        yield opened.ports
