"""A Webapp behind a real socket, with every way of answering that its connections have."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from satchel import build
from satchel.webapp import direct
from satchel.webapp.protocol import BoundedProtocol

from .conftest import Door

Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A Webapp behind a socket."""

    def __init__(self, door: Door, port: int, connections: Any) -> None:
        self.door, self.port = door, port
        self.token = door.http.headers["Authorization"]
        self._writers: list[asyncio.StreamWriter] = []
        self.connections: set[BoundedProtocol] = connections

    async def dial(self) -> Talk:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, talk: Talk, method: str, path: str, more: str = "", body: bytes = b"") -> tuple[bytes, bytes]:
        """Head and body of the answer; the connection stays open."""
        reader, writer = talk
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: node\r\nAuthorization: {self.token}\r\n{more}\r\n".encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        return head, b"" if method == "HEAD" or b" 304 " in head else await reader.readexactly(length)


class _Short(BoundedProtocol):
    """Where every request has a task of its own."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._at_once = None


class _Usual(_Short):
    """Where there is no short way either, as under another server."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._direct = None
        del self.scope[direct.KEY]  # type: ignore[misc]


WAYS: dict[str, type[BoundedProtocol]] = {"at-once": BoundedProtocol, "short": _Short, "usual": _Usual}


@asynccontextmanager
async def serving(door: Door, way: str = "at-once") -> AsyncIterator[Server]:
    config = uvicorn.Config(
        build.webapp(door.place.settings, door.ports, "web"),
        http=BoundedProtocol,
        lifespan="off",
        log_config=None,
        ws="none",
        proxy_headers=False,
    )
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    made: Callable[[], BoundedProtocol] = lambda: WAYS[way](config, state, {}, loop)  # noqa: E731
    server = await loop.create_server(made, "127.0.0.1", 0)
    serving = Server(door, server.sockets[0].getsockname()[1], state.connections)
    yield serving
    await serving.close()
    server.close()
    for connection in list(state.connections):
        connection.transport.abort()
    await server.wait_closed()


async def until(so: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's own time-out ends a wait in vain."""
    while not so():  # noqa: ASYNC110 - descriptors send no notice
        await asyncio.sleep(0.01)
