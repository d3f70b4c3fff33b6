"""The short way between a connection and a media: whole answers in one write, files by sendfile, bodies as the blocks that came.

Leans on private parts of uvicorn's request cycle, for a third of a small download's CPU, half of a large one's and a quarter of an upload's
(docs/explanation/performance.md). Over TLS, and under another server, endpoints find none, and use ASGI's messages.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Any

KEY = "satchel.direct"
BODY_BYTES = 256 * 1024
"""How much of a body waits for its reader before the connection is read no further."""
STATUS = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
STALLED = 300.0
"""Seconds in which a client that takes nothing loses its connection."""
Header = tuple[bytes, bytes]
Span = tuple[int, int, int]
"""File descriptor, offset and number of bytes."""


@lru_cache(maxsize=100)
def _canonical(name: bytes) -> bytes:
    """As people write it: old clients look headers up by exactly this name."""
    return {b"etag": b"ETag", b"www-authenticate": b"WWW-Authenticate"}.get(name, name.title())


def lines(headers: list[Header]) -> bytes:
    """As they go over the wire."""
    return b"".join([b"%b: %b\r\n" % (_canonical(name), value) for name, value in headers])


def write_now(transport: Any, head: bytes, body: bytes | memoryview = b"") -> bool:
    """Write, and tell whether all of it has left: at once where nothing waits before it, while the loop would keep it for its next turn."""
    sent = 0
    if transport.get_extra_info("sslcontext") is None and not transport.get_write_buffer_size():
        with suppress(OSError):  # it takes nothing, or is broken, which the transport will find out
            sent = os.writev(transport.get_extra_info("socket").fileno(), (head, body))
    if sent < len(head) + len(body):
        transport.write((head + body)[sent:])
        return False
    return True


def send_now(transport: Any, fd: int | None, size: int) -> int:
    """As much of a file as the connection takes without waiting, which may be nothing. Nothing may wait before it."""
    with suppress(OSError):
        assert fd is not None
        return os.sendfile(transport.get_extra_info("socket").fileno(), fd, 0, size)
    return 0


class Direct:
    """Of one request. `cycle`, `flow`: uvicorn's. `more`: headers for every answer; `status`: of the answer, 0 before there is one."""

    __slots__ = ("_blocks", "_cycle", "_flow", "_size", "_taking", "_transport", "more", "status")

    def __init__(self, cycle: Any, transport: Any, flow: Any) -> None:
        self._cycle, self._transport, self._flow = cycle, transport, flow
        self._blocks: list[bytes] = []
        self._size = 0
        self._taking = False
        self.status = 0
        self.more: list[Header] = []

    @property
    def may_send_files(self) -> bool:
        """Not over TLS, where the bytes must pass through us."""
        return self._transport.get_extra_info("sslcontext") is None

    @property
    def is_read(self) -> bool:
        """Whether the whole body was taken."""
        return not self._cycle.more_body and not self._blocks

    async def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """The whole answer, once those before it have left. Raises ConnectionError when the client takes none of them."""
        if self._flow.write_paused:
            await self._drained()
        if not self._cycle.disconnected:
            self._transport.write(self._head(status, headers) + body)
            self._over()

    async def refuse(self, status: int, headers: list[Header], body: bytes, rest: Awaitable[None]) -> None:
        """The whole answer before the body is read, which `rest` then reads on; the connection closes."""
        self._cycle.keep_alive = False
        if not self._cycle.disconnected:
            self._transport.write(self._head(status, headers) + body)
        await rest
        self._over()

    async def answer_with_file(self, status: int, headers: list[Header], spans: AsyncIterator[Span]) -> None:
        """An answer whose body are the spans. Raises ConnectionError when the client goes or stalls, EOFError for a file cut short."""
        self._transport.set_write_buffer_limits(high=0)  # what goes past the transport must find it empty
        self._transport.write(self._head(status, headers))
        await self._send_all(spans)

    async def go_on_with_file(self, spans: AsyncIterator[Span]) -> None:
        """The rest of such an answer, whose head has been written past us."""
        self._cycle.response_started, self.status = True, 200
        self._transport.set_write_buffer_limits(high=0)
        await self._send_all(spans)

    async def _send_all(self, spans: AsyncIterator[Span]) -> None:
        await self._drained()
        outlet = _Outlet(self._transport)
        try:
            async with asyncio.timeout(STALLED) as patience:
                async for span in spans:
                    await self._send(outlet, *span)
                    patience.reschedule(asyncio.get_running_loop().time() + STALLED)
        except TimeoutError:
            raise ConnectionResetError from None
        finally:
            outlet.close()
        self._transport.set_write_buffer_limits()
        self._over()

    async def answer_with_blocks(self, status: int, headers: list[Header], blocks: AsyncIterator[bytes]) -> None:
        """Like `answer_with_file`, where the bytes must pass through us. A slow reader holds one block and no thread."""
        await self._drained()
        self._transport.write(self._head(status, headers))
        async for block in blocks:
            if self._cycle.disconnected:
                raise ConnectionResetError
            self._transport.write(block)
            await self._drained()
        self._over()

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(STALLED):
                await self._flow.drain()
        except TimeoutError:
            self._transport.abort()
            raise ConnectionResetError from None

    def at_once(self) -> list[bytes] | None:
        """The whole body, if it is here already."""
        cycle = self._cycle
        if self._taking or cycle.more_body or cycle.waiting_for_100_continue:
            return None
        self._taking = True
        body, cycle.body = bytes(cycle.body), bytearray()
        return [body] if body else []

    async def some(self) -> tuple[list[bytes], bool] | None:
        """What has come of the body, at least one block unless it is over, and whether more is to come; None when the client has gone."""
        cycle = self._cycle
        if not self._taking:
            self._taking = True
            self._blocks, cycle.body = [bytes(cycle.body)] if cycle.body else [], bytearray()
        if cycle.waiting_for_100_continue and not self._transport.is_closing():
            cycle.waiting_for_100_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._blocks and cycle.more_body and not cycle.disconnected:
            self._flow.resume_reading()
            await cycle.message_event.wait()
            cycle.message_event.clear()
        if cycle.disconnected and cycle.more_body:
            return None
        blocks, self._blocks, self._size = self._blocks, [], 0
        self._flow.resume_reading()
        return blocks, cycle.more_body

    def give_back(self) -> None:
        """Whoever reads on reads in the usual way."""
        self._taking, self._blocks = False, []

    async def _send(self, outlet: "_Outlet", fd: int, offset: int, count: int) -> None:
        while count:
            if self._cycle.disconnected or self._transport.is_closing():  # then the number of its socket may be another's
                raise ConnectionResetError
            try:
                sent = os.sendfile(outlet.socket, fd, offset, count)
            except BlockingIOError:
                await outlet.writable()
                continue
            if not sent:
                raise EOFError
            offset, count = offset + sent, count - sent
        await asyncio.sleep(0)  # a fast client must not have the loop for itself

    def _head(self, status: int, headers: list[Header]) -> bytes:
        cycle = self._cycle
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        self.status = status
        more = [*cycle.default_headers, *headers, *self.more]
        if not cycle.keep_alive:
            more.append((b"connection", b"close"))
        head = STATUS[status] + lines(more)
        if head.count(b"\n") != len(more) + 1:
            raise ValueError("a header with a line break")
        return head + b"\r\n"

    def _over(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()

    def take(self, block: bytes) -> bool:
        """A block of the body has come; False when it goes the usual way."""
        if not self._taking or self._cycle.response_complete:
            return False
        self._blocks.append(block)
        self._size += len(block)
        if self._size > BODY_BYTES:
            self._flow.pause_reading()
        self._cycle.message_event.set()
        return True


class _Outlet:
    """A connection's socket, past its transport. Watched as a duplicate: the loop allows no second watch on a transport's own."""

    def __init__(self, transport: Any) -> None:
        self.socket = transport.get_extra_info("socket").fileno()
        self._spare = -1

    async def writable(self) -> None:
        """Return when it takes more, or is broken."""
        if self._spare < 0:
            self._spare = os.dup(self.socket)
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_writer(self._spare, _resolve, ready)
        try:
            await ready
        finally:
            loop.remove_writer(self._spare)

    def close(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
