"""The factory password: it opens once, where `satchel dev` made the administrator's password, and only to set another one."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from satchel import build
from satchel.flows import Ports, access, users

from ..conftest import Place

pytestmark = pytest.mark.anyio
NEW, GENERATED = "Quay-Lantern-42", "made-Here-1-made"


class Node:
    """A Webapp whose administrator was made as `satchel dev` does it."""

    def __init__(self, http: httpx2.AsyncClient, ports: Ports) -> None:
        self._http = http
        self.ports = ports

    async def login(self, password: str, name: str = "admin", **body: Any) -> tuple[int, int]:
        answer = await self._http.post("/v1/users/login", auth=(name, password), json=body)
        return answer.status_code, answer.json()["errors"][0]["code"] if answer.status_code >= 400 else 0


@pytest.fixture
async def node(place: Place) -> AsyncIterator[Node]:
    async with build.opened(place.settings, "web") as opened:
        await access.first_admin(opened.ports.db, GENERATED, door=True)
        transport = httpx2.ASGITransport(build.webapp(place.settings, opened.ports))
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as http:
            yield Node(http, opened.ports)


async def test_it_opens_once_and_only_with_a_new_password(node: Node) -> None:
    assert await node.login("secret") == (401, 1024)
    assert await node.login("secret", new_password=None) == (401, 1024)
    for weak in ("weak", "secret", 5):
        assert await node.login("secret", new_password=weak) == (400, 1009)
    assert await node.login("secret", name="root", new_password=NEW) == (401, 1005)
    assert await node.login("Secret", new_password=NEW) == (401, 1005)
    assert await node.login("secret", new_password=NEW) == (200, 0)
    assert await node.login("secret", new_password="Another-Quay-7") == (401, 1005)
    assert await node.login("secret") == (401, 1005)
    assert await node.login(GENERATED) == (401, 1005)
    assert await node.login(NEW) == (200, 0)


async def test_any_other_way_to_a_new_password_closes_it(node: Node) -> None:
    assert await node.login(GENERATED, new_password=NEW) == (200, 0)
    assert await node.login("secret") == (401, 1005)


async def test_a_password_set_by_an_administrator_closes_it(node: Node) -> None:
    await users.set_password(node.ports.db, "admin", NEW)
    assert await node.login("secret", new_password="Another-Quay-7") == (401, 1005)


async def test_a_preset_password_closes_it_even_when_it_is_the_same(node: Node) -> None:
    await access.set_admin_password(node.ports.db, GENERATED)
    assert await node.login("secret") == (401, 1005)


async def test_it_is_braked_like_everything_else(node: Node) -> None:
    for n in range(10):
        assert await node.login(f"wrong-{n}") == (401, 1005)
    assert await node.login("secret", new_password=NEW) == (429, 1015)


async def test_without_the_door_it_is_a_wrong_password(place: Place) -> None:
    async with build.opened(place.settings, "web") as opened:
        await access.first_admin(opened.ports.db, GENERATED)
        transport = httpx2.ASGITransport(build.webapp(place.settings, opened.ports))
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as http:
            assert await Node(http, opened.ports).login("secret", new_password=NEW) == (401, 1005)
