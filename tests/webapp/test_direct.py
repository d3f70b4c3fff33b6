"""The short way between a connection and a media, over real sockets, beside the usual way: nobody can tell them apart."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from satchel.webapp import protocol

from .conftest import Door
from .connection import WAYS, Server, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
LARGE = bytes(range(256)) * 20_000


@pytest.fixture(params=list(WAYS))
async def server(door: Door, request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    async with serving(door, request.param) as server:
        yield server


async def test_downloads_of_every_kind_follow_each_other_on_one_connection(server: Server) -> None:
    small, large = await server.door.upload(b"0123456789", "text/plain"), await server.door.upload(LARGE, "video/mp4")
    talk = await server.dial()
    for _ in range(2):
        assert (await server.ask(talk, "GET", f"/v1/media/{small}"))[1] == b"0123456789"
        assert (await server.ask(talk, "GET", f"/v1/media/{large}"))[1] == LARGE
        head, body = await server.ask(talk, "GET", f"/v1/media/{large}", "Range: bytes=1000000-4999999\r\n")
        assert (head.split()[1], body) == (b"206", LARGE[1_000_000:5_000_000])
        head, _ = await server.ask(talk, "HEAD", f"/v1/media/{large}")
        assert f"content-length: {len(LARGE)}".encode() in head.lower()
        etag = next(line for line in head.decode().split("\r\n") if line.lower().startswith("etag:"))[6:]
        assert (await server.ask(talk, "GET", f"/v1/media/{large}", f"If-None-Match: {etag}\r\n"))[0].split()[1] == b"304"
        assert (await server.ask(talk, "GET", f"/v1/media/{small}x"))[0].split()[1] == b"404"
    talk[1].close()


async def test_answers_carry_the_request_id_once(server: Server) -> None:
    talk = await server.dial()
    for path in ("/v1/nothing", f"/v1/media/{await server.door.upload()}", f"/v1/media/{await server.door.upload(LARGE)}"):
        head, _ = await server.ask(talk, "GET", path, "X-Request-Id: mine\r\n")
        assert head.lower().count(b"\r\nx-request-id: mine\r\n") == 1
    talk[1].close()


@pytest.mark.parametrize("more", ["Connection: close\r\n", ""], ids=["close", "http10"])
async def test_a_connection_that_ends_with_the_answer_ends_after_all_of_it(server: Server, more: str) -> None:
    media = await server.door.upload(LARGE)
    reader, writer = await server.dial()
    version = "1.1" if more else "1.0"
    writer.write(f"GET /v1/media/{media} HTTP/{version}\r\nHost: node\r\nAuthorization: {server.token}\r\n{more}\r\n".encode())
    assert (await reader.read()).partition(b"\r\n\r\n")[2] == LARGE
    writer.close()


@pytest.mark.parametrize("size", [0, 1, 20_480, 5_000_000])
@pytest.mark.parametrize("expect", [True, False], ids=["expect", "at-once"])
async def test_uploads_of_every_size_arrive_whole(server: Server, size: int, expect: bool) -> None:
    talk = await server.dial()
    body = os.urandom(size)
    more = f"Content-Type: a/b\r\nContent-Length: {size}\r\n" + ("Expect: 100-continue\r\n" if expect else "")
    if expect:
        await server.ask(talk, "POST", "/v1/media", more)
        talk[1].write(body)
        head = await talk[0].readuntil(b"\r\n\r\n")
    else:
        head, _ = await server.ask(talk, "POST", "/v1/media", more, body)
    assert head.split()[1] == (b"201" if size else b"400")
    talk[1].close()
    if size:
        newest = max((server.door.place.data_dir / "media/shared").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        assert newest.read_bytes() == body


async def test_a_chunked_upload_and_the_next_request_behind_it_are_told_apart(server: Server) -> None:
    talk = await server.dial()
    body = b"".join(b"%x\r\n%b\r\n" % (size, b"z" * size) for size in (1, 70_000, 300_000, 5)) + b"0\r\n\r\n"
    head, answer = await server.ask(talk, "POST", "/v1/media", "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n", body)
    assert head.split()[1] == b"201"
    media = answer.split(b'"id":"')[1][:36].decode()
    assert len((await server.ask(talk, "GET", f"/v1/media/{media}"))[1]) == 370_006
    talk[1].close()


async def test_a_refused_upload_is_answered_before_its_end_and_closes(server: Server) -> None:
    talk = await server.dial()
    head, _ = await server.ask(talk, "POST", "/v1/media", f"Content-Type: a/b\r\nContent-Length: {1 << 30}\r\n", b"x" * 500_000)
    assert head.split()[1] == b"413"
    assert b"connection: close" in head.lower()
    assert head.lower().count(b"\r\nconnection:") == 1
    assert head.lower().count(b"\r\nx-request-id:") == 1
    talk[1].close()


@pytest.mark.parametrize("way", ["at-once", "short"])
async def test_a_refusal_before_the_body_has_headers_as_people_write_them(door: Door, way: str) -> None:
    async with serving(door, way) as server:
        reader, writer = await server.dial()
        head, _ = await server.ask(
            (reader, writer), "POST", "/v1/media", f"Content-Type: a/b\r\nContent-Length: {1 << 30}\r\n", b"x" * 1000
        )
        writer.write_eof()
        assert await reader.read() == b""
    names = [line.split(b":")[0] for line in head.split(b"\r\n")[1:] if line]
    assert {b"Connection", b"Content-Length", b"Content-Type", b"Satchel-Error", b"X-Request-Id"} <= set(names)
    assert [name for name in names if name == name.lower()] == []


async def test_a_file_cut_short_during_its_download_cuts_the_connection(server: Server) -> None:
    body = os.urandom(30_000_000)
    media = await server.door.upload(body)
    reader, writer = await server.dial()
    writer.write(f"GET /v1/media/{media} HTTP/1.1\r\nHost: node\r\nAuthorization: {server.token}\r\n\r\n".encode())
    got = await reader.readuntil(b"\r\n\r\n")
    os.truncate(server.door.place.data_dir / "media/shared" / media, 1000)
    rest = await reader.read()
    assert got.split()[1] == b"200"
    assert len(rest) < len(body)
    writer.close()


async def test_a_client_that_leaves_in_the_middle_leaves_no_descriptor(server: Server) -> None:
    media = await server.door.upload(os.urandom(30_000_000))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count of names
    for _ in range(5):
        reader, writer = await server.dial()
        writer.write(f"GET /v1/media/{media} HTTP/1.1\r\nHost: node\r\nAuthorization: {server.token}\r\n\r\n".encode())
        await reader.readexactly(100_000)
        writer.transport.abort()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


async def test_answers_that_nobody_reads_do_not_pile_up(server: Server) -> None:
    media = await server.door.upload(os.urandom(100_000))
    reader, writer = await server.dial()
    one = f"GET /v1/media/{media} HTTP/1.1\r\nHost: node\r\nAuthorization: {server.token}\r\n\r\n".encode()
    writer.write(one * 2000)
    await until(lambda: any(connection.flow.write_paused for connection in server.connections))
    for _ in range(200):
        await asyncio.sleep(0)
    assert max(connection.transport.get_write_buffer_size() for connection in server.connections) < 400_000
    assert await reader.readexactly(1000)
    writer.transport.abort()


@pytest.mark.parametrize("pieces", [1, 2, 30], ids=["one-packet", "two", "many"])
async def test_a_wish_for_another_protocol_is_passed_over_with_the_body_kept(server: Server, pieces: int) -> None:
    reader, writer = await server.dial()
    head = f"POST /v1/media HTTP/1.1\r\nHost: node\r\nAuthorization: {server.token}\r\nContent-Type: a/b\r\n"
    wish = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    whole = (head + wish + "Content-Length: 5\r\n\r\n").encode()
    if pieces == 1:
        writer.write(whole + b"hello")
        assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"201"
        return
    size = -(-len(whole) // pieces)
    for start in range(0, len(whole), size):
        writer.write(whole[start : start + size])
        await writer.drain()
        await asyncio.sleep(0.005)  # packets of their own are what is tested
    writer.write(b"hello")
    assert (await reader.readuntil(b"\r\n\r\n")).split()[1] in {b"201", b"400"}


@pytest.mark.parametrize("rubbish", [b"GET /v1/me", b"\x00\x01 rubbish\r\n\r\n"], ids=["half-a-head", "rubbish"])
async def test_nothing_is_written_into_the_middle_of_a_download(server: Server, rubbish: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    body = os.urandom(30_000_000)
    media = await server.door.upload(body)
    reader, writer = await server.dial()
    writer.write(f"GET /v1/media/{media} HTTP/1.1\r\nHost: node\r\nAuthorization: {server.token}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    got = await reader.readexactly(100_000)
    writer.write(rubbish)
    while len(got) < len(body) and (block := await reader.read(500_000)):
        got += block
        await asyncio.sleep(0.002)  # a slow reader, so that the timer strikes in the middle
    assert got[: len(body)] == body[: len(got)]


async def test_a_connection_whose_body_nobody_awaits_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    reader, writer = await server.dial()
    writer.write(b"GET / HTTP/1.1\r\nHost: node\r\nContent-Length: 100\r\n\r\n")
    await reader.readuntil(b"}")
    writer.write(b"x")
    await reader.read()


async def test_a_client_that_takes_nothing_loses_its_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(protocol, "STALLED", 0.3)
    _, writer = await server.dial()
    writer.write(b"GET /v1/openapi.json HTTP/1.1\r\nHost: node\r\n\r\n" * 500)
    await until(lambda: any(connection.flow.write_paused for connection in server.connections))
    await until(lambda: not server.connections)
