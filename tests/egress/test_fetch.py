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
    with pytest.raises(Fault, match="compressed"):
        await fetched(web.url("/a"))


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
