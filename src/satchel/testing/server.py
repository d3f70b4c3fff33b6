"""Nodes for tests: Webapp, Coreapp and sandbox as processes on free ports, their data in a temporary folder; or one that runs already."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
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
WEBAPP = "Webapp"
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
    processes: "Processes | None" = field(repr=False, default=None)

    @property
    def ours(self) -> bool:
        """Whether we started it; else others use it, too."""
        return self.processes is not None

    def ended(self) -> str | None:
        """Which of its processes ended by themselves, and the end of their log; None while all live, and of a node that is not ours."""
        return self.processes.ended() if self.processes else None


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
        server = self._servers[key]
        if server.processes:
            server.processes.revive()  # a test may have killed one, and the next must not suffer for it
        return server

    def close(self) -> None:
        """End every node that was started, and what receives their callbacks."""
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
            return _server(node, processes.sandbox_url, processes)
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
    return _server(node, sandbox, None)


def _server(node: Satchel, sandbox_url: str, processes: "Processes | None") -> Server:
    original = node.settings.get()
    hooks = original.setdefault("webhooks", {})
    if "secret" in hooks:
        del hooks["secret"]  # it is not shown, and stays as it is unless a test sets another
    else:
        hooks["secret"] = None
    if ":********@" in (hooks.setdefault("url", None) or ""):
        raise CannotStart("The URL of the node's webhook has a password, which is not shown and could not be put back: set one without.")
    close = processes.stop if processes else lambda: None
    return Server(node.url, sandbox_url, node.token, node, Sandbox(sandbox_url), Receiver(), original, close, processes)


class Processes:
    """The three processes of a node, started at the same time."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._log = folder / "node.log"
        self.password = f"Kit-{secrets.token_urlsafe(12)}-1"
        listener = listen(0)
        self._port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        port = free_port()
        self.sandbox_url = f"http://127.0.0.1:{port}"
        self._reading, self._writing = os.pipe()
        self._environ = {**environment(folder, settings, self.password), "SATCHEL_UPSTREAM__URL": self.sandbox_url}
        data = str(folder / "data")
        self._commands = {
            WEBAPP: ("satchel", "serve", "--role", "web", "--data-dir", data),
            "Coreapp": ("satchel", "serve", "--role", "core", "--data-dir", data),
            "The simulated network": ("satchel_sandbox", "--memory", "--port", str(port), "--node", self.url),
        }
        with listener:
            self._running = {name: self._start(name, listener) for name in self._commands}

    def wait_ready(self) -> None:
        """Until messages can be sent. Raises `CannotStart`."""
        until = time.monotonic() + READY_WITHIN
        while not self._answers():
            if ended := self.ended():
                raise CannotStart(ended)
            if time.monotonic() > until:
                raise CannotStart(self._with_log(f"The node is not ready after {READY_WITHIN:.0f} s"))
            time.sleep(LOOK)

    def ended(self) -> str | None:
        """As `Server.ended`."""
        codes = {name: code for name, process in self._running.items() if (code := process.poll()) is not None}
        how = ", ".join(f"{name} {f'by signal {-code}' if code < 0 else f'with exit code {code}'}" for name, code in codes.items())
        return self._with_log(f"A process of the node ended ({how})") if codes else None

    def revive(self) -> None:
        """Start those that ended again, with the same data at the same place. Raises `CannotStart`."""
        gone = [name for name, process in self._running.items() if process.poll() is not None]
        for name in gone:
            with listen(self._port) if name == WEBAPP else nullcontext() as listener:
                self._running[name] = self._start(name, listener)
        if gone:
            self.wait_ready()

    def stop(self) -> None:
        """End them, those that do not want to by force."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for fd in (self._reading, self._writing):
            os.close(fd)

    def _with_log(self, what: str) -> str:
        return f"{what}; the end of {self._log}:\n{self._log.read_text(errors='replace')[-3000:]}"

    def _start(self, name: str, listener: socket.socket | None) -> "subprocess.Popen[bytes]":
        fds = {LIFELINE: self._reading, **({LISTENER: listener.fileno()} if listener and name == WEBAPP else {})}
        environ = {**self._environ, **{name: str(fd) for name, fd in fds.items()}}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._commands[name]],
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
            asked = ((self.sandbox_url, "/sandbox/status"), (self.url, "/_satchel/readyz"))
            return all(fetch(url, path, timeout=READY_WITHIN)[0] == 200 for url, path in asked)
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


def listen(port: int) -> socket.socket:
    """For Webapp, which inherits it; 0 for a port that is free."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
