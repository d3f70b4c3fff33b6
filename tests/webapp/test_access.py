"""Who gets in, and what the door says otherwise."""

import asyncio
import base64
import time
from typing import Any

import jwt
import pytest

from satchel.db import settings, users
from satchel.domain.errors import Fault
from satchel.flows import access

from .conftest import PASSWORD, Door

pytestmark = pytest.mark.anyio
CALLS = [
    ("POST", "/v1/media"),
    ("GET", "/v1/media/0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"),
    ("DELETE", "/v1/media/0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"),
    ("POST", "/v1/messages"),
    ("GET", "/v1/settings/application"),
    ("PATCH", "/v1/settings/application"),
]


@pytest.mark.parametrize("body", [None, b"{}", b'{"new_password": "Quay-Lantern-42"}', b"not json"])
async def test_login_gives_one_token_that_works(fresh: Door, body: bytes | None) -> None:
    fresh.http.headers.pop("Authorization")
    answer = await fresh.http.post("/v1/users/login", auth=("admin", PASSWORD), content=body)
    assert answer.status_code == 200
    (user,) = answer.json()["users"]
    cut = time.strptime(user["expires_after"].partition("+")[0], "%Y-%m-%d %H:%M:%S")
    assert 6.9 * 86_400 < time.mktime(cut) - time.mktime(time.gmtime()) < 7.1 * 86_400
    assert user["expires_after"].endswith("+00:00")
    got = await fresh.http.get("/v1/settings/application", headers={"Authorization": f"Bearer {user['token']}"})
    assert got.status_code == 200


async def test_a_second_login_does_not_void_the_first(door: Door) -> None:
    answers = await asyncio.gather(*(door.http.post("/v1/users/login", auth=("admin", PASSWORD)) for _ in range(5)))
    for answer in answers:
        token = answer.json()["users"][0]["token"]
        assert (await door.http.get("/v1/settings/application", headers={"Authorization": f"Bearer {token}"})).status_code == 200


@pytest.mark.parametrize(
    ("name", "password"), [("admin", "wrong"), ("nobody", PASSWORD), ("ad\0min", PASSWORD), ("", ""), ("admin", "secret")]
)
async def test_wrong_credentials_are_401_with_1005(door: Door, name: str, password: str) -> None:
    answer = await door.http.post("/v1/users/login", auth=(name, password))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 1005)


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x.y.z", "Basic eA==", "Token abc"])
async def test_without_a_token_every_call_is_401_with_json(door: Door, method: str, path: str, authorization: str) -> None:
    answer = await door.http.request(method, path, headers={"Authorization": authorization, "Content-Type": "image/png"}, content=b"x")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, 1005)


async def test_a_foreign_or_expired_token_is_401(door: Door) -> None:
    key = await door.ports.db.write(settings.token_key)
    admin = await door.ports.db.read(lambda tx: users.find(tx, "admin"))
    assert admin is not None
    claims = {"sub": "admin", "epoch": admin.epoch, "jti": "x", "exp": int(time.time()) + 100}
    foreign = jwt.encode(claims, "0" * 64, algorithm="HS256")
    expired = jwt.encode({**claims, "exp": int(time.time()) - 1}, key, algorithm="HS256")
    unsigned = jwt.encode(claims, "", algorithm="none")
    wrong: list[dict[str, Any]] = [{"epoch": "1"}, {"jti": "a\0b"}, {"epoch": 1 << 70}, {"exp": "soon"}, {"jti": 5}]
    odd = [jwt.encode({**claims, **given}, key) for given in wrong]
    deep = base64.urlsafe_b64encode(b"[" * 30_000).decode()
    for token in (foreign, expired, unsigned, *odd, f"{deep}.x.y"):
        answer = await door.http.get("/v1/settings/application", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    assert (
        await door.http.get("/v1/settings/application", headers={"Authorization": f"Bearer {jwt.encode(claims, key)}"})
    ).status_code == 200


async def test_a_changed_password_ends_every_token(fresh: Door) -> None:
    await access.set_admin_password(fresh.ports.db, "Another-Quay-7")
    assert (await fresh.http.get("/v1/settings/application")).status_code == 401
    assert (await fresh.http.post("/v1/users/login", auth=("admin", "Another-Quay-7"))).status_code == 200


async def test_only_an_administrator_may_change_settings(fresh: Door) -> None:
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE \"user\" SET role = 'ROLE_USER'"))
    answer = await fresh.http.patch("/v1/settings/application", json={"webhooks": {"url": "http://evil"}})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, 1005)


@pytest.mark.parametrize("password", ["Sh0rt-", "no-upper-case-1", "NO-LOWER-1", "No-Digits-Here", "NoSpecial123", "x" * 65])
async def test_a_weak_password_is_refused(fresh: Door, password: str) -> None:
    with pytest.raises(Fault, match="8 to 64 characters"):
        await access.set_admin_password(fresh.ports.db, password)


async def test_eight_characters_of_all_four_kinds_are_enough(fresh: Door) -> None:
    await access.set_admin_password(fresh.ports.db, "short-1A")
    assert (await fresh.http.post("/v1/users/login", auth=("admin", "short-1A"))).status_code == 200


async def test_secrets_do_not_show_in_a_repr(door: Door) -> None:
    user = await door.ports.db.read(lambda tx: users.find(tx, "admin"))
    assert user is not None
    assert "argon2" not in repr(user)


async def test_an_unknown_path_and_a_wrong_method_get_the_envelope(door: Door) -> None:
    nowhere = await door.http.get("/v1/nothing")
    assert (nowhere.status_code, nowhere.json()["errors"][0]["code"]) == (404, 1006)
    wrong = await door.http.put("/v1/messages")
    assert (wrong.status_code, wrong.json()["errors"][0]["code"], wrong.headers["allow"]) == (405, 1025, "POST")


async def test_a_foreign_host_and_a_content_type_on_get_are_no_reason_to_refuse(door: Door) -> None:
    media = await door.upload()
    headers = {"Host": "balancer.internal", "Content-Type": "application/json"}
    assert (await door.http.request("GET", f"/v1/media/{media}", headers=headers, content=b"{}")).content == b"hello"
