"""GET and PATCH /v1/settings/application."""

from typing import Any

import pytest

from satchel.db import callbacks
from satchel.db import settings as rows
from satchel.db.callbacks import News
from satchel.flows import tokens, users

from .conftest import Door

pytestmark = pytest.mark.anyio
PATH = "/v1/settings/application"


async def application(door: Door) -> dict[str, Any]:
    found: dict[str, Any] = (await door.http.get(PATH)).json()["settings"]["application"]
    return found


async def test_defaults(fresh: Door) -> None:
    found = await application(fresh)
    assert found["webhooks"] == {
        "max_concurrent_requests": 24,
        "alerts": False,
        "message": {"sent": False, "delivered": True, "read": True},
    }
    assert found["callback_backoff_delay_ms"] == 3000


async def test_a_patch_changes_only_what_it_names_and_ignores_what_nobody_knows(fresh: Door) -> None:
    answer = await fresh.http.patch(PATH, json={"webhooks": {"url": "http://10.0.0.1:8080/hook"}, "contacts_api_rate_limit": ["1"]})
    assert (answer.status_code, set(answer.json())) == (200, {"meta"})
    await fresh.http.patch(PATH, json={"webhooks": {"message": {"sent": True}}, "callback_backoff_delay_ms": "500"})
    found = await application(fresh)
    told = {"sent": True, "delivered": True, "read": True}
    assert found["webhooks"] == {"url": "http://10.0.0.1:8080/hook", "max_concurrent_requests": 24, "alerts": False, "message": told}
    assert (found["callback_backoff_delay_ms"], found["sent_status"]) == (500, True)
    assert "contacts_api_rate_limit" not in found


async def test_the_older_form_of_sent_counts_and_null_sets_back(fresh: Door) -> None:
    await fresh.http.patch(PATH, json={"sent_status": True})
    assert (await application(fresh))["webhooks"]["message"]["sent"] is True
    await fresh.http.patch(PATH, json={"sent_status": None, "webhooks": {"url": None}})
    assert (await application(fresh))["webhooks"]["message"]["sent"] is False
    assert "url" not in (await application(fresh))["webhooks"]


@pytest.mark.parametrize(
    "patch",
    [
        {"webhooks": {"url": "ftp://x"}},
        {"webhooks": {"url": "hook"}},
        {"webhooks": {"url": "http://a b/"}},
        {"webhooks": {"url": 5}},
        {"webhooks": {"url": "http://[::1"}},
        {"webhooks": []},
        {"webhooks": {"message": {"sent": "yes"}}},
        {"callback_backoff_delay_ms": -1},
        {"callback_backoff_delay_ms": "soon"},
        [],
    ],
)
async def test_a_value_that_cannot_be_is_400_and_changes_nothing(door: Door, patch: Any) -> None:
    before = await application(door)
    answer = await door.http.patch(PATH, json=patch)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1009)
    assert await application(door) == before


async def test_delete_sets_everything_back(fresh: Door) -> None:
    before = await application(fresh)
    await fresh.http.patch(PATH, json={"webhooks": {"url": "http://10.0.0.1/"}, "sent_status": True})
    answer = await fresh.http.delete(PATH)
    assert (answer.status_code, set(answer.json())) == (200, {"meta"})
    assert await application(fresh) == before


async def test_any_user_may_set_the_webhook_as_on_hosted_nodes(fresh: Door) -> None:
    await users.add(fresh.ports.db, "shop", "Shop-Window-7")
    token = await tokens.mint_token(fresh.ports.db, "shop")
    url = "https://shop.example/hook"
    answer = await fresh.http.post("/v1/configs/webhook", json={"url": url}, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, set(answer.json()), answer.json()["url"]) == (200, {"url", "meta"}, url)
    assert (await application(fresh))["webhooks"]["url"] == url


@pytest.mark.parametrize(
    ("body", "code"), [({}, 1008), ({"url": None}, 1008), ({"url": 5}, 1009), ({"url": "ftp://x"}, 1009), ([], 1009), ("x", 1009)]
)
async def test_a_webhook_that_cannot_be_is_400(door: Door, body: Any, code: int) -> None:
    answer = await door.http.post("/v1/configs/webhook", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)


async def test_the_password_in_a_webhooks_url_is_not_shown_and_outlives_a_patch_of_what_was_shown(fresh: Door) -> None:
    await fresh.http.patch(PATH, json={"webhooks": {"url": "https://me:p:SECRET@10.0.0.1:8443/h?k=v"}})
    found = await application(fresh)
    assert found["webhooks"]["url"] == "https://me:********@10.0.0.1:8443/h?k=v"
    assert (await fresh.http.patch(PATH, json={"webhooks": found["webhooks"] | {"max_concurrent_requests": 6}})).status_code == 200
    stored = await fresh.ports.db.read(rows.application)
    assert (stored["webhooks"]["url"], stored["webhooks"]["max_concurrent_requests"]) == ("https://me:p:SECRET@10.0.0.1:8443/h?k=v", 6)
    answer = await fresh.http.patch(PATH, json={"webhooks": {"url": "https://me:********@10.0.0.2/h"}})
    assert (answer.status_code, "write the password" in answer.text) == (400, True)
    for plain in ("https://me@10.0.0.1/h", "https://10.0.0.1/a:b@c"):
        await fresh.http.patch(PATH, json={"webhooks": {"url": plain}})
        assert (await application(fresh))["webhooks"]["url"] == plain


async def test_the_password_of_where_a_callback_was_replayed_to_is_not_shown(fresh: Door) -> None:
    news = News("status:a:read", "12025550111", {"a": 1})
    await fresh.ports.db.write(lambda tx: callbacks.put_down(tx, [news], False))
    to = {"failed": True, "to": "http://me:SECRET@127.0.0.1:1/h"}
    assert (await fresh.http.post("/_satchel/v1/callbacks/replay", json=to)).status_code == 200
    listed = await fresh.http.get("/_satchel/v1/callbacks")
    assert (listed.json()["callbacks"][0]["to"], "SECRET" in listed.text) == ("http://me:********@127.0.0.1:1/h", False)
