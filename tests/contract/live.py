"""The back end over a socket: a server in a process of its own, requests exactly as written."""

import asyncio
import io
import re
import socket
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from .run import Answer, Request

CHUNKS = 1000
"""How many chunks a body of some size is cut into."""
HEAD_END = b"\r\n\r\n"
CONTINUE = re.compile(rb"HTTP/1\.1 100 [^\r]*\r\n\r\n")


@dataclass(frozen=True)
class Live:
    """A server on this port of the loopback. One connection a request, read to its end: bytes behind an answer are a fault."""

    port: int
    token: str
    volume: Path

    async def exchange(self, request: Request) -> Answer:
        return await asyncio.to_thread(self._exchange, request)

    def _exchange(self, request: Request) -> Answer:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(self._head(request))
            said = _until_head(connection) if request.header("expect") else b""
            if not said or CONTINUE.match(said):
                _send_body(connection, request)
            if _owes(request, said):
                said = said or _until_head(connection)
                connection.shutdown(socket.SHUT_WR)  # or the server waits a while for the rest of the body
            said += _rest(connection)
        continued = CONTINUE.match(said)
        return _parsed(said[continued.end() :] if continued else said, request.method, bool(continued))

    def _head(self, request: Request) -> bytes:
        lines = [f"{request.method} {request.target} HTTP/1.1"]
        lines += [] if request.header("host") else [f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        lines += [] if request.header("connection") else ["Connection: close"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _owes(request: Request, said: bytes) -> bool:
    """Whether less of the body has left than was declared: refused before, or never meant to be sent."""
    length = request.header("content-length")
    refused = bool(said) and not CONTINUE.match(said)
    return refused or (length.isdigit() and int(length) > len(request.body))


def _send_body(connection: socket.socket, request: Request) -> None:
    body = request.body
    if request.header("transfer-encoding") == "chunked":
        size = max(1000, len(body) // CHUNKS)
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    try:
        connection.sendall(body)
    except OSError:
        pass  # refused before the end of the body: the answer says why


def _until_head(connection: socket.socket) -> bytes:
    said = b""
    while HEAD_END not in said and (block := connection.recv(65536)):
        said += block
    return said


def _rest(connection: socket.socket) -> bytes:
    blocks = []
    try:
        while block := connection.recv(1 << 20):
            blocks.append(block)
    except OSError as error:
        raise AssertionError(f"the connection broke before the end of the answer: {error}") from error
    return b"".join(blocks)


class _Said(io.BytesIO):
    """Bytes in the place of a socket, for http.client; what it leaves unread can be looked at."""

    def makefile(self, mode: str) -> io.BytesIO:
        return self

    def close(self) -> None:
        pass


def _parsed(said: bytes, method: str, continued: bool) -> Answer:
    source = _Said(said)
    response = HTTPResponse(source, method=method)  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read()
    except HTTPException as error:
        raise AssertionError(f"not an HTTP answer: {error!r} in {said[:400]!r}") from error
    return Answer.of(response.status, response.getheaders(), body + source.read(), continued)
