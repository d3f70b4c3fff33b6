"""Fetching links from real servers: what is refused, what comes, and who sees the credentials."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from satchel.domain.errors import LINK_FAILED, LINK_TOO_LARGE, Fault, Later
from satchel.egress import Config, Egress, fetching
from satchel.egress.fetching import Credentials

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]
LOOPBACK = Egress(Config(allow=("127.0.0.0/8",)))
SECRET = Credentials("Bearer very-secret")


@dataclass
class Web:
    """`answers`: by path, what is written to whoever asks for it; `heads`: what was asked."""

    port: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        writer.write(self.answers.get(head.split()[1], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.take, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    yield web
    server.close()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serving() as web:
        yield web


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def fetched(link: str, credentials: Credentials | None = None, most: int = 1000, egress: Egress = LOOPBACK) -> tuple[str, bytes]:
    async with egress.fetch(link, credentials, most) as found:
        return found.mime, b"".join([block async for block in found.blocks])


async def test_a_file_comes_with_its_type(web: Web) -> None:
    web.answers["/a.pdf?b=c"] = answer("200 OK", b"%PDF", "Content-Type: application/pdf")
    assert await fetched(web.url("/a.pdf?b=c")) == ("application/pdf", b"%PDF")
    assert "accept-encoding: identity" in web.heads[0].lower()
    assert "authorization" not in web.heads[0].lower()


async def test_a_private_address_is_never_dialled(web: Web) -> None:
    web.answers["/a"] = answer("200 OK", b"secret")
    for link in (
        web.url("/a"),
        web.url("/a", "localhost"),
        web.url("/a", "[::ffff:127.0.0.1]"),
        web.url("/a", "0x7f.1"),
        web.url("/a", "2130706433"),
    ):
        with pytest.raises((Fault, Later)) as caught:
            await fetched(link, egress=Egress())
        assert isinstance(caught.value, Fault | Later)
        assert caught.value.situation is LINK_FAILED
    assert web.heads == []


async def test_a_name_that_changes_its_answer_gains_nothing(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    async def rebound(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", web.port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebound)
    with pytest.raises(Fault, match="not public"):
        await fetched(f"http://harmless.example:{web.port}/a", egress=Egress())
    assert web.heads == []


@pytest.mark.parametrize("target", ["http://[::1", "http://a]b/", "http://a:99999/"])
async def test_a_redirect_to_no_address_fails_for_good_with_credentials_too(web: Web, target: str) -> None:
    web.answers["/a"] = answer("302 Found", b"", f"Location: {target}")
    for credentials in (None, SECRET):
        with pytest.raises(Fault) as caught:
            await fetched(web.url("/a"), credentials)
        assert caught.value.situation is LINK_FAILED


@pytest.mark.parametrize("addresses", [["::1", "127.0.0.1"], ["127.0.0.1", "::1"]])
async def test_a_closed_address_beside_an_open_one_does_not_close_the_name(
    web: Web, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    resolve(monkeypatch, {"both.example": addresses, "closed.example": ["::1"]}, web.port)
    web.answers["/a"] = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx"
    with pytest.raises(Later, match="broke off"):
        await fetched(f"http://both.example:{web.port}/a")
    resolve(monkeypatch, {"both.example": addresses}, 1)
    with pytest.raises(Later, match="connection failed"):
        await fetched("http://both.example:1/a")


async def test_each_step_of_the_way_is_closed_by_its_own_addresses(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"both.example": ["::1", "127.0.0.1"], "closed.example": ["::1"], "open.example": ["127.0.0.1"]}, web.port)
    web.answers["/closed"] = answer("302 Found", b"", f"Location: http://closed.example:{web.port}/x")
    web.answers["/open"] = answer("302 Found", b"", f"Location: http://open.example:{web.port}/x")
    web.answers["/x"] = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx"
    with pytest.raises(Fault, match="::1, which is not public"):
        await fetched(f"http://both.example:{web.port}/closed")
    with pytest.raises(Later, match="broke off"):
        await fetched(f"http://both.example:{web.port}/open")


def resolve(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]], port: int) -> None:
    async def found(host: str, *_: object, **__: object) -> list[object]:
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(families[":" in one], socket.SOCK_STREAM, 6, "", (one, port, 0, 0)[: 4 if ":" in one else 2]) for one in names[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)


AS_WRITTEN = [
    "/a%7Eb%21c?sig=a%2Bb%2fc%27&y=a+b&z=%7e",
    "/%zz?%",
    "/a/../b",
    "/a//b/./c",
    "//a",
    "/%61?%61=%62",
    "/a;p=1,2?x=a;b",
    "/?a=b&a=c&",
    "/a?",
    "/a?b?c",
    "/a|\\^`{}<>\"'()[]@:?[]{}@:\\",
]


@pytest.mark.parametrize("asked", AS_WRITTEN)
async def test_what_is_asked_for_is_what_was_written(web: Web, asked: str) -> None:
    web.answers[asked] = answer("200 OK", b"there")
    web.answers["/away"] = answer("307 Away", b"", f"Location: {web.url(asked)}")
    assert (await fetched(web.url(asked)))[1] == b"there"
    assert (await fetched(web.url("/away")))[1] == b"there"


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("/ü?q=é%C3", "/%C3%BC?q=%C3%A9%C3"),
        ("/a b\x7f\x85", "/a%20b%7F%C2%85"),
        ("/a#part", "/a"),
        ("?q=1", "/?q=1"),
        ("", "/"),
        ("#a", "/"),
    ],
)
async def test_what_no_request_can_hold_is_percent_encoded_and_nothing_else(web: Web, written: str, asked: str) -> None:
    web.answers[asked] = answer("200 OK", b"there")
    assert (await fetched(web.url(written)))[1] == b"there"


async def test_a_redirect_may_be_relative_and_in_bytes_that_are_no_text(web: Web) -> None:
    web.answers["/a/b?c"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ../d e?%2b=\xff\r\n\r\n"
    web.answers["/d%20e?%2b=%FF"] = answer("200 OK", b"there")
    assert (await fetched(web.url("/a/b?c")))[1] == b"there"


async def test_redirects_are_followed_and_judged_anew(web: Web) -> None:
    web.answers["/a"] = answer("302 Found", b"", "Location: /b")
    web.answers["/b"] = answer("200 OK", b"there")
    web.answers["/private"] = answer("302 Found", b"", "Location: http://10.0.0.1/x")
    web.answers["/file"] = answer("302 Found", b"", "Location: file:///etc/passwd")
    web.answers["/round"] = answer("302 Found", b"", "Location: /round")
    assert (await fetched(web.url("/a")))[1] == b"there"
    for path, words in (("/private", "not public"), ("/file", "no http or https"), ("/round", "more than 5")):
        with pytest.raises(Fault, match=words):
            await fetched(web.url(path))


async def test_credentials_stay_with_the_origin(web: Web) -> None:
    async with serving() as other:
        web.answers["/a"] = answer("302 Found", b"", f"Location: {other.url('/b')}")
        other.answers["/b"] = answer("200 OK", b"there")
        assert (await fetched(web.url("/a"), SECRET))[1] == b"there"
        assert "authorization: bearer very-secret" in web.heads[0].lower()
        assert "authorization" not in other.heads[0].lower()


async def test_credentials_go_to_the_hosts_that_are_named_and_to_no_other(web: Web) -> None:
    web.answers["/a"] = answer("200 OK", b"there")
    await fetched(web.url("/a"), Credentials("Bearer x", ("files.example",)))
    assert "authorization" not in web.heads[-1].lower()
    await fetched(web.url("/a"), Credentials("Bearer x", ("127.0.0.1",)))
    assert "authorization: bearer x" in web.heads[-1].lower()


@pytest.mark.parametrize(
    ("status", "error"), [("404 Gone", Fault), ("401 No", Fault), ("500 Oh", Later), ("503 Busy", Later), ("429 Slow", Later)]
)
async def test_how_it_was_answered_is_told(web: Web, status: str, error: type[Exception]) -> None:
    web.answers["/a?token=secret"] = answer(status, b"x")
    with pytest.raises(error, match=f"HTTP {status.split()[0]}"):
        await fetched(web.url("/a?token=secret"))


async def test_secrets_show_nowhere(web: Web) -> None:
    web.answers["/a?key=hidden"] = answer("404 Gone")
    with pytest.raises(Fault) as caught:
        await fetched(web.url("/a?key=hidden"), SECRET)
    assert "hidden" not in str(caught.value)
    assert "secret" not in repr(SECRET)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_file_over_the_ceiling_is_given_up(web: Web, declared: bool) -> None:
    length = ["Content-Length: 5000"] if declared else []
    web.answers["/a"] = "\r\n".join(["HTTP/1.1 200 OK", *length, "", ""]).encode() + b"x" * 5000
    with pytest.raises(Fault) as caught:
        await fetched(web.url("/a"))
    assert caught.value.situation is LINK_TOO_LARGE


async def test_compressed_answers_are_not_taken(web: Web) -> None:
    web.answers["/a"] = answer("200 OK", b"\x1f\x8b", "Content-Encoding: gzip")
    web.answers["/twice"] = answer("200 OK", b"\x1f\x8b", "Content-Encoding: identity", "Content-Encoding: br")
    web.answers["/listed"] = answer("200 OK", b"\x1f\x8b", "Content-Encoding: identity, gzip")
    for path in ("/a", "/twice", "/listed"):
        with pytest.raises(Fault, match="compressed"):
            await fetched(web.url(path))
    web.answers["/as-it-is"] = answer("200 OK", b"there", "Content-Encoding: identity", "Content-Encoding: Identity, identity")
    assert (await fetched(web.url("/as-it-is")))[1] == b"there"


@pytest.mark.parametrize("rest", [b"zz\r\nabc\r\n", b"5\r\nab", b"5\r\nhellothere\r\n", b""])
async def test_chunks_that_break_off_or_are_none_may_come_whole_another_time(web: Web, rest: bytes) -> None:
    web.answers["/a"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + rest
    with pytest.raises(Later, match="broke off"):
        await fetched(web.url("/a"))


@pytest.mark.parametrize("read_late", [True, False])
async def test_a_chunk_that_breaks_behind_the_head_may_come_whole_another_time(monkeypatch: pytest.MonkeyPatch, read_late: bool) -> None:
    monkeypatch.setattr(fetching, "SILENCE", 0.3)
    go_on, gone = asyncio.Event(), asyncio.Event()

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await go_on.wait()
        writer.write(b"zz\r\nabc")
        await reader.read()  # the client hangs up
        gone.set()
        writer.close()

    server = await asyncio.start_server(breaks, "127.0.0.1", 0)
    with pytest.raises(Later, match="broke off" if read_late else "in time"):
        async with LOOPBACK.fetch(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a", None, 1000) as found:
            go_on.set()
            if read_late:
                await gone.wait()
            assert [block async for block in found.blocks] == []
    server.close()


async def test_a_body_that_breaks_off_may_come_whole_another_time(web: Web) -> None:
    web.answers["/a"] = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 100
    with pytest.raises(Later, match="broke off"):
        await fetched(web.url("/a"))


async def test_nobody_there_and_silence_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SILENCE", 0.2)
    with pytest.raises(Later, match="connection"):
        await fetched("http://127.0.0.1:1/a")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    with pytest.raises(Later, match="in time"):
        await fetched(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a")
    server.close()


async def test_the_readers_own_troubles_are_not_the_links(web: Web) -> None:
    web.answers["/a"] = answer("200 OK", b"there")

    async def full(use: Callable[[], None]) -> None:
        async with LOOPBACK.fetch(web.url("/a"), None, 1000):
            use()

    def raises() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        await full(raises)
