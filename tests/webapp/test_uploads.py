"""What may come with an upload: digests, keys for sending it again, multipart forms, request ids; and what must not be left behind."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

import httpx2
import pytest
import structlog

from satchel.db import idempotency
from satchel.webapp import bodies
from satchel.webapp.replies import Draining

from ..conftest import Place
from .conftest import Door, opened

pytestmark = pytest.mark.anyio
FIELD = b'--b\r\nContent-Disposition: form-data; name="type"\r\n\r\nimage/png'
FORM = FIELD + b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
FORM_END = b"\r\n--b--\r\n"
MULTIPART = "multipart/form-data; boundary=b"


async def post(door: Door, content: bytes = b"x", /, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await door.http.post("/v1/media", content=content, headers={"Content-Type": "a/b", **named})


def nothing_is_left(door: Door) -> bool:
    return door.files("shared") == door.files("parts") == []


# Digests


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Repr_Digest", f"sha-256=:{base64.b64encode(hashlib.sha256(b'x').digest()).decode()}:"),
        ("Repr_Digest", f"md5=:AAAA:, sha-256=:{base64.b64encode(hashlib.sha256(b'x').digest()).decode()}:"),
        ("Repr_Digest", "sha-512=:AAAA:"),
        ("Content_MD5", base64.b64encode(hashlib.md5(b"x").digest()).decode()),
    ],
)
async def test_a_digest_that_is_right_or_unknown_is_no_obstacle(door: Door, header: str, value: str) -> None:
    assert (await post(door, **{header: value})).status_code == 201


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Repr_Digest", f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"),
        ("Repr_Digest", "sha-256=:short:"),
        ("Content_MD5", base64.b64encode(bytes(16)).decode()),
        ("Content_MD5", "!"),
    ],
)
async def test_a_wrong_or_malformed_digest_is_400_and_leaves_nothing(fresh: Door, header: str, value: str) -> None:
    answer = await post(fresh, **{header: value})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1009)
    assert nothing_is_left(fresh)


# Idempotency-Key


async def test_the_same_request_sent_again_gets_the_first_answer_and_stores_nothing_more(fresh: Door) -> None:
    first, again = [await post(fresh, Idempotency_Key="k1") for _ in range(2)]
    assert first.json() == again.json()
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert len(fresh.files("shared")) == 1


@pytest.mark.parametrize("other", [(b"y", "a/b"), (b"x", "c/d")])
async def test_another_request_with_the_same_key_is_409_and_leaves_nothing(fresh: Door, other: tuple[bytes, str]) -> None:
    await post(fresh, Idempotency_Key="k1")
    answer = await post(fresh, other[0], Idempotency_Key="k1", Content_Type=other[1])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, 1004)
    assert len(fresh.files("shared")) == 1


async def test_a_key_whose_media_was_deleted_stores_it_anew(fresh: Door) -> None:
    first = (await post(fresh, Idempotency_Key="k1")).json()["media"][0]["id"]
    await fresh.http.delete(f"/v1/media/{first}")
    again, replayed = [await post(fresh, Idempotency_Key="k1") for _ in range(2)]
    assert ("idempotent-replayed" in again.headers, replayed.headers["idempotent-replayed"]) == (False, "true")
    second = replayed.json()["media"][0]["id"]
    assert (again.json()["media"][0]["id"], second != first) == (second, True)
    assert (await fresh.http.get(f"/v1/media/{second}")).content == b"x"


async def test_ten_at_once_with_one_key_store_one_file(fresh: Door) -> None:
    answers = await asyncio.gather(*(post(fresh, Idempotency_Key="k1") for _ in range(10)))
    assert len({answer.json()["media"][0]["id"] for answer in answers}) == 1
    assert len(fresh.files("shared")) == 1


@pytest.mark.parametrize("pruned", [True, False])
async def test_a_key_is_free_again_once_its_day_is_over(fresh: Door, pruned: bool) -> None:
    first = await post(fresh, Idempotency_Key="k1")
    await post(fresh, Idempotency_Key="k2")
    await fresh.ports.db.write(lambda tx: tx.run("UPDATE idempotency SET expires_at = expires_at - 86401 WHERE key = 'k1'"))
    if pruned:
        await fresh.ports.db.write(idempotency.prune)
        assert await fresh.ports.db.read(lambda tx: tx.all("SELECT key FROM idempotency")) == [("k2",)]
    for _ in range(2):
        again = await post(fresh, b"other", Idempotency_Key="k1")
        assert again.status_code == 201
        assert again.json() != first.json()
    assert len(fresh.files("shared")) == 3


async def test_a_message_with_a_key_is_accepted_once(fresh: Door) -> None:
    body = {"to": "12025550111", "type": "document", "document": {"id": await fresh.upload()}}
    answers = [await fresh.http.post("/v1/messages", json=body, headers={"Idempotency-Key": "m"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert await fresh.ports.db.read(lambda tx: tx.one("SELECT count(*) FROM message")) == (1,)
    other = await fresh.http.post("/v1/messages", json={**body, "to": "12025550112"}, headers={"Idempotency-Key": "m"})
    assert other.status_code == 409


@pytest.mark.parametrize("key", ["", "x" * 256, "ü"])
async def test_a_key_that_cannot_be_used_is_400(door: Door, key: str) -> None:
    answer = await door.http.post("/v1/media", content=b"x", headers={b"Content-Type": b"a/b", b"Idempotency-Key": key.encode()})
    assert answer.status_code == 400


# X-Request-Id


async def test_a_request_id_is_echoed_or_made(door: Door) -> None:
    made, echoed, unfit = [
        (await door.http.get("/v1/nothing", headers=headers)).headers["x-request-id"]
        for headers in ({}, {"X-Request-Id": "mine-1"}, {"X-Request-Id": "x" * 129})
    ]
    assert (len(made), made[14], echoed, len(unfit)) == (36, "7", "mine-1", 36)


# Multipart


async def test_the_one_file_of_a_form_is_taken_with_its_own_type(fresh: Door) -> None:
    answer = await post(fresh, FORM + b"Content-Type: image/jpeg\r\n\r\n" + b"J" * 300_000 + FORM_END, Content_Type=MULTIPART)
    got = await fresh.http.get(f"/v1/media/{answer.json()['media'][0]['id']}")
    assert (got.content, got.headers["content-type"]) == (b"J" * 300_000, "image/jpeg")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (FORM + b"Content-Type: image/jpeg\r\n\r\none\r\n" + FORM + b"Content-Type: image/jpeg\r\n\r\ntwo" + FORM_END, 1009),
        (FIELD + FORM_END, 1009),
        (b"--b--\r\n", 1009),
        (b"", 1009),
        (b"nonsense", 1009),
        (FORM + b"Content-Type: image/jpeg\r\n\r\ncut off here", 1009),
        (FORM + b"Content-Type: image/jpeg\r\n\r\n" + FORM_END, 1009),
        (FORM + b"\r\nno type" + FORM_END, 1008),
        (FORM + b"Content-Type: nonsense\r\n\r\nx" + FORM_END, 1009),
        (b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + b"n" * 100_000 + FORM_END, 1009),
    ],
    ids=["two-files", "no-file", "empty-form", "empty-body", "nonsense", "cut-off", "empty-file", "no-type", "bad-type", "long-field"],
)
async def test_an_unclear_or_broken_form_is_400_and_leaves_nothing(fresh: Door, body: bytes, code: int) -> None:
    answer = await post(fresh, body, Content_Type=MULTIPART)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    assert nothing_is_left(fresh)


async def test_a_form_without_a_boundary_is_400(door: Door) -> None:
    answer = await post(door, FORM, Content_Type="multipart/form-data")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 1009)


async def test_the_type_that_curl_makes_up_is_taken(door: Door) -> None:
    with structlog.testing.capture_logs() as said:
        assert (await post(door, Content_Type="application/x-www-form-urlencoded")).status_code == 201
    (line,) = [line for line in said if line["event"] == "form_type"]
    assert "a document goes out with it" in line["hint"]


# Slow, endless, too many


async def test_a_body_that_stops_is_408_and_leaves_nothing(fresh: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE", 0.05)
    monkeypatch.setattr(Draining, "SECONDS", 0.1)

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        await asyncio.Event().wait()

    answer = await fresh.http.post("/v1/media", content=stalls(), headers={"Content-Type": "a/b"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (408, 1009)
    assert nothing_is_left(fresh)


async def test_a_body_that_trickles_is_408(fresh: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE", -1.0)
    monkeypatch.setattr(Draining, "SECONDS", 0.1)
    monkeypatch.setattr(bodies, "_in_time", lambda some: some())

    async def trickles() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    answer = await fresh.http.post("/v1/media", content=trickles(), headers={"Content-Type": "a/b"})
    assert answer.status_code == 408
    assert nothing_is_left(fresh)


async def test_the_ceiling_is_a_setting(place: Place) -> None:
    async with opened(Place(place.data_dir, {**place.environ, "SATCHEL_VOLUME__MAX_UPLOAD": "64MB"})) as door:
        within, over = [await post(door, bytes((64 << 20) + extra)) for extra in (0, 1)]
    assert (within.status_code, over.status_code) == (201, 413)
    assert "64 MiB" in over.json()["errors"][0]["details"]


async def test_request_rates_are_kept_where_they_are_switched_on(place: Place) -> None:
    async with opened(Place(place.data_dir, {**place.environ, "SATCHEL_WEBAPP__RATE_LIMITS": "true"})) as door:
        answers = [await door.http.get("/v1/settings/application") for _ in range(200)]
    over = [answer for answer in answers if answer.status_code == 429]
    assert [answer.status_code for answer in answers[:60]] == [200] * 60
    assert over
    assert (over[0].json()["errors"][0]["code"], over[0].headers["retry-after"]) == (1015, "1")


async def test_without_the_switch_nobody_is_refused(door: Door) -> None:
    answers = [await door.http.get("/v1/settings/application") for _ in range(200)]
    assert {answer.status_code for answer in answers} == {200}
