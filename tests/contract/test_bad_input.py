"""What nobody should send, byte for byte, to a server: always a right 4xx or a closed connection, no 5xx, no trace, no file that stays."""

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import to_thread

from ..journeys.running import eventually
from .conftest import Opener
from .live import Live

pytestmark = pytest.mark.anyio
CLOSED: list[int] = []
DEEP = b"[" * 10_000
VALUES = (
    b"null",
    b"1",
    b"-1",
    b"1.5",
    b"1e400",
    b"%d" % 2**70,
    b"[]",
    b"{}",
    b"true",
    rb'"\u0000"',
    rb'"\ud800"',
    b'""',
    b'"%s"' % (b"9" * 5000),
)
ID = b"0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"
TEXTS = {
    "junk": b"{hello",
    "a list": b"[]",
    "a number": b"1",
    "no number": b'{"to": NaN, "username": NaN, "webhooks": NaN}',
    "a huge number": b"1e400",
    "open brackets": DEEP,
    "open braces": b'{"a":' * 10_000,
    "closed brackets": DEEP + b"]" * 10_000,
    "a byte order mark": b'\xef\xbb\xbf{"to": "1"}',
    "UTF-16": '{"to": "1"}'.encode("utf-16"),
    "no UTF-8": b'{"to": "\xff\xfe"}',
    "half a surrogate": rb'{"to": "\ud800"}',
}
"""Bodies that no call takes."""
CALLS = {
    b"POST /v1/messages": (
        b'{"to": %s}',
        b'{"to": "12025550111", "type": %s}',
        b'{"to": "12025550111", "type": "document", "document": %s}',
        b'{"to": "12025550111", "type": "document", "document": {"id": %s}}',
        b'{"to": "12025550111", "type": "document", "document": {"id": "' + ID + b'", "caption": %s}}',
        b'{"to": "12025550111", "to": %s, "type": "document"}',
    ),
    b"POST /v1/users": (b'{"username": %s, "password": "Quay-1-Lantern"}', b'{"username": "someone", "password": %s}'),
    b"POST /v1/configs/webhook": (b'{"url": [%s]}',),
    b"PATCH /v1/settings/application": (
        b'{"webhooks": [%s]}',
        b'{"webhooks": {"url": [%s]}}',
        b'{"webhooks": {"message": {"read": [%s]}}}',
        b'{"sent_status": [%s]}',
        b'{"callback_backoff_delay_ms": [%s]}',
    ),
}
"""Bodies that a call does not take, whichever of the values stands in them."""
IDS = [b"..", b"../..", b"%2e%2e", b"%2f", b"%2e%2e%2fetc%2fpasswd", b"..%5c", b"%00", b"a%00b", b"a" * 300, b"%ff%fe", b"%zz", ID.upper()]
ADDRESSES = [(method, path) for path in (b"/v1/media/", b"/v1/users/") for method in (b"GET", b"HEAD", b"DELETE")]
LISTED = [(b"GET", b"/_satchel/v1/media/"), (b"GET", b"/_satchel/v1/media?limit="), (b"GET", b"/_satchel/v1/media?direction=")]
UPLOADS = {
    "a length below zero": (b"Content-Length: -1\r\n\r\nhello", [400]),
    "a length that no integer holds": (b"Content-Length: 99999999999999999999999\r\n\r\nhello", [400]),
    "a length over every disk": (b"Content-Length: 9223372036854775807\r\n\r\nhello", [413]),
    "a length that is no number": (b"Content-Length: 5x\r\n\r\nhello", [400]),
    "two lengths": (b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", [400]),
    "a length too long": (b"Content-Length: 100\r\n\r\nhello", CLOSED),
    "a chunk too long": (b"Transfer-Encoding: chunked\r\n\r\n50\r\nhello", CLOSED),
    "a chunk of no size": (b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", [400]),
    "a chunk of a huge size": (b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n", [400]),
    "length and chunks": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", [400]),
    "chunks and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n", [400]),
    "packed chunks": (b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", [400]),
    "an odd Content-MD5": (b"Content-MD5: \xff\r\nContent-Length: 5\r\n\r\nhello", [400]),
    "an odd Repr-Digest": (b"Repr-Digest: sha-256=:\xff:\r\nContent-Length: 5\r\n\r\nhello", [400]),
    "an odd key": (b"Idempotency-Key: \xff\r\nContent-Length: 5\r\n\r\nhello", [400]),
}
"""What follows the head's other lines, and what comes back."""
TYPES = [
    b"a/" + b"b" * 300,
    b"\xff/\xff",
    b"/",
    b"a",
    b'text/plain; x="',
    b"multipart/form-data",
    b"multipart/form-data; boundary*=x'y; boundary*1=z",
]
PARTS = [
    b": a",
    b"\xff: a",
    b"",
    b"Content-Disposition: form-data; filename*=x'y; filename*1=z",
    b"Content-Disposition: form-data; filename=a",
]
HEADS = {
    "a method that is none": (b"BREW / HTTP/1.1\r\n\r\n", [400]),
    "a method of others": (b"PROPFIND / HTTP/1.1\r\nConnection: close\r\n\r\n", [405]),
    "a question about the server": (b"OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n", [404]),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", [200]),
    "a whole URL": (b"GET http://elsewhere.example/ HTTP/1.1\r\nConnection: close\r\n\r\n", [200]),
    "HTTP/9.9": (b"GET / HTTP/9.9\r\n\r\n", [400]),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), [400]),
    "bytes over 127 in a value": (b"GET / HTTP/1.1\r\nConnection: close\r\nX-Odd: \xff\xfe\x80\r\n\r\n", [200]),
    "bytes over 127 in a name": (b"GET / HTTP/1.1\r\nX-\xff: a\r\n\r\n", [400]),
    "bytes over 127 in the path": (b"GET /v1/\xff HTTP/1.1\r\n\r\n", [400]),
    "a zero in a value": (b"GET / HTTP/1.1\r\nX-Odd: a\0b\r\n\r\n", [400]),
    "an empty Authorization": (b"GET /v1/health HTTP/1.1\r\nConnection: close\r\nAuthorization: \r\n\r\n", [401]),
    "ten Authorizations": (b"GET /v1/health HTTP/1.1\r\nConnection: close\r\n" + b"Authorization: Bearer x\r\n" * 10 + b"\r\n", [401]),
    "an odd token": (b"GET /v1/health HTTP/1.1\r\nConnection: close\r\nAuthorization: Bearer \xff\r\n\r\n", [401]),
    "an odd API key": (b"GET /v1/health HTTP/1.1\r\nConnection: close\r\nAuthorization: Apikey \xff\r\n\r\n", [401]),
}
RANGES = [b"bytes=", b"bytes=-", b"bytes=a-b", b"bytes=5-1", b"bytes=0-0,2-2", b"bytes=--1", b"lines=1-2", b"bytes=\xb2-", b"x" * 5000]


class Wire:
    """Sends bytes to a server as they are."""

    def __init__(self, server: Live) -> None:
        self._server = server
        self._token = b"Connection: close\r\nAuthorization: Bearer " + server.token.encode() + b"\r\n"

    async def statuses(self, said: bytes, gone: bool = False) -> list[int]:
        """Of all answers until the server closes, which it must. `gone`: nobody waits for them."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", await to_thread.run_sync(self._said, said, gone))]

    async def ask(self, line: bytes, headers: bytes = b"", body: bytes | None = None, gone: bool = False) -> list[int]:
        """With the token. `headers`: lines with their ends, and with the empty line and all behind it where `body` is None."""
        rest = headers if body is None else headers + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return await self.statuses(line + b" HTTP/1.1\r\nHost: node\r\n" + self._token + rest, gone)

    def files(self) -> set[Path]:
        return {path for path in self._server.volume.rglob("*") if path.is_file()}

    def _said(self, request: bytes, gone: bool) -> bytes:
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=20) as connection:
            found = b""
            try:
                connection.sendall(request)
                if gone:
                    connection.shutdown(socket.SHUT_WR)
                while block := connection.recv(1 << 16):
                    found += block
            except ConnectionError:
                pass  # closed before the end of what we said
            return found


@pytest.fixture
async def wire(open_live: Opener) -> AsyncIterator[Wire]:
    async with open_live({}) as server:
        assert isinstance(server, Live)
        wire, log = Wire(server), server.volume.parent / "processes.log"
        before, logged = wire.files(), log.stat().st_size
        yield wire
        await to_thread.run_sync(eventually, lambda: wire.files() == before, 10.0, lambda: f"left: {wire.files() - before}")
        assert b"Traceback" not in log.read_bytes()[logged:]


@pytest.mark.parametrize("line", CALLS)
async def test_a_body_that_is_not_the_json_it_should_be_is_400(wire: Wire, line: bytes) -> None:
    for name, text in TEXTS.items():
        assert await wire.ask(line, body=text) == [400], name
    for text in [form % value for form in CALLS[line] for value in VALUES]:
        assert await wire.ask(line, body=text) in ([400], [404]), text[:200]


async def test_a_json_body_over_1_mib_is_413(wire: Wire) -> None:
    for line in CALLS:
        assert await wire.ask(line, body=b'"' + b"x" * (1 << 20) + b'"') == [413], line


@pytest.mark.parametrize("id_", IDS)
async def test_an_odd_id_is_nobodys(wire: Wire, id_: bytes) -> None:
    for method, path in [*ADDRESSES, *LISTED]:
        assert await wire.ask(method + b" " + path + id_, body=b"") in ([400], [404]), (method, path)


@pytest.mark.parametrize("what", UPLOADS)
async def test_an_upload_that_contradicts_itself_stores_nothing(wire: Wire, what: str) -> None:
    rest, wanted = UPLOADS[what]
    assert await wire.ask(b"POST /v1/media", b"Content-Type: text/plain\r\n" + rest, gone=wanted == CLOSED) == wanted


async def test_an_odd_type_stores_nothing(wire: Wire) -> None:
    for given in TYPES:
        assert await wire.ask(b"POST /v1/media", b"Content-Type: " + given + b"\r\n", b"hello") == [400], given


async def test_an_odd_form_stores_nothing(wire: Wire) -> None:
    for part in PARTS:
        form = b"--b\r\n" + part + b"\r\n\r\nhello\r\n--b--\r\n"
        assert await wire.ask(b"POST /v1/media", b"Content-Type: multipart/form-data; boundary=b\r\n", form) == [400], part


@pytest.mark.parametrize("what", HEADS)
async def test_an_odd_head_is_refused_or_does_no_harm(wire: Wire, what: str) -> None:
    said, wanted = HEADS[what]
    assert await wire.statuses(said) == wanted


async def test_bytes_behind_a_body_are_the_next_request(wire: Wire) -> None:
    first = b"POST /v1/users/login HTTP/1.1\r\nHost: node\r\nContent-Length: 2\r\n\r\n{}"
    assert await wire.statuses(first + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n") == [401, 200]
    assert await wire.statuses(first + b"more\r\n\r\n") == [401]  # what follows is none, and ends the connection


async def test_ranges_that_are_none_give_the_whole_file(wire: Wire) -> None:
    for given in RANGES:
        assert await wire.ask(b"GET /v1/openapi.json", b"Range: " + given + b"\r\n", b"") == [200], given


async def test_an_expectation_that_nobody_knows_is_passed_over(wire: Wire) -> None:
    for given in (b"nonsense", b"", b"\xff"):
        assert await wire.ask(b"POST /v1/users/login", b"Expect: " + given + b"\r\n", b"{}") == [401], given
