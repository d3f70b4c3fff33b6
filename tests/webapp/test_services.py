"""PUT /v1/services/media/gc and /v1/services/message/gc."""

import pytest

from satchel.db import hosts
from satchel.flows import tokens, users

from .conftest import Door

pytestmark = pytest.mark.anyio
SETTINGS = "/v1/settings/application"


@pytest.mark.parametrize("name", ["media", "message"])
async def test_gc_is_answered_at_once(fresh: Door, name: str) -> None:
    await fresh.ports.db.write(lambda tx: hosts.beat(tx, "vm.1.core.0", "core", "v", {}))
    answer = await fresh.http.put(f"/v1/services/{name}/gc")
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("meta") and body == {"services": {name: {"gc": {"status": "processing"}}}}
    asked = await fresh.ports.db.read(lambda tx: tx.all("SELECT what, asked_by, state FROM gc_run"))
    assert asked == [({"media": "media", "message": "messages"}[name], "admin", "waiting")]


async def test_without_a_coreapp_it_is_1014(fresh: Door) -> None:
    answer = await fresh.http.put("/v1/services/media/gc")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (503, 1014)
    assert "Coreapp" in answer.json()["errors"][0]["details"]


async def test_only_administrators_may(fresh: Door) -> None:
    await users.add(fresh.ports.db, "shop", "Shop-Window-7")
    token = await tokens.mint_token(fresh.ports.db, "shop")
    for name in ("media", "message"):
        answer = await fresh.http.put(f"/v1/services/{name}/gc", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, 1005)
        assert (await fresh.http.put(f"/v1/services/{name}/gc", headers={"Authorization": ""})).status_code == 401


async def test_it_is_switched_on_in_the_settings_in_either_form(fresh: Door) -> None:
    async def shown() -> tuple[object, object]:
        found = (await fresh.http.get(SETTINGS)).json()["settings"]["application"]
        return found["garbagecollector_enable"], found["db_garbagecollector_enable"]

    assert await shown() == ({"messages": False, "media": False}, False)
    await fresh.http.patch(SETTINGS, json={"db_garbagecollector_enable": True})
    assert await shown() == ({"messages": True, "media": False}, True)
    await fresh.http.patch(SETTINGS, json={"garbagecollector_enable": {"media": True}, "db_garbagecollector_enable": None})
    assert await shown() == ({"messages": False, "media": True}, False)
    await fresh.http.patch(SETTINGS, json={"garbagecollector_enable": {"messages": True}, "db_garbagecollector_enable": False})
    assert await shown() == ({"messages": True, "media": True}, True)
    for wrong in ({"garbagecollector_enable": True}, {"garbagecollector_enable": {"media": "yes"}}, {"db_garbagecollector_enable": 1}):
        answer = await fresh.http.patch(SETTINGS, json=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1009)
