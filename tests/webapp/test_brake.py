"""Wrong passwords: counted by user and address over all hosts; right ones cost next to nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import argon2
import httpx2
import pytest

from satchel import build
from satchel.db import brake, users
from satchel.domain.errors import DATABASE_DOWN, Later
from satchel.domain.users import ADMIN
from satchel.flows import access, login
from satchel.flows.access import NOBODYS_HASH

from .conftest import PASSWORD, Door

pytestmark = pytest.mark.anyio
LOGIN = "/v1/users/login"
Knock = Callable[..., Any]


@pytest.fixture
async def knock(fresh: Door) -> AsyncIterator[Knock]:
    """Log in at one of two hosts from an address of one's choice."""
    async with build.opened(fresh.place.settings, "web") as node:
        apps = [build.webapp(fresh.place.settings, ports) for ports in (fresh.ports, node.ports)]

        async def knock(
            password: str, name: str = "admin", address: str = "192.0.2.1", host: int = 0, **headers: str
        ) -> tuple[int, httpx2.Response]:
            transport = httpx2.ASGITransport(apps[host], client=(address, 5000))
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as http:
                answer = await http.post(LOGIN, auth=(name, password), headers=headers)
            return answer.status_code, answer

        yield knock


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been hashed by now."""
    seen: list[str] = []
    original = argon2.PasswordHasher.verify

    def counting(hasher: argon2.PasswordHasher, password_hash: str, password: str) -> bool:
        seen.append(password)
        return original(hasher, password_hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counting)
    return seen


async def test_the_eleventh_wrong_password_of_a_pair_is_429_on_every_host(knock: Knock, hashes: list[str]) -> None:
    assert [(await knock(f"wrong-{n}", host=n % 2))[0] for n in range(10)] == [401] * 10
    for host in (0, 1):
        status, answer = await knock("wrong-11", host=host)
        assert (status, answer.json()["errors"][0]["code"]) == (429, 1015)
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["satchel-error"] == "too-many-wrong-passwords"
    assert (await knock(PASSWORD))[0] == 429
    assert len(hashes) == 10
    assert (await knock(PASSWORD, address="192.0.2.2"))[0] == 200
    assert (await knock("wrong", name="other"))[0] == 401


async def test_a_header_does_not_change_the_address(knock: Knock) -> None:
    assert Counter([(await knock("wrong", **{"X-Forwarded-For": f"10.0.0.{n}"}))[0] for n in range(12)]) == {401: 10, 429: 2}


async def test_who_is_known_to_be_right_comes_in_while_the_brake_is_on(knock: Knock) -> None:
    assert (await knock(PASSWORD))[0] == 200
    assert Counter([(await knock("wrong"))[0] for _ in range(11)]) == {401: 10, 429: 1}
    assert (await knock(PASSWORD))[0] == 200


@pytest.mark.parametrize("name", ["nobody", "admin", "x" * 5000, "näme", "a b"])
async def test_an_unknown_name_is_hashed_and_counted_like_a_known_one(knock: Knock, hashes: list[str], name: str) -> None:
    answers = [await knock(f"wrong-{n}", name=name) for n in range(11)]
    assert [status for status, _ in answers] == [401] * 10 + [429]
    assert len(hashes) == 10
    assert {answer.json()["errors"][0]["details"] for status, answer in answers if status == 401} == {"Invalid credentials."}


async def test_parallel_wrong_passwords_are_counted_one_by_one(knock: Knock, hashes: list[str]) -> None:
    for guesses, host in ((["the-same"] * 30, 0), ([f"guess-{n}" for n in range(30)], 1)):
        answers = await asyncio.gather(*(knock(guess, address=f"192.0.2.{host}") for guess in guesses))
        assert Counter(status for status, _ in answers) == {401: 10, 429: 20}
    assert len(hashes) <= 1 + 10 + access.HASHES_AT_ONCE


async def test_fifty_logins_in_parallel_and_fifty_in_a_row_cost_two_hashes_and_no_row(knock: Knock, fresh: Door, hashes: list[str]) -> None:
    answers = await asyncio.gather(*(knock(PASSWORD, host=n % 2) for n in range(50)))
    assert Counter(status for status, _ in answers) == {200: 50}
    assert [(await knock(PASSWORD, host=n % 2))[0] for n in range(50)] == [200] * 50
    assert len(hashes) == 2  # one a host
    rows = await fresh.ports.db.read(lambda tx: tx.all("SELECT account FROM brake UNION ALL SELECT jti FROM revoked"))
    assert rows == []


@pytest.mark.parametrize("shift", [-61.0, 3600.0, 10 * 86_400.0])
async def test_a_minute_that_is_over_or_lies_in_the_future_locks_nobody_out(knock: Knock, fresh: Door, shift: float) -> None:
    for _ in range(11):
        await knock("wrong")
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE brake SET since_at = since_at + :shift", shift=shift))
    assert (await knock("wrong"))[0] == 401
    assert (await knock(PASSWORD))[0] == 200


async def test_windows_that_are_over_are_pruned(knock: Knock, fresh: Door) -> None:
    await knock("wrong")
    await knock("wrong", name="other")
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE brake SET since_at = since_at - 61 WHERE account = 'other'"))
    await fresh.ports.db.write(brake.prune)
    assert await fresh.ports.db.read(lambda tx: tx.all("SELECT account, failures FROM brake")) == [("admin", 1)]


async def test_a_hash_with_other_parameters_is_made_anew_by_the_login_and_ends_no_token(knock: Knock, fresh: Door) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await fresh.ports.db.write(lambda tx: tx.run('UPDATE "user" SET password_hash = :hash', hash=old))
    assert (await knock("wrong"))[0] == 401
    before = await fresh.ports.db.read(lambda tx: users.find(tx, ADMIN))
    assert (await knock(PASSWORD))[0] == 200
    after = await fresh.ports.db.read(lambda tx: users.find(tx, ADMIN))
    assert before is not None and after is not None
    assert (before.password_hash, before.epoch) == (old, after.epoch)
    assert after.password_hash.split("$")[1:4] == NOBODYS_HASH.split("$")[1:4]
    assert (await fresh.http.get("/v1/users/admin")).status_code == 200
    assert (await knock(PASSWORD))[0] == 200


async def test_the_hash_of_nobody_costs_what_ours_cost() -> None:
    ours = await access.hashed("x")
    assert NOBODYS_HASH.split("$")[1:4] == ours.split("$")[1:4]
    assert len(NOBODYS_HASH) == len(ours)


async def test_what_the_database_cannot_count_is_counted_in_memory(fresh: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk of the database: tests/journeys/test_full_volume.py does it with a real one."""
    logins = login.Logins(fresh.ports.db)

    def full(*_: Any) -> None:
        raise Later(DATABASE_DOWN, "The disk is full.", 2.0)

    monkeypatch.setattr(brake, "count", full)
    found = []
    for n in range(12):
        with pytest.raises(Later) as caught:
            await logins.login(ADMIN, f"Wrong-{n}", "192.0.2.9")
        found.append(caught.value.situation.slug)
    assert found == ["database-down"] * 10 + ["too-many-wrong-passwords"] * 2
    with pytest.raises(Later):
        await logins.login(ADMIN, PASSWORD, "192.0.2.9")  # as with a database: the pair is braked, whatever it says
    assert (await logins.login(ADMIN, PASSWORD, "192.0.2.10")).name == ADMIN
