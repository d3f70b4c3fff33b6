"""uvicorn's HTTP/1.1 protocol with a limit on the head of a request, which it lacks: headers without end would fill the memory."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from satchel.observe.metrics import web_connections

HEAD_BYTES = 64 * 1024
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that sends more than 64 KiB (and what one read brought beyond) which is neither a complete head nor body.

    That bounds headers, trailers and chunk extensions. Trailers are dropped: nobody here reads them.
    """

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._unused = 0
        self._in_body = False

    def connection_made(self, transport: Any) -> None:
        web_connections.inc()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._unused > HEAD_BYTES:
            self.transport.write(b"" if self._in_body else TOO_LARGE)
            self.transport.close()
            return
        self._unused += len(data)
        super().data_received(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unused, self._in_body = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused, self._in_body = 0, False
        super().on_message_complete()
