"""Downloads that are answered as soon as their head is read: the same bytes as in the usual way, or that way itself."""

import asyncio
import hashlib
import os
import re
import socket
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from satchel.flows import media_node
from satchel.webapp import protocol
from satchel.webapp.at_once import AtOnce
from satchel.webapp.downloads import AT_ONCE, FILE_BLOCK

from .conftest import Door
from .connection import Server, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
VARYING = re.compile(rb"\r\n(Date|X-Request-Id): [^\r]*", re.IGNORECASE)


@pytest.fixture
async def server(door: Door) -> AsyncIterator[Server]:
    async with serving(door) as server:
        yield server


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The addresses that were answered at once."""
    addresses: list[bytes] = []
    answer = AtOnce.answer

    def noted(self: AtOnce, url: bytes, *rest: object, **given: object) -> object:
        found = answer(self, url, *rest, **given)  # type: ignore[arg-type]
        addresses.extend([url] if found is not None else [])
        return found

    monkeypatch.setattr(AtOnce, "answer", noted)
    return addresses


def _is_sqlite(door: Door) -> bool:
    """The other engine lives in another process: nothing of it is ever at hand."""
    return door.place.kind == "sqlite"


@pytest.mark.parametrize("size", [1, 20_480, AT_ONCE, AT_ONCE + 1, FILE_BLOCK, FILE_BLOCK + 1])
async def test_head_and_body_are_those_of_the_usual_way(door: Door, taken: list[bytes], size: int) -> None:
    body = os.urandom(size)
    media = await door.upload(body, "image/jpeg; q=1")
    answers = []
    for way in ("at-once", "short", "usual"):
        async with serving(door, way) as server:
            talk = await server.dial()
            await server.ask(talk, "GET", f"/v1/media/{media}", "X-Request-Id: the-token-is-known-now\r\n")
            answers.append(await server.ask(talk, "GET", f"/v1/media/{media}"))
            assert await server.ask(talk, "GET", "/")  # the connection goes on
    assert [answer[1] == body for answer in answers] == [True, True, True]
    assert len({VARYING.sub(b"", head).lower() for head, _ in answers}) == 1
    assert VARYING.sub(b"", answers[0][0]) == VARYING.sub(b"", answers[1][0])
    assert len(taken) == (1 if _is_sqlite(door) and size <= FILE_BLOCK else 0)


async def test_what_changed_since_is_seen_at_once(server: Server, taken: list[bytes]) -> None:
    media, talk = await server.door.upload(b"before"), await server.dial()
    file = server.door.place.data_dir / "media/shared" / media
    for _ in range(2):
        assert (await server.ask(talk, "GET", f"/v1/media/{media}"))[1] == b"before"
    assert taken or not _is_sqlite(server.door)
    file.write_bytes(b"after it")
    head, body = await server.ask(talk, "GET", f"/v1/media/{media}")
    assert (body, hashlib.sha256(body).hexdigest().encode() in head) == (b"after it", True)
    await media_node.delete(server.door.ports, media)
    assert (await server.ask(talk, "GET", f"/v1/media/{media}"))[0].split()[1] == b"404"


async def test_a_token_that_ended_gets_nothing(server: Server) -> None:
    media, talk = await server.door.upload(b"mine"), await server.dial()
    login = await server.door.http.post("/v1/users", json={"username": "anna", "password": "Quay-Lantern-43"})
    assert login.status_code == 201
    answer = await server.door.http.post("/v1/users/login", headers={"Authorization": "Basic YW5uYTpRdWF5LUxhbnRlcm4tNDM="})
    server.token = "Bearer " + answer.json()["users"][0]["token"]
    for _ in range(2):
        assert (await server.ask(talk, "GET", f"/v1/media/{media}"))[1] == b"mine"
    assert (await server.door.http.delete("/v1/users/anna")).status_code == 200
    assert (await server.ask(talk, "GET", f"/v1/media/{media}"))[0].split()[1] == b"401"


@pytest.mark.parametrize("more", ["Range: bytes=1-2\r\n", "If-None-Match: *\r\n", "X-Request-Id: mine\r\n", "Connection: close\r\n"])
async def test_whatever_changes_the_answer_goes_the_usual_way(server: Server, taken: list[bytes], more: str) -> None:
    media, talk = await server.door.upload(b"hello"), await server.dial()
    for _ in range(2):
        if talk[0].at_eof():
            talk = await server.dial()
        head, _ = await server.ask(talk, "GET", f"/v1/media/{media}", more)
        assert head.split()[1] in {b"200", b"206", b"304"}
        if "close" in more:
            await talk[0].read()
    assert not taken


async def test_a_reader_with_little_room_gets_the_rest_later(server: Server, taken: list[bytes]) -> None:
    body = os.urandom(FILE_BLOCK)
    media, first = await server.door.upload(body), await server.dial()
    await server.ask(first, "GET", "/v1/media/" + media)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(narrow, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=narrow, limit=4096)
    await server.ask((reader, writer), "GET", "/v1/media/" + (await server.door.upload()))
    connection = next(iter(server.connections - {one for one in server.connections if one.client == first[1].get_extra_info("sockname")}))
    sending = connection.transport.get_extra_info("socket")
    sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(2):  # and what comes after it is told apart
        assert (await server.ask((reader, writer), "GET", f"/v1/media/{media}"))[1] == body
    assert len(taken) >= 2 or not _is_sqlite(server.door)
    writer.close()


async def test_a_client_that_leaves_before_the_rest_leaves_no_descriptor(server: Server) -> None:
    media = await server.door.upload(os.urandom(FILE_BLOCK))
    first = await server.dial()
    await server.ask(first, "GET", f"/v1/media/{media}")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count of names
    for _ in range(5):
        reader, writer = await server.dial()
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer.write(f"GET /v1/media/{media} HTTP/1.1\r\nHost: node\r\nAuthorization: {server.token}\r\n\r\n".encode() * 3)
        await reader.readexactly(1000)
        writer.transport.abort()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


async def test_a_connection_on_which_nothing_more_comes_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    media, talk = await server.door.upload(), await server.dial()
    for connection in server.connections:
        connection.timeout_keep_alive = 0.2  # type: ignore[assignment]
    for _ in range(2):
        await server.ask(talk, "GET", f"/v1/media/{media}")
    await talk[0].read()


async def test_the_log_names_the_peer_and_a_forwarded_request_goes_the_usual_way(door: Door, server: Server, taken: list[bytes]) -> None:
    media = await door.upload()
    talk = await server.dial()
    with capture_logs() as said:
        for more in ("X-Request-Id: the-token-is-known-now\r\n", "", "X-Forwarded-For: 192.0.2.1\r\n"):
            await server.ask(talk, "GET", f"/v1/media/{media}", more)
        await until(lambda: len([line for line in said if line["event"] == "request"]) == 3)
    assert [line["address"] for line in said if line["event"] == "request"] == ["127.0.0.1"] * 3
    assert len(taken) == (1 if _is_sqlite(door) else 0)
