"""Downloads without a task of their own: what the database and the page cache have at hand is answered as soon as a request's head is read.

Whatever is not plain goes the usual way, which also says what is wrong: a second look at a token, ranges, conditions, files on the disk.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send

from satchel.domain.errors import MEDIA_CHANGED
from satchel.flows.reading import Reading, open_now
from satchel.observe import requests
from satchel.observe.metrics import served
from satchel.webapp import Webapp, keys
from satchel.webapp.direct import KEY, STATUS, Direct, Header, Span, lines, send_now, write_now
from satchel.webapp.downloads import AT_ONCE, FILE_BLOCK, HEADERS, values_of

log = structlog.get_logger("satchel.webapp")
PREFIX = b"/v1/media/"
LENGTH = len(PREFIX) + 36
PLAIN = frozenset(
    b"accept accept-encoding accept-language authorization cache-control connection content-type host pragma user-agent".split()
)
"""Request headers that change nothing about the answer, and the token."""
HEAD = STATUS[200] + b"%(more)b" + lines([*HEADERS, (b"x-request-id", b"%(request)b")]) + b"\r\n"


@dataclass(slots=True)
class Answer:
    """`body`: valid until the next answer is made; `rest`: the file that comes instead, to be closed; `sent`: bytes of it that have left.

    `began`: monotonic time in seconds; `peer`: who asked, since no header is plain in which a proxy says for whom it does.
    """

    head: bytes
    body: bytes | memoryview
    rest: Reading | None
    path: str
    request: bytes
    began: float
    peer: str = ""
    sent: int = 0

    def leave(self, transport: Any) -> bool:
        """Send what the connection takes without waiting; whether nothing of a file is left."""
        has_left = write_now(transport, self.head, self.body)
        if self.rest is None:
            return True
        if has_left:
            self.sent = send_now(transport, self.rest.content.descriptor, self.rest.content.size)
        return self.sent == self.rest.content.size

    def close(self) -> None:
        """Let go of the file."""
        if self.rest is not None:
            self.rest.content.close()


class AtOnce:
    """`route`: under which address its downloads are counted."""

    def __init__(self, webapp: Webapp, route: str) -> None:
        self._gate, self._ports, self._route = webapp.gate, webapp.ports, route
        self._buffer = memoryview(bytearray(AT_ONCE))
        self._more: list[Header] = []
        self._more_lines = b""

    def answer(self, url: bytes, headers: list[Header], more: list[Header], may_send_files: bool, peer: str = "") -> Answer | None:
        """To a GET without a body; None when it goes the usual way. `headers`: the request's; `more`: for every answer.

        `peer`: the address on the other side.
        """
        given = dict(headers) if len(url) == LENGTH and url.startswith(PREFIX) else {}
        if len(given) != len(headers) or not given.keys() <= PLAIN:
            return None
        if self._more is not more:
            self._more, self._more_lines = more, lines(more)
        try:
            answer = self._found(url, given.get(b"authorization", b""), may_send_files)
        except Exception:  # as in the outermost middleware, which comes next
            log.exception("unexpected", method="GET", path=repr(url))
            return None
        if answer is not None:
            answer.peer = peer
        return answer

    def note(self, answer: Answer) -> None:
        """Log and count one that has left."""
        seconds = time.monotonic() - answer.began
        served("GET", self._route, 200, seconds)
        requests.line("GET", answer.path, 200, seconds, answer.request.decode(), answer.peer)

    def _found(self, url: bytes, authorization: bytes, may_send_files: bool) -> Answer | None:
        began, path = time.monotonic(), url.decode("latin-1")
        claims = self._gate.known(authorization)
        reading = open_now(self._ports, path[len(PREFIX) :], claims) if claims else None
        if reading is None:
            return None
        answer = None
        try:
            answer = self._from(reading, path, began, may_send_files)
        finally:
            if answer is None or answer.rest is None:
                reading.content.close()
        return answer

    def _from(self, reading: Reading, path: str, began: float, may_send_files: bool) -> Answer | None:
        content, rest, body = reading.content, None, self._buffer[:0]
        if content.size <= AT_ONCE:
            body = self._buffer[: content.size]
            is_here = content.read_now(0, body)
        else:
            rest = reading
            is_here = may_send_files and content.size <= FILE_BLOCK and content.is_at_hand(0, content.size)
        if not is_here:
            return None
        request = keys.request_id(None)
        values = {**values_of(reading.media, content.size), b"request": request, b"more": self._more_lines}
        return Answer(HEAD % values, body, rest, path, request, began)


class Rest:
    """The ASGI application that sends what of a file the connection did not take at once."""

    def __init__(self, at_once: AtOnce, answer: Answer) -> None:
        self._at_once, self._answer = at_once, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct: Direct = scope[KEY]
        try:
            await direct.go_on_with_file(self._spans())
        except ConnectionError:
            log.info("client_gone", path=self._answer.path)
        except EOFError:
            log.warning("cut_off", path=self._answer.path, error=MEDIA_CHANGED.slug)
        finally:
            self._answer.close()
        self._at_once.note(self._answer)

    async def _spans(self) -> AsyncIterator[Span]:
        if (reading := self._answer.rest) is not None and (fd := reading.content.descriptor) is not None:
            yield fd, self._answer.sent, reading.content.size - self._answer.sent
