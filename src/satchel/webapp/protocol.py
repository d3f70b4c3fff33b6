"""uvicorn's HTTP/1.1 protocol with what it lacks: limits on the size and the time of a request's head, and a short way for media.

The short way (`direct`) goes past ASGI's messages; an endpoint finds it in the scope, and does without where there is none.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from satchel.observe.metrics import web_connections
from satchel.webapp import direct
from satchel.webapp.direct import Direct

HEAD_BYTES, HEAD_SECONDS = 64 * 1024, 20.0
DRAINED_BYTES, DRAINED_SECONDS = 1 << 20, 1.0
END = b"Connection: close\r\nContent-Length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + END
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + END


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that sends more than 64 KiB (and what one read brought beyond) which is neither a complete head nor body,

    or that does not bring a head to its end within 20 seconds. The first bounds headers, trailers and chunk extensions.
    Trailers are dropped: nobody here reads them.
    """

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._unused = 0
        self._in_body = self._ended = False
        self._head_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._direct: Direct | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        web_connections.inc()
        self._head_since = self.loop.time()
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused += len(data)
        if self._ended:
            if self._unused > DRAINED_BYTES:
                self.transport.close()
        elif self._unused - len(data) > HEAD_BYTES:
            self._end(b"" if self._in_body else TOO_LARGE)
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """As uvicorn does it, but not for trailers; spelt out because every header comes through here."""
        if self._in_body:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._unused, self._in_body, self._head_since = 0, True, None
        super().on_headers_complete()
        self._direct = Direct(self.cycle, self.transport, self.flow)
        self.scope[direct.KEY] = self._direct  # type: ignore[literal-required]

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        if self._direct is None or not self._direct.take(body):
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused, self._in_body = 0, False
        super().on_message_complete()

    def _look(self) -> None:
        """One timer a connection, not one a request: a head may take up to twice its time."""
        if self._head_since is not None and self.loop.time() - self._head_since >= HEAD_SECONDS:
            self._end(TOO_SLOW)
            return
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def _end(self, answer: bytes) -> None:
        """Answer, and read on for a moment before closing: a reset would eat the answer."""
        self._ended = True
        self.transport.write(answer)
        self.loop.call_later(DRAINED_SECONDS, self.transport.close)
