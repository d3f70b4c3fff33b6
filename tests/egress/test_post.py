"""One callback to an address that an administrator typed: against a receiver that answers what a test tells it to, byte by byte."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from satchel import egress
from satchel.egress import Egress

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Receiver:
    """`answers`: for the next requests, the last one for all that follow; an empty one is never given."""

    url: str = ""
    answers: list[bytes] = field(default_factory=lambda: [OK])
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head.decode())
                length = next(int(line.split(":")[1]) for line in self.heads[-1].splitlines() if line.lower().startswith("content-length"))
                self.bodies.append(await reader.readexactly(length))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer:
                    writer.write(answer)
                if answer == HANG_UP:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def header(self, name: str, of: int = -1) -> list[str]:
        lines = (line.partition(": ") for line in self.heads[of].splitlines()[1:])
        return [value for given, _, value in lines if given.lower() == name.lower()]


HANG_UP = b"HTTP/1.1 "


@asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as receiver:
        yield receiver


@pytest.fixture
async def client() -> AsyncIterator[Egress]:
    client = Egress()
    yield client
    await client.close()


def reply(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", ""]).encode()


async def test_what_is_posted_is_what_arrives(client: Egress, receiver: Receiver) -> None:
    answer = await client.call_back(receiver.url + "?a=b", '{"statuses": ["받음"]}'.encode(), {"webhook-id": "w-1"})
    assert (answer.ok, answer.result) == (True, "200")
    assert answer.ms >= 0
    assert receiver.heads[0].startswith("POST /hook?a=b HTTP/1.1\r\n")
    assert receiver.bodies == ['{"statuses": ["받음"]}'.encode()]
    assert receiver.header("webhook-id") == ["w-1"]


async def test_the_content_type_is_exactly_json(client: Egress, receiver: Receiver) -> None:
    await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})
    assert receiver.header("content-type") == ["application/json"]
    assert receiver.header("user-agent") == ["satchel"]
    assert receiver.header("content-length") == ["2"]


@pytest.mark.parametrize(
    "status", ["201 Created", "202 Accepted", "204 No Content", "400 Bad Request", "410 Gone", "500 Oops", "503 Later"]
)
async def test_only_200_is_ok(client: Egress, receiver: Receiver, status: str) -> None:
    receiver.answers = [reply(status)]
    answer = await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})
    assert (answer.ok, answer.result) == (False, status[:3])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_not_followed(client: Egress, receiver: Receiver, status: str) -> None:
    async with listening() as elsewhere:
        receiver.answers = [reply(status, f"Location: {elsewhere.url}")]
        answer = await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})
        assert (answer.ok, answer.result) == (False, status[:3])
        assert elsewhere.heads == []


async def test_no_cookies_are_kept(client: Egress, receiver: Receiver) -> None:
    receiver.answers = [reply("200 OK", "Set-Cookie: session=1; Path=/"), OK]
    by_name = receiver.url.replace("127.0.0.1", "localhost")  # cookies of a bare address are kept by nobody
    for _ in range(2):
        assert (await client.call_back(by_name, b"{}", {"webhook-id": "w-1"})).ok
    assert receiver.header("cookie", 1) == []


async def test_an_encoded_answer_is_not_decoded(client: Egress, receiver: Receiver) -> None:
    receiver.answers = [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"]
    assert (await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})).ok


async def test_proxies_in_the_environment_are_not_asked(client: Egress, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})).ok


async def test_a_refused_connection_is_an_answer(client: Egress) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        answer = await client.call_back(url, b"{}", {"webhook-id": "w-1"})
    assert (answer.ok, answer.result) == (False, "ClientConnectorError")
    assert (answer.came, answer.broken, answer.sentence) == (False, True, "nobody listens there")


@pytest.mark.parametrize(
    ("status", "broken"), [("200 OK", False), ("404 Not Found", False), ("501 Not Implemented", False), ("500 Oops", True)]
)
async def test_an_answer_says_how_it_went(client: Egress, receiver: Receiver, status: str, broken: bool) -> None:
    receiver.answers = [reply(status)]
    answer = await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})
    assert (answer.came, answer.broken) == (True, broken)
    assert f"answers with {status[:3]}" in answer.sentence


async def test_silence_is_an_answer_once_the_time_is_over(client: Egress, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "TIMEOUT", 0.05)
    receiver.answers = [b""]
    answer = await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})
    assert (answer.ok, answer.result) == (False, "TimeoutError")
    assert answer.ms >= 40
    assert receiver.bodies == [b"{}"]


@pytest.mark.parametrize("given", [HANG_UP, b"not HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"])
async def test_an_answer_that_is_no_http_is_not_ok(client: Egress, receiver: Receiver, given: bytes) -> None:
    receiver.answers = [given]
    assert not (await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})).ok


BAD_URLS = [
    "",
    "/hook",
    "hook",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "http://",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:x/",
    "http://a..b/",
    f"http://{'a' * 300}/",
    "http://\ud800/",
]


@pytest.mark.parametrize("url", BAD_URLS, ids=lambda url: ascii(url[:20]))
async def test_a_url_that_is_none_is_an_answer(client: Egress, url: str) -> None:
    answer = await client.call_back(url, b"{}", {"webhook-id": "w-1"})
    assert not answer.ok
    assert answer.result.isidentifier()


async def test_an_id_that_no_header_can_hold_is_an_answer(client: Egress, receiver: Receiver) -> None:
    assert not (await client.call_back(receiver.url, b"{}", {"webhook-id": "a\r\nb: c"})).ok
    assert receiver.heads == []


async def test_after_a_failure_the_next_post_goes_through(client: Egress, receiver: Receiver) -> None:
    receiver.answers = [HANG_UP, reply("500 Oops"), OK]
    assert [(await client.call_back(receiver.url, b"{}", {"webhook-id": "w-1"})).ok for _ in range(3)] == [False, False, True]


async def test_closing_a_client_that_never_posted_is_no_error() -> None:
    await Egress().close()


async def test_of_a_refusal_the_beginning_is_kept(client: Egress, receiver: Receiver) -> None:
    body = "KeyError:\0 'messages'\r\n\x1b[31m ü ".encode() + b"\xff" + b"x" * 100_000
    receiver.answers = [b"HTTP/1.1 500 Oh\r\nContent-Length: %d\r\n\r\n" % len(body) + body]
    answer = await client.call_back(receiver.url, b"{}", {})
    assert (answer.result, len(answer.excerpt)) == ("500", 300)
    assert answer.excerpt.startswith("KeyError:  'messages'   [31m ü \ufffdxxx")
    assert (await client.call_back(receiver.url, b"{}", {})).result == "500"


@pytest.mark.parametrize("rest", [b"Content-Length: 9\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"], ids=["length", "chunks"])
async def test_a_refusal_whose_body_never_comes_counts_at_once(
    client: Egress, receiver: Receiver, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "FOR_EXCERPT", 0.05)
    receiver.answers = [b"HTTP/1.1 500 Oh\r\n" + rest]
    answered = await client.call_back(receiver.url, b"{}", {})
    assert (answered.result, answered.excerpt, answered.connected) == ("500", "", True)


async def test_of_what_was_taken_nothing_is_kept(client: Egress, receiver: Receiver) -> None:
    assert (await client.call_back(receiver.url, b"{}", {})).excerpt == ""
