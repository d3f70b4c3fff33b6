"""Ours under measurement: a real Webapp process, and the loads on its /v1/media."""

import base64
import contextlib
import http.client
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import processes
from benchmarks.connection import body_of
from benchmarks.load import Load, run

PASSWORD = "Bench-mark-1"
ID = re.compile(rb'"(?:id|content_uri)"\s*:\s*"(?:mxc://)?([^"]+)"')
"""Of an upload's answer, ours or Synapse's."""


@dataclass(frozen=True)
class Server:
    """What the benchmarks need to know of any server. `uploads`: the folder whose new files go after an upload load."""

    name: str
    port: int
    pid: int
    token: str
    uploads: Path
    upload_line: str = "POST /v1/media"
    download_line: str = "GET /v1/media/{id}"

    def head(self, line: str, more: str = "") -> bytes:
        """The head of a request."""
        token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        return f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}{more}\r\n".encode()

    def download(self, size: int, ids: Sequence[str]) -> Load:
        """Fetch these files, all of one size, in turn."""
        heads = [self.head(self.download_line.format(id=id_)) for id_ in ids]
        return Load(self.port, lambda n: heads[n % len(heads)], size)

    def upload(self, size: int) -> Load:
        """Upload random bytes."""
        more = f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n"
        return Load(
            self.port,
            lambda n: self.head(self.upload_line.format(n=n), more),
            size,
            body_of(size),
            most=1 << 30 if size > 1 << 20 else 1 << 28,
        )


@contextlib.contextmanager
def started(folder: Path, data: Path | None = None, wrap: Sequence[str] = ()) -> Iterator[Server]:
    """A Webapp on SQLite and a folder volume, with durability `fast`. `wrap`: a command that runs it, such as a profiler."""
    port = processes.free_port()
    data = data or folder / "data"
    command = [*wrap, sys.executable, "-m", "satchel", "serve", "--role", "web", "--bind", f"127.0.0.1:{port}", "--data-dir", str(data)]
    environment = {"SATCHEL_VOLUME__DURABILITY": "fast", "SATCHEL_ADMIN_PASSWORD": PASSWORD}
    with processes.running(command, folder, environment) as pid:
        processes.wait_for(port, "/_satchel/livez", pid, folder / "server.log")
        yield Server("satchel", port, pid, _login(port), data / "media/shared")


def _login(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    pair = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    connection.request("POST", "/v1/users/login", headers={"Authorization": f"Basic {pair}"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return str(answer["users"][0]["token"])


def stored(server: Server, size: int, count: int) -> list[str]:
    """Upload so many files of one size; their ids."""
    load = replace(server.upload(size), connections=1, seconds=0, least=count)
    return [found[1].decode() for answer in run(load, server.pid).answers if (found := ID.search(answer))]
