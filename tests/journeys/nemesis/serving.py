"""A small HTTP server on loopback for those whose callers are killed in the middle of a call."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed in the middle of its call, or found no room for the rest."""


def serving(verb: str, take: Callable[[BaseHTTPRequestHandler], None]) -> ThreadingHTTPServer:
    """A running server that has `take` answer each request of this verb; `shutdown` and `server_close` end it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

    setattr(Handler, f"do_{verb}", lambda handler: take(handler))  # a function, so that it is called with the handler
    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server
