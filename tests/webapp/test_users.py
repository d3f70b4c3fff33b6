"""/v1/users, and what ends a token: felt at once by another Webapp over the same database."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from satchel import build

from .conftest import PASSWORD, Door, opened

pytestmark = pytest.mark.anyio
SHOP = "Shop-Window-7"
OTHER = "Other-Window-8"
PATH = "/v1/users"


async def add(door: Door, name: str = "shop", password: str = SHOP) -> None:
    answer = await door.http.post(PATH, json={"username": name, "password": password})
    assert (answer.status_code, answer.json()["users"]) == (201, [{"username": name}])


async def login(door: Door, name: str = "shop", password: str = SHOP, **body: Any) -> dict[str, str]:
    answer = await door.http.post("/v1/users/login", auth=(name, password), json=body)
    assert answer.status_code == 200, answer.text
    (user,) = answer.json()["users"]
    return {"Authorization": f"Bearer {user['token']}"}


def error(answer: httpx2.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


@pytest.fixture
async def other(fresh: Door) -> AsyncIterator[Door]:
    """Another host: a Webapp of its own over the database of `fresh`."""
    async with build.opened(fresh.place.settings, "web") as node:
        transport = httpx2.ASGITransport(build.webapp(fresh.place.settings, node.ports))
        async with httpx2.AsyncClient(transport=transport, base_url="http://other", headers=fresh.http.headers) as http:
            yield Door(http, node.ports, fresh.place)


async def works(headers: dict[str, str], *doors: Door) -> list[int]:
    return [(await door.http.get("/v1/media/nothing", headers=headers)).status_code for door in doors]


async def test_a_user_is_made_shown_changed_and_deleted(fresh: Door) -> None:
    await add(fresh)
    assert (await fresh.http.get(f"{PATH}/shop")).json()["users"] == [{"username": "shop", "ROLES": "ROLE_USER"}]
    assert (await fresh.http.get(f"{PATH}/admin")).json()["users"] == [{"username": "admin", "ROLES": "ROLE_ADMIN"}]
    changed = await fresh.http.put(f"{PATH}/shop", json={"password": OTHER})
    assert (changed.status_code, changed.json()["users"]) == (200, [{"username": "shop"}])
    await login(fresh, password=OTHER)
    gone = await fresh.http.delete(f"{PATH}/shop")
    assert (gone.status_code, gone.json()["users"]) == (200, [{"username": "shop"}])
    assert error(await fresh.http.get(f"{PATH}/shop")) == (404, 1006)
    assert error(await fresh.http.delete(f"{PATH}/shop")) == (404, 1006)


async def test_a_name_that_is_taken_is_409_in_the_words_of_the_contract(fresh: Door) -> None:
    await add(fresh)
    for name in ("shop", "admin"):
        answer = await fresh.http.post(PATH, json={"username": name, "password": SHOP})
        assert error(answer) == (409, 1014)
        assert answer.json()["errors"][0]["details"] == "Unable to create user. Already exist?"
    await login(fresh)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1008),
        ({"username": "shop"}, 1008),
        ({"username": None, "password": SHOP}, 1008),
        ({"username": "shop", "password": None}, 1008),
        ({"username": "abc", "password": SHOP}, 1009),
        ({"username": "x" * 33, "password": SHOP}, 1009),
        ({"username": "a:bc", "password": SHOP}, 1009),
        ({"username": "a\u0000bc", "password": SHOP}, 1009),
        ({"username": "../../x", "password": SHOP}, 1009),
        ({"username": "login", "password": SHOP}, 1009),
        ({"username": 12345, "password": SHOP}, 1009),
        ({"username": ["shop"], "password": SHOP}, 1009),
        ({"username": "x" * 500_000, "password": SHOP}, 1009),
        ({"username": "shop", "password": 12345678}, 1009),
        ({"username": "shop", "password": "weak"}, 1009),
        ({"username": "shop", "password": "Aa1!" * 100_000}, 1009),
        ([], 1009),
        ("shop", 1009),
    ],
)
async def test_what_cannot_be_a_user_is_400(door: Door, body: Any, code: int) -> None:
    answer = await door.http.post(PATH, json=body)
    assert error(answer) == (400, code)
    assert len(answer.content) < 1000
    assert "Aa1!" not in answer.text


async def test_a_body_that_is_no_json_is_400(door: Door) -> None:
    for body in (b"", b"{", b'{"username": "\\ud800"}', b"\xff"):
        assert error(await door.http.post(PATH, content=body)) == (400, 1025)


async def test_users_may_look_at_themselves_and_change_their_password_and_no_more(fresh: Door) -> None:
    await add(fresh)
    await add(fresh, "till-2")
    mine = await login(fresh)
    assert (await fresh.http.get(f"{PATH}/shop", headers=mine)).status_code == 200
    for method, name in (("GET", "till-2"), ("GET", "nobody"), ("PUT", "till-2"), ("DELETE", "till-2"), ("DELETE", "shop")):
        answer = await fresh.http.request(method, f"{PATH}/{name}", headers=mine, json={"password": OTHER})
        assert error(answer) == (403, 1005), (method, name)
    assert error(await fresh.http.post(PATH, headers=mine, json={"username": "more", "password": SHOP})) == (403, 1005)
    assert (await fresh.http.put(f"{PATH}/shop", headers=mine, json={"password": OTHER})).status_code == 200
    assert await works(mine, fresh) == [401]
    await login(fresh, password=OTHER)


async def test_the_administrator_cannot_be_deleted(door: Door) -> None:
    assert error(await door.http.delete(f"{PATH}/admin")) == (403, 1005)
    assert (await door.http.get(f"{PATH}/admin")).status_code == 200


@pytest.mark.parametrize("name", ["a%00bcd", "%ff%fe%fd%fc", "x" * 3000, "..%2f..", "nobody"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_name_that_nobody_has_is_404(door: Door, method: str, name: str) -> None:
    answer = await door.http.request(method, f"{PATH}/{name}", json={"password": SHOP})
    assert error(answer) == (404, 1006)


async def test_login_and_logout_are_addresses_and_no_users(door: Door) -> None:
    for name in ("login", "logout"):
        answer = await door.http.get(f"{PATH}/{name}")
        assert (*error(answer), answer.headers["allow"]) == (405, 1025, "POST")


async def test_a_logout_ends_that_token_alone_and_on_every_host(fresh: Door, other: Door) -> None:
    one, two = await login(fresh, "admin", PASSWORD), await login(fresh, "admin", PASSWORD)
    assert await works(one, fresh, other) == [404, 404]
    out = await fresh.http.post("/v1/users/logout", headers=one)
    assert (out.status_code, set(out.json())) == (200, {"meta"})
    assert await works(one, other, fresh) == [401, 401]
    assert await works(two, other, fresh) == [404, 404]
    assert error(await other.http.post("/v1/users/logout", headers=one)) == (401, 1005)


SAID: dict[tuple[str, str], Any] = {
    ("POST", PATH): {"username": "ghost", "password": OTHER},
    ("PUT", f"{PATH}/admin"): {"password": OTHER},
    ("PATCH", "/v1/settings/application"): {"webhooks": {"url": "http://127.0.0.1:9/"}},
    ("POST", "/v1/settings/application/media/providers"): [{"name": "shop", "type": "www", "config": {"bearer": "x"}}],
    ("POST", "/v1/certificates/webhooks/ca"): "-----BEGIN CERTIFICATE-----",
    ("POST", "/v1/configs/webhook"): {"url": "http://127.0.0.1:9/"},
    ("POST", "/v1/contacts"): {"contacts": ["12025550111"]},
    ("POST", "/v1/messages"): {"to": "12025550111", "type": "text", "text": {"body": "x"}},
    ("PUT", "/v1/messages/gBEG"): {"status": "read"},
    ("POST", "/_satchel/v1/callbacks/replay"): {"failed": True},
}


@pytest.mark.parametrize(("method", "path"), SAID)
async def test_a_body_that_comes_slowly_does_not_outlive_its_token(fresh: Door, other: Door, method: str, path: str) -> None:
    token = await login(fresh, "admin", PASSWORD)
    body = json.dumps(SAID[method, path]).encode()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:5]
        assert (await other.http.post("/v1/users/logout", headers=token)).status_code == 200
        yield body[5:]

    assert (await fresh.http.request(method, path, headers=token, content=slowly())).status_code == 401
    assert (await fresh.http.get(f"{PATH}/ghost")).status_code == 404
    settings = (await fresh.http.get("/v1/settings/application")).json()["settings"]["application"]
    assert not settings.get("webhooks", {}).get("url")
    await login(fresh, "admin", PASSWORD)


async def test_of_two_changes_of_ones_own_password_one_counts_and_the_other_is_told_so(fresh: Door, other: Door) -> None:
    await add(fresh)
    mine = await login(fresh)
    changes = [door.http.put(f"{PATH}/shop", headers=mine, json={"password": f"{OTHER}{at}"}) for at, door in enumerate((fresh, other))]
    codes = [answer.status_code for answer in await asyncio.gather(*changes)]
    assert sorted(codes) == [200, 401]
    await login(fresh, password=f"{OTHER}{codes.index(200)}")


async def test_a_new_password_ends_older_tokens_on_every_host_but_not_the_new_one(fresh: Door, other: Door) -> None:
    await add(fresh)
    old = await login(other)
    new = await login(fresh, new_password=OTHER)
    assert await works(old, other, fresh) == [401, 401]
    assert await works(new, other, fresh) == [404, 404]
    assert error(await other.http.post("/v1/users/login", auth=("shop", SHOP))) == (401, 1005)
    assert await works(await login(other, password=OTHER), fresh) == [404]


async def test_the_same_password_again_changes_nothing(fresh: Door) -> None:
    await add(fresh)
    old = await login(fresh)
    new = await login(fresh, new_password=SHOP)
    assert await works(old, fresh) == await works(new, fresh) == [404]


@pytest.mark.parametrize("wanted", ["weak", 5, [], {"a": 1}, True, "x" * 100_000])
async def test_a_new_password_that_cannot_be_is_400_after_the_right_one_only(door: Door, wanted: Any) -> None:
    answer = await door.http.post("/v1/users/login", auth=("admin", PASSWORD), json={"new_password": wanted})
    assert error(answer) == (400, 1009)
    assert (await door.http.get(f"{PATH}/admin")).status_code == 200


async def test_the_tokens_of_a_deleted_user_do_not_come_back_with_the_name(fresh: Door, other: Door) -> None:
    await add(fresh)
    old = await login(other)
    assert await works(old, other) == [404]
    await fresh.http.delete(f"{PATH}/shop")
    assert await works(old, other, fresh) == [401, 401]
    await add(other)
    assert await works(old, other, fresh) == [401, 401]
    assert await works(await login(fresh), other) == [404]


async def test_the_header_of_hosted_nodes_is_an_alias(fresh: Door) -> None:
    token = fresh.http.headers.pop("Authorization").removeprefix("Bearer ")
    assert (await fresh.http.get(f"{PATH}/admin", headers={"D360-API-KEY": token})).status_code == 200
    assert error(await fresh.http.get(f"{PATH}/admin", headers={"D360-API-KEY": f"{token}x"})) == (401, 1005)
    assert (await fresh.http.get(f"{PATH}/admin", headers={"D360-API-KEY": "wrong", "Authorization": f"Bearer {token}"})).status_code == 200


async def test_a_token_of_a_given_key_works_on_every_node_that_has_it(fresh: Door) -> None:
    fresh.place.environ["SATCHEL_WEBAPP__TOKEN_KEY"] = "k" * 64
    async with opened(fresh.place) as keyed:
        token = await login(keyed, "admin", PASSWORD)
        assert await works(token, keyed, fresh) == [404, 401]
