"""One keep-alive connection of the load client: bodies leave through sendfile, answers are dropped inside the kernel.

So the client costs far less than any server under test, and the figures describe the server.
"""

import os
import re
import socket
from dataclasses import dataclass

SMALL = 64 * 1024
"""Bytes up to which a body travels with its head."""
KEPT = 4096
"""Bytes of an answer that are looked at; longer bodies are only counted."""
SEND_BLOCK = 4 << 20
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Body:
    """A request body: a file in memory, and its bytes where they are few."""

    size: int
    fd: int
    small: bytes | None


def body_of(size: int) -> Body:
    """Random bytes, one MiB over and over."""
    fd = os.memfd_create("body")
    block = os.urandom(min(size, 1 << 20))
    left = size
    while left:
        left -= os.write(fd, block[:left])
    return Body(size, fd, os.pread(fd, size, 0) if size <= SMALL else None)


class Connection:
    """`sink`: memory that all connections share, for what nobody reads."""

    _body: Body | None
    _left: int | None
    """Bytes of the answer that are still to come, once its head has told."""

    def __init__(self, port: int, sink: bytearray) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._sink = sink
        self._head, self._body, self._sent = b"", None, 0
        self._left, self._chunked = None, False
        self.answer, self.size = b"", 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def begin(self, head: bytes, body: Body | None) -> bool:
        """Start a request; whether all of it has left already."""
        small = body.small if body else None
        self._head = head + (small or b"")
        self._body, self._sent = (body if small is None else None), 0
        self.answer, self._left, self._chunked = b"", None, False
        self.size = 0
        return self.send()

    def send(self) -> bool:
        """Go on sending; whether all of the request has left."""
        try:
            while self._head:
                self._head = self._head[self._socket.send(self._head, socket.MSG_MORE if self._body else 0) :]
            while self._body and self._sent < self._body.size:
                self._sent += os.sendfile(self.fileno(), self._body.fd, self._sent, min(self._body.size - self._sent, SEND_BLOCK))
        except BlockingIOError:
            return False
        return True

    def receive(self) -> bool:
        """Go on receiving; whether the answer is complete: then `status`, `size` of the body, and `answer` where it is short."""
        try:
            while self._left is None or self._left > 0:
                if self._left is not None and self._left > KEPT:
                    self._left -= self._dropped(self._left)
                else:
                    self._keep()
        except BlockingIOError:
            return False
        return True

    @property
    def status(self) -> int:
        return int(self.answer[9:12])

    @property
    def kept_alive(self) -> bool:
        return b"connection: close" not in self.answer[:KEPT].lower()

    def _keep(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("closed before the end of an answer")
        self.answer += data
        if self._chunked:
            self._left = 0 if self.answer.endswith(b"0\r\n\r\n") else 1
        elif self._left is None:
            self._look_for_length()
        else:
            self._left -= len(data)

    def _look_for_length(self) -> None:
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not end:
            return
        if found := LENGTH.search(head):
            self.size = int(found[1])
            self._left = self.size - len(body)
        elif b"chunked" in head.lower():
            self._chunked, self._left = True, 0 if body.endswith(b"0\r\n\r\n") else 1
        elif self.status in {204, 304}:
            self._left = 0
        else:
            raise ConnectionError("an answer without a length")

    def _dropped(self, left: int) -> int:
        dropped = self._socket.recv_into(self._sink, min(left, len(self._sink)), socket.MSG_TRUNC)
        if not dropped:
            raise ConnectionError("closed before the end of an answer")
        return dropped
