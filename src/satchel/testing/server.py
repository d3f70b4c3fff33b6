"""Nodes for tests: Webapp, Coreapp and sandbox as processes on free ports, their data in a temporary folder; or one that runs already."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from satchel.client import Satchel, Unreachable
from satchel.client.connection import fetch
from satchel.client.sandbox import Sandbox
from satchel.testing.receiver import Receiver

LISTENER, LIFELINE = "SATCHEL_LISTENER_FD", "SATCHEL_LIFELINE_FD"
"""A socket that Webapp takes over, and a pipe at whose end the processes stop, however we end."""
READY_WITHIN, LOOK, STOP_WITHIN = 60.0, 0.01, 10.0
STARTS = 3
"""Somebody may take the sandbox's port before the sandbox does."""


class CannotStart(Exception):
    """The node did not come up; the end of its log is in it."""


@dataclass
class Server:
    """A running node. `token`: of an administrator; `original`: its application settings, which every test begins with."""

    url: str
    sandbox_url: str
    token: str
    node: Satchel = field(repr=False)
    sandbox: Sandbox = field(repr=False)
    receiver: Receiver = field(repr=False)
    original: dict[str, Any] = field(repr=False)
    close: Callable[[], None] = field(repr=False)
    ours: bool = True


class Pool:
    """One server for each set of settings that tests of this session ask for."""

    def __init__(self, folder: Callable[[], Path], running: Server | None) -> None:
        self._folder, self._running = folder, running
        self._servers: dict[str, Server] = {}

    def server(self, settings: Mapping[str, Any]) -> Server:
        """Started when it is first asked for."""
        if self._running is not None:
            return self._running
        ours = {name: str(value) for name, value in settings.items() if name != "application"}
        key = json.dumps(ours, sort_keys=True)
        if key not in self._servers:
            self._servers[key] = start(self._folder(), ours)
        return self._servers[key]

    def close(self) -> None:
        for server in [*self._servers.values(), *([self._running] if self._running else [])]:
            server.receiver.close()
            server.close()


def start(folder: Path, settings: Mapping[str, str]) -> Server:
    """A node of its own. `settings`: by name, as `volume.max_upload`. Raises `CannotStart`."""
    for left in reversed(range(STARTS)):
        processes = Processes(folder, settings)
        try:
            processes.wait_ready()
            node = Satchel(processes.url, user="admin", password=processes.password)
            return _server(node, processes.sandbox_url, processes.stop)
        except BaseException as error:
            processes.stop()
            if not (left and isinstance(error, CannotStart) and "cannot listen" in str(error)):
                raise
    raise AssertionError("the last try ends in one way or the other")


def found(url: str) -> Server:
    """One that runs already; SATCHEL_TOKEN or SATCHEL_ADMIN_PASSWORD lets in, SATCHEL_SANDBOX_URL is the next port unless given."""
    parts = urlsplit(url)
    sandbox = os.environ.get("SATCHEL_SANDBOX_URL") or f"http://{parts.hostname}:{(parts.port or 9090) + 1}"
    token, password = os.environ.get("SATCHEL_TOKEN"), os.environ.get("SATCHEL_ADMIN_PASSWORD")
    if not token and not password:
        raise CannotStart(f"Nobody lets us in at {url}: set SATCHEL_TOKEN, or SATCHEL_ADMIN_PASSWORD.")
    ca = os.environ.get("SATCHEL_CA")
    node = Satchel(url, token=token, ca=ca) if token else Satchel(url, user="admin", password=password, ca=ca)
    server = _server(node, sandbox, lambda: None)
    server.ours = False
    return server


def _server(node: Satchel, sandbox_url: str, close: Callable[[], None]) -> Server:
    original = node.settings.get()
    hooks = original.setdefault("webhooks", {})
    if "secret" in hooks:
        del hooks["secret"]  # it is not shown, and stays as it is unless a test sets another
    else:
        hooks["secret"] = None
    if ":********@" in (hooks.setdefault("url", None) or ""):
        raise CannotStart("The URL of the node's webhook has a password, which is not shown and could not be put back: set one without.")
    return Server(node.url, sandbox_url, node.token, node, Sandbox(sandbox_url), Receiver(), original, close)


class Processes:
    """The three processes of a node, started at the same time."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._log = folder / "node.log"
        self.password = f"Kit-{secrets.token_urlsafe(12)}-1"
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        port = free_port()
        self.sandbox_url = f"http://127.0.0.1:{port}"
        self._reading, self._writing = os.pipe()
        self._environ = {**environment(folder, settings, self.password), "SATCHEL_UPSTREAM__URL": self.sandbox_url}
        data = str(folder / "data")
        self._running = [
            self._start("satchel", "serve", "--role", "web", "--data-dir", data, listens=True),
            self._start("satchel", "serve", "--role", "core", "--data-dir", data),
            self._start("satchel_sandbox", "--memory", "--port", str(port), "--node", self.url),
        ]
        self._listener.close()

    def wait_ready(self) -> None:
        """Until messages can be sent. Raises `CannotStart`."""
        until = time.monotonic() + READY_WITHIN
        while not self._answers():
            ended = any(process.poll() is not None for process in self._running)
            if ended or time.monotonic() > until:
                what = "A process of the node ended" if ended else f"The node is not ready after {READY_WITHIN:.0f} s"
                raise CannotStart(f"{what}; the end of {self._log}:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(LOOK)

    def stop(self) -> None:
        """End them, those that do not want to by force."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for fd in (self._reading, self._writing):
            os.close(fd)

    def _start(self, *module: str, listens: bool = False) -> "subprocess.Popen[bytes]":
        fds = {LIFELINE: self._reading, **({LISTENER: self._listener.fileno()} if listens else {})}
        environ = {**self._environ, **{name: str(fd) for name, fd in fds.items()}}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *module],
                env=environ,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=tuple(fds.values()),
            )

    def _answers(self) -> bool:
        try:
            return fetch(self.url, "/_satchel/readyz", timeout=READY_WITHIN)[0] == 200
        except Unreachable:
            return False


def environment(folder: Path, settings: Mapping[str, str], password: str) -> dict[str, str]:
    """Ours, without whatever is meant for another node; a file of settings in our folders does not count either."""
    secret = secrets.token_hex(32)
    chosen = {"volume.durability": "fast", **settings}  # a power cut ends the tests, too
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SATCHEL_", "WA_"))},
        **{name: absolute(path) for name, path in os.environ.items() if name == "PYTHONPATH"},
        "XDG_CONFIG_HOME": str(folder),
        "SATCHEL_UPSTREAM__SECRET": secret,
        "SATCHEL_SANDBOX_SECRET": secret,
        "SATCHEL_ADMIN_PASSWORD": password,
        **{f"SATCHEL_{name.replace('.', '__').upper()}": value for name, value in chosen.items()},
    }


def absolute(paths: str) -> str:
    """A search path as it is meant here: the processes work in another folder, where `src` would be nothing."""
    return os.pathsep.join(map(os.path.abspath, filter(None, paths.split(os.pathsep))))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
