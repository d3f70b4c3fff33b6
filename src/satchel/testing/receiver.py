"""The business's webhook, in the test process: callbacks come to a path that each test has for itself."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Callback:
    """One POST. `json`: its body; `headers`: by lower-case name; `at`: when it came, seconds of time.time()."""

    json: dict[str, Any]
    headers: dict[str, str] = field(repr=False)
    at: float = field(repr=False)


class Receiver:
    """Answers 200 to everything, and keeps what was meant for the present test."""

    def __init__(self) -> None:
        self._news, self._turn = threading.Condition(), 0
        self._callbacks: list[Callback] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.take(self.path, body, {name.lower(): value for name, value in self.headers.items()})
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="satchel-receiver", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where callbacks of the present test go."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._path}"

    @property
    def callbacks(self) -> list[Callback]:
        """Those of the present test by now, in order of arrival."""
        with self._news:
            return list(self._callbacks)

    def begin(self) -> None:
        """Another test: what comes for an earlier one is answered and forgotten."""
        with self._news:
            self._turn += 1
            self._callbacks = []

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        """One callback of the node; what comes for an earlier test is let go."""
        with self._news:
            if path == self._path:
                self._callbacks.append(Callback(json.loads(body), headers, time.time()))
                self._news.notify_all()

    def first(self, fits: Callable[[Callback], bool], after: int, timeout: float) -> Callback | None:
        """The first that fits of those behind the first `after` ones, as soon as it is there; None when it does not come in time."""

        def look() -> Callback | None:
            return next((one for one in self._callbacks[after:] if fits(one)), None)

        with self._news:
            return self._news.wait_for(look, timeout)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def _path(self) -> str:
        return f"/tests/{self._turn}"
