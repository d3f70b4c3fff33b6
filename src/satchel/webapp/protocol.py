"""uvicorn's HTTP/1.1 protocol with a limit on the head of a request, which it lacks: headers without end would fill the memory."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is not complete after 64 KiB (and what one read brought beyond)."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._waiting = 0

    def data_received(self, data: bytes) -> None:
        if self._waiting > HEAD_BYTES:
            self.transport.write(TOO_LARGE)
            self.transport.close()
            return
        self._waiting += len(data)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._waiting = -(1 << 62)  # the body has limits of its own
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._waiting = 0
        super().on_message_complete()
