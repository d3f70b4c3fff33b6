"""Ports over real engines, the upstream nobody: what a flow does when the network does not answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from satchel import build
from satchel.db import Tx
from satchel.domain.limits import DAY
from satchel.flows import Ports, Settle, Settlement
from satchel.upstream import Copy, Envelope

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


class Network:
    """An upstream that takes everything and keeps count."""

    name = "sandbox"

    def __init__(self) -> None:
        self.puts = 0
        self.sent: list[Envelope] = []

    async def put(self, rendition: Any, path: Path, known: str | None, force: bool = False) -> Copy:
        self.puts += 1
        await asyncio.sleep(0)
        return Copy("somewhere", time.time() + 14 * DAY)

    async def send(self, envelope: Envelope) -> None:
        self.sent.append(envelope)


@pytest.fixture
async def ports(place: Place) -> AsyncIterator[Ports]:
    """A node's engines; nobody listens at the upstream's address."""
    place.environ["SATCHEL_UPSTREAM__URL"] = f"http://127.0.0.1:{free_port()}"
    async with build.opened(place.settings, "core") as opened:
        yield opened.ports


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def node(ports: Ports, network: Network) -> AsyncIterator[Ports]:
    """The same with a network that takes everything."""
    yield replace(ports, upstream=network)  # type: ignore[arg-type]
