"""uvicorn's HTTP/1.1 protocol with what it lacks: limits on the size and the time of a request's head, and a short way for media.

The short way (`direct`) goes past ASGI's messages; an endpoint finds it in the scope, and does without where there is none.
"""

import asyncio
import re
import resource
from functools import cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from satchel.observe.metrics import web_connections
from satchel.webapp import direct
from satchel.webapp.at_once import AtOnce, Rest
from satchel.webapp.direct import STALLED, Direct

HEAD_BYTES, HEAD_SECONDS = 64 * 1024, 20.0
DRAINED_BYTES, DRAINED_SECONDS = 1 << 20, 1.0
END = b"Connection: close\r\nContent-Length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + END
UPGRADE = b"HTTP/1.1 400 Bad Request\r\n" + END
LEAVE_SECONDS = 2.0
DESCRIPTORS_KEPT = 100
"""For files, database and log."""
UPGRADE_HEADER = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + END


@cache
def most_connections() -> int:
    """How many connections this process can hold."""
    return max(DESCRIPTORS_KEPT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_KEPT)


def _without_upgrade(data: bytes) -> bytes:
    """HTTP/1.1 lets a server pass over a wish for another protocol; the parser would take the body for that protocol's."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if b"pgrade" not in head and b"PGRADE" not in head:
        return data
    return UPGRADE_HEADER.sub(b"\r\nx-upgrade:", head) + end + rest


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that sends more than 64 KiB (and what one read brought beyond) which is neither a complete head nor body,

    or that does not bring a head to its end within 20 seconds. The first bounds headers, trailers and chunk extensions.
    Trailers are dropped: nobody here reads them.
    """

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._unused = 0
        self._in_body = self._ended = self._answered_before = False
        self._waiting, self._stuck_since = 0, 0.0
        self._head_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._direct: Direct | None = None
        self._at_once = getattr(self.app, "at_once", None)  # an application of ours has one
        self._may_answer = self._has_answered = False
        self._answered_at: float | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        web_connections.inc()
        if len(self.connections) > most_connections():
            transport.abort()  # else the files and the database would find no descriptor
            return
        self._head_since = self.loop.time()
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused += len(data)
        self._may_answer = True
        if self._ended:
            if self._unused > DRAINED_BYTES:
                self.transport.close()
        elif self._unused - len(data) > HEAD_BYTES:
            self._end(b"" if self._in_body else TOO_LARGE)
        else:
            super().data_received(data if self._in_body else _without_upgrade(data))

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
        if self._at_once is not None and self._answers_at_once(self._at_once):
            return
        self._begin(self.app)
        if self.parser.should_upgrade():  # one that came in pieces: the parser would take the body for another protocol
            self._end(UPGRADE)

    def _answers_at_once(self, at_once: AtOnce) -> bool:
        """Whether the request has its answer. One for each read: a crowd of them must not have the loop for itself, nor fill the memory."""
        if not self._may_answer or self._is_answering() or self.transport.get_write_buffer_size():
            return False
        parser = self.parser
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        self._may_answer = False
        peer = self.client[0] if self.client else ""
        answer = at_once.answer(self.url, self.headers, self.server_state.default_headers, self.scheme == "http", peer)
        if answer is None:
            return False
        if answer.leave(self.transport):
            answer.close()
            at_once.note(answer)
            self._has_answered, self._answered_at = True, self.loop.time()
            self.server_state.total_requests += 1
        else:
            self._begin(Rest(at_once, answer))
        return True

    def _begin(self, app: Any) -> None:
        """What uvicorn does with a request, for one application of ours."""
        self._answered_at = None
        usual, self.app = self.app, app
        super().on_headers_complete()
        self.app = usual
        self._direct = Direct(self.cycle, self.transport, self.flow)
        self.scope[direct.KEY] = self._direct  # type: ignore[literal-required]

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        if self._direct is None or not self._direct.take(body):
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused, self._in_body = 0, False
        if self._has_answered:
            self._has_answered = False
        else:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read is told, unless it would go into the middle of an answer, or be taken for that of a request before it."""
        if self._is_answering() and not self._in_body:
            self.cycle.keep_alive, self._ended = False, True
        elif self._is_answering() and self.cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def shutdown(self) -> None:
        """A client that does not take its answers must not keep us from stopping."""
        super().shutdown()
        if not self._is_answering():
            self.loop.call_later(LEAVE_SECONDS, self.transport.abort)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """One timer a connection, not one a request: whatever is watched may take up to a look longer than its time."""
        now = self.loop.time()
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)
        if self._is_answering():
            self._head_since = now if self._head_since is not None else None  # a second request has to wait for the first
        elif self._head_since is not None and now - self._head_since >= HEAD_SECONDS and not self._ended:
            self._end(TOO_SLOW)
        elif self._answered_at is not None and now - self._answered_at >= self.timeout_keep_alive:
            self.transport.close()
        elif self._in_body and self._answered_before:
            self.transport.close()  # the answer is out, and nobody reads the rest of the body
        self._answered_before = self._in_body and not self._is_answering()
        self._watch_writing(now)

    def _watch_writing(self, now: float) -> None:
        """A client that takes nothing of what waits for it loses its connection."""
        waiting = self.transport.get_write_buffer_size()
        if not waiting or waiting < self._waiting:
            self._stuck_since = now
        elif now - self._stuck_since >= STALLED:
            self.transport.abort()
        self._waiting = waiting

    def _end(self, answer: bytes) -> None:
        """Answer, and read on for a moment before closing: a reset would eat the answer."""
        self._ended = True
        if not (self._is_answering() and self.cycle.response_started):
            self.transport.write(answer)
        self.loop.call_later(DRAINED_SECONDS, self.transport.close)
