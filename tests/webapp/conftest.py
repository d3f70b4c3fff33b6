"""A Webapp in this process over real engines, and a client that talks to it as HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from satchel import build
from satchel.flows import Ports, access

from ..conftest import Place

PASSWORD = "Quay-Lantern-42"


@dataclass(frozen=True)
class Door:
    """`http` carries an administrator's token."""

    http: httpx2.AsyncClient
    ports: Ports
    place: Place

    async def upload(self, body: bytes = b"hello", mime: str = "text/plain") -> str:
        answer = await self.http.post("/v1/media", content=body, headers={"Content-Type": mime})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["media"][0]["id"])

    async def send(self, body: Any) -> httpx2.Response:
        return await self.http.post("/v1/messages", json=body)

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.place.data_dir / "media" / folder).iterdir())


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Door]:
    async with build.opened(place.settings, "web") as node:
        await access.set_admin_password(node.ports.db, PASSWORD)
        token = await access.mint_admin_token(node.ports.db)
        transport = httpx2.ASGITransport(build.webapp(place.settings, node.ports))
        async with httpx2.AsyncClient(transport=transport, base_url="http://node", headers={"Authorization": f"Bearer {token}"}) as http:
            yield Door(http, node.ports, place)


@pytest.fixture(scope="module")
async def door(shared_place: Place) -> AsyncIterator[Door]:
    """One Webapp for the tests of a module that leave nothing behind which another would notice."""
    async with opened(shared_place) as door:
        yield door


@pytest.fixture
async def fresh(place: Place) -> AsyncIterator[Door]:
    """A Webapp of one's own."""
    async with opened(place) as door:
        yield door
