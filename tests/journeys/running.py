"""A node of real processes on free ports, and the outside it works for: a client, a phone, the business's webhook."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2

from ..conftest import Place

PASSWORD = "Quay-Lantern-42"
SECRET = "a-secret-for-journeys"
Json = dict[str, Any]


class Hook:
    """The business's webhook. `answers`: statuses to give first, then 200 for ever, others with `says` for a body.

    `bodies` and `ids` in order of arrival.
    """

    def __init__(self, port: int = 0) -> None:
        self.answers: list[int] = []
        self.says = b""
        self.bodies: list[Json] = []
        self.ids: list[str] = []
        self.types: list[str] = []
        self._news = threading.Condition()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status := hook.take(body, self.headers))
                said = b"" if status == 200 else hook.says
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def take(self, body: Json, headers: Any) -> int:
        with self._news:
            answer = self.answers.pop(0) if self.answers else 200
            self.bodies.append(body)
            self.ids.append(headers["webhook-id"])
            self.types.append(headers["Content-Type"])
            self._news.notify_all()
            return answer

    def statuses(self, message_id: str) -> list[str]:
        """The statuses told of a message so far, in order."""
        return [told["status"] for body in list(self.bodies) for told in body.get("statuses", []) if told["id"] == message_id]

    def wait(self, message_id: str, status: str, timeout: float = 15.0) -> Json:
        """The status once it has been told."""
        with self._news:
            assert self._news.wait_for(lambda: status in self.statuses(message_id), timeout), f"{status} of {message_id}: {self.bodies}"
        told = (one for body in self.bodies for one in body.get("statuses", []))
        return next(one for one in told if (one["id"], one["status"]) == (message_id, status))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Node:
    """Webapp, Coreapp and sandbox as processes of their own: `web`, `core`, `sandbox`; more of a kind as `core-2`."""

    def __init__(self, place: Place, lease_ttl: str = "2") -> None:
        self.place = place
        self.port, self.sandbox_port = free_port(), free_port()
        self.url, self.sandbox_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.sandbox_port}"
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SATCHEL_")},
            **place.environ,
            "SATCHEL_UPSTREAM__URL": self.sandbox_url,
            "SATCHEL_UPSTREAM__SECRET": SECRET,
            "SATCHEL_SANDBOX_SECRET": SECRET,
            "SATCHEL_ADMIN_PASSWORD": PASSWORD,
            "SATCHEL_COREAPP__LEASE_TTL": lease_ttl,
        }
        self.own: dict[str, str] = {}  # settings of parts that are started from now on
        self.log = place.data_dir / "processes.log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx2.Client(timeout=20.0, trust_env=False)
        self.headers: dict[str, str] = {}

    def start(self, part: str, kill: str | None = None, calls: Path | None = None) -> None:
        """Start a part; `kill`: `before:n` or `after:n`, where it kills itself; `calls`: a file that lists its port calls."""
        rigged = kill is not None or calls is not None
        data, folder = str(self.place.data_dir), str(self.place.data_dir / "sandbox")
        if part == "sandbox":
            plain = ["-m", "satchel_sandbox", "--port", str(self.sandbox_port), "--data-dir", folder, "--node", self.url]
            trapped = ["-m", "tests.journeys.rigged", "sandbox", str(self.sandbox_port), folder, self.url]
        else:
            role = part.partition("-")[0]
            plain = ["-m", "satchel", "serve", "--role", role, "--bind", f"127.0.0.1:{self.port}", "--data-dir", data]
            trapped = ["-m", "tests.journeys.rigged", role, f"127.0.0.1:{self.port}", data]
        environ = {
            **self._environ,
            **self.own,
            **({"SATCHEL_TEST_KILL": kill} if kill else {}),
            **({"SATCHEL_TEST_CALLS": str(calls)} if calls else {}),
        }
        with self.log.open("ab") as log:
            self.processes[part] = subprocess.Popen([sys.executable, *(trapped if rigged else plain)], env=environ, stderr=log, stdout=log)

    @property
    def environ(self) -> dict[str, str]:
        """What its processes are started with."""
        return self._environ

    def set(self, **variables: str) -> None:
        """Start what is started from now on with these variables, too."""
        self._environ.update(variables)

    def start_all(self) -> None:
        for part in ("sandbox", "core", "web"):
            self.start(part)
        self.wait_ready()

    def stop(self, part: str, how: signal.Signals = signal.SIGTERM) -> int:
        process = self.processes.pop(part)
        process.send_signal(how)
        return process.wait(40)

    def stop_all(self) -> None:
        for part in list(self.processes):
            self.stop(part)
        self.http.close()

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Until the node says that it can work, and we are logged in."""
        eventually(lambda: self.answers("/_satchel/readyz"), timeout, lambda: f"not ready; {self.log.read_text()[-3000:]}")
        if not self.headers:
            answer = self.http.post(f"{self.url}/v1/users/login", auth=("admin", PASSWORD))
            self.headers = {"Authorization": f"Bearer {answer.json()['users'][0]['token']}"}

    def answers(self, path: str) -> bool:
        try:
            return bool(self.http.get(self.url + path).status_code == 200)
        except httpx2.TransportError:
            return False

    def call(self, method: str, path: str, **given: Any) -> httpx2.Response:
        headers = {**self.headers, **given.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, **given)

    def upload(self, body: bytes, mime: str = "image/jpeg") -> str:
        answer = self.call("POST", "/v1/media", content=body, headers={"Content-Type": mime})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["media"][0]["id"])

    def send(self, to: str, type_: str, media_id: str, **members: Any) -> str:
        answer = self.call("POST", "/v1/messages", json={"to": to, "type": type_, type_: {"id": media_id, **members}})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["messages"][0]["id"])

    def set_hook(self, url: str, **message: bool) -> None:
        answer = self.call("PATCH", "/v1/settings/application", json={"webhooks": {"url": url, "message": message}})
        assert answer.status_code == 200, answer.text

    def alert(self, on: bool) -> None:
        answer = self.call("PATCH", "/v1/settings/application", json={"webhooks": {"alerts": on}})
        assert answer.status_code == 200, answer.text

    def phone(self, number: str, wait: str = "0s") -> list[Json]:
        answer = self.http.get(f"{self.sandbox_url}/sandbox/phones/{number}/messages", params={"wait": wait})
        assert answer.status_code == 200, answer.text
        messages: list[Json] = answer.json()["messages"]
        return messages

    def phone_until(self, number: str, count: int, timeout: float = 20.0) -> list[Json]:
        """What a phone has received, once it is so many and every download has come to its end."""

        def settled() -> bool:
            try:
                found = self.phone(number)
            except httpx2.TransportError:
                return False  # the sandbox is on its way
            return len(found) >= count and all(message["media"]["state"] in {"downloaded", "unavailable"} for message in found)

        eventually(settled, timeout, lambda: f"{count} wanted, found {self.phone(number)}; {self.log.read_text()[-3000:]}")
        return self.phone(number)

    def act(self, number: str, do: str, message: str | None = None, wait: str = "20s", **members: str) -> Json:
        """What a person does with a phone: the message it was about, its media at rest, or the phone."""
        body = {"do": do, **({"message": message} if message else {}), **members}
        answer = self.http.post(f"{self.sandbox_url}/sandbox/phones/{number}/actions", params={"wait": wait}, json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        done: Json = next(iter(answer.json().values()))
        return done

    def advance(self, duration: str) -> None:
        answer = self.http.put(f"{self.sandbox_url}/sandbox/clock", json={"advance": duration})
        assert answer.status_code == 200, answer.text

    def received(self, number: str, message_id: str = "latest") -> bytes:
        answer = self.http.get(f"{self.sandbox_url}/sandbox/phones/{number}/messages/{message_id}/media")
        assert answer.status_code == 200, answer.text
        return answer.content


def eventually(check: Callable[[], bool], timeout: float, told: Callable[[], str]) -> None:
    """Look until it is so: for what another process does and gives no notice of."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(told())
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(place: Place) -> Iterator[Node]:
    """A whole node, stopped at the end."""
    node = Node(place)
    try:
        node.start_all()
        yield node
    finally:
        node.stop_all()
