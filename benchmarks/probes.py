"""Raw requests for the behaviour probe: bodies sent until the server answers, answers read by hand."""

import json
import re
import select
import socket
import time
from dataclasses import dataclass

from benchmarks.node import Server

BLOCK = b"x" * 65536


@dataclass(frozen=True)
class Answer:
    """`status`: None where the connection ended without an answer."""

    status: int | None
    head: str
    body: bytes


def dial(server: Server, timeout: float = 10) -> socket.socket:
    """A connection."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def post_head(server: Server, more: str) -> bytes:
    """The head of an upload."""
    return server.head("POST /v1/media", f"Content-Type: image/png\r\n{more}")


def answer(connection: socket.socket, body: bool = True) -> Answer:
    """The next answer, `100 Continue` included; an answer to HEAD has no body."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (block := connection.recv(65536)):
            return Answer(None, "", b"")
        data += block
    head, _, rest = data.partition(b"\r\n\r\n")
    status, length = int(head[9:12]), re.search(rb"(?i)\r\ncontent-length:\s*(\d+)", head)
    left = int(length[1]) - len(rest) if length and body and status != 100 else 0
    parts = [rest]
    while left > 0 and (block := connection.recv(min(left, 1 << 20))):
        parts.append(block)
        left -= len(block)
    return Answer(status, head.decode("latin-1"), b"".join(parts))


def ask(server: Server, line: str, more: str = "") -> Answer:
    """One request without a body."""
    with dial(server) as connection:
        connection.sendall(server.head(line, more))
        return answer(connection, body=not line.startswith("HEAD"))


def upload(server: Server, data: bytes) -> str:
    """The id of new media."""
    with dial(server, 60) as connection:
        connection.sendall(post_head(server, f"Content-Length: {len(data)}\r\n") + data)
        return str(json.loads(answer(connection).body)["media"][0]["id"])


def push(server: Server, more: str, total: int, chunked: bool = False) -> dict[str, object]:
    """Send a body until the server answers: how much left before that, and what the answer was."""
    begun, sent, reset = time.perf_counter(), 0, False
    with dial(server, 30) as connection:
        connection.sendall(post_head(server, more))
        try:
            while sent < total and not select.select([connection], [], [], 0)[0]:
                connection.sendall(b"10000\r\n" + BLOCK + b"\r\n" if chunked else BLOCK)
                sent += len(BLOCK)
        except OSError:
            reset = True
        try:
            got = answer(connection)
        except OSError as error:
            got = Answer(None, type(error).__name__, b"")
    return {
        "status": got.status,
        "before_the_end": sent < total,
        "sent_mb": round(sent / 1e6, 2),
        "ms": round((time.perf_counter() - begun) * 1e3),
        "send_reset": reset,
        "closes": "connection: close" in got.head.lower(),
    }
