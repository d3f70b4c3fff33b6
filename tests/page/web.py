"""Somebody's web server, as far as links lead to it. Not a test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """Serves `files`, by path, as (type, bytes, what Authorization must say or ""); `asked` in order of arrival."""

    def __init__(self, files: dict[str, tuple[str, bytes, str]]) -> None:
        self.asked: list[tuple[str, str | None]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append((self.path, self.headers["Authorization"]))
                mime, body, credentials = files[self.path]
                self.send_response(200 if self.headers["Authorization"] == (credentials or None) else 401)
                self.send_header("Content-Type", mime)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"


@contextmanager
def serving(**files: tuple[str, bytes, str]) -> Iterator[Web]:
    """`photo=("image/jpeg", b"…", "")` is served as /photo."""
    web = Web({f"/{name}": file for name, file in files.items()})
    threading.Thread(target=web.server.serve_forever, args=(0.02,), daemon=True).start()
    yield web
    web.server.shutdown()
    web.server.server_close()
