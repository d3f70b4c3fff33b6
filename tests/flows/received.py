"""A node beside a network that hands it messages, and a look at what it made of them."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from satchel import build
from satchel.db import Tx
from satchel.flows import Ports

from ..conftest import Place
from .lanes import claim
from .phones import SECRET, MediaServer, serving

KEY = bytes(range(32))


@pytest.fixture
async def server(place: Place) -> AsyncIterator[MediaServer]:
    async with serving() as server:
        yield server


@pytest.fixture
async def node(place: Place, server: MediaServer) -> AsyncIterator[Ports]:
    """A node whose network is that server."""
    place.environ.update({"SATCHEL_UPSTREAM__URL": server.url, "SATCHEL_UPSTREAM__SECRET": SECRET})
    async with build.opened(place.settings, "core") as opened:
        yield opened.ports


async def told(ports: Ports) -> list[dict[str, Any]]:
    rows = await ports.db.read(lambda tx: tx.all("SELECT body FROM callback ORDER BY seq"))
    return [msgspec.json.decode(row[0]) for row in rows]


async def work(ports: Ports, kind: str = "in") -> None:
    """Everything that is due by now."""
    while (lane := await claim(ports, kind)) is not None:
        await lane.run()


async def first(ports: Ports) -> dict[str, Any]:
    (body,) = await told(ports)
    (message,) = body["messages"]
    return dict(message)


async def hurry(ports: Ports) -> None:
    """What was put off is due now."""

    def run(tx: Tx) -> None:
        for table in ("message", "download"):
            tx.run(f"UPDATE {table} SET not_before = NULL WHERE state = 'waiting'")
        tx.run("UPDATE lane SET run_at = :now WHERE run_at IS NOT NULL")

    await ports.db.write(run)


def files(place: Place) -> list[str]:
    return [path.name for folder in ("shared", "parts") for path in (place.data_dir / "media" / folder).iterdir()]
