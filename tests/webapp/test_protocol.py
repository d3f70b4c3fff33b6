"""What a connection may do before there is a request: spoken over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from satchel.webapp import bodies, protocol
from satchel.webapp.protocol import BoundedProtocol
from satchel.webapp.replies import reply

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]
Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEAD = b"POST / HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n"


async def counting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body."""
    size = sum([len(block) async for block in bodies.stream(receive)])
    await reply({"size": size})(scope, receive, send)


@pytest.fixture
async def dial(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], "asyncio.Future[Talk]"]]:
    """Connect to a server whose clients must bring their heads within 0.2 s."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    config = uvicorn.Config(counting, http=BoundedProtocol, lifespan="off", log_config=None, ws="none")
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedProtocol(config, state, {}, loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield lambda: asyncio.ensure_future(asyncio.open_connection("127.0.0.1", port))
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()
    await server.wait_closed()


async def test_a_connection_that_says_nothing_is_closed(dial: Callable[[], "asyncio.Future[Talk]"]) -> None:
    reader, writer = await dial()
    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


@pytest.mark.parametrize("begun", [b"GET / HTT", b"GET / HTTP/1.1\r\nHost: node\r\nX-Slow: ", HEAD[:-2]])
async def test_a_head_that_does_not_come_to_its_end_is_408(dial: Callable[[], "asyncio.Future[Talk]"], begun: bytes) -> None:
    reader, writer = await dial()
    writer.write(begun)
    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_body_may_take_longer_than_a_head_and_the_connection_then_rest(dial: Callable[[], "asyncio.Future[Talk]"]) -> None:
    reader, writer = await dial()
    writer.write(HEAD)
    for _ in range(6):
        writer.write(b"1\r\nx\r\n")
        await asyncio.sleep(0.1)  # the pause is what is tested
    writer.write(b"0\r\n\r\n")
    assert b'"size":6' in await reader.readuntil(b"}}")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.6)
    writer.close()


@pytest.mark.parametrize("piece", [b"X-More: " + b"y" * 1000 + b"\r\n", b"y" * 1000], ids=["headers", "one-header"])
async def test_a_head_without_end_is_431(dial: Callable[[], "asyncio.Future[Talk]"], piece: bytes) -> None:
    reader, writer = await dial()
    writer.write(b"GET / HTTP/1.1\r\nHost: node\r\nX-First: ")
    for _ in range(200):
        writer.write(piece)
    assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_trailers_without_end_cut_the_connection(dial: Callable[[], "asyncio.Future[Talk]"]) -> None:
    reader, writer = await dial()
    writer.write(HEAD + b"1\r\nx\r\n0\r\n")
    for _ in range(200):
        writer.write(b"X-More: " + b"y" * 1000 + b"\r\n")
    assert await reader.read() == b""
    writer.close()


async def test_a_large_body_arrives_whole(dial: Callable[[], "asyncio.Future[Talk]"]) -> None:
    reader, writer = await dial()
    writer.write(b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 5000000\r\n\r\n" + b"z" * 5_000_000)
    assert b'"size":5000000' in await reader.readuntil(b"}}")
    writer.close()


async def test_what_cannot_be_read_behind_a_request_does_not_take_the_place_of_its_answer(
    dial: Callable[[], "asyncio.Future[Talk]"],
) -> None:
    reader, writer = await dial()
    writer.write(b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 3\r\n\r\nabcGARBAGE\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"size":3' in answer
    assert b"400" not in answer
    writer.close()
