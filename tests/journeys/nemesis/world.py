"""Two Webapps, two Coreapps, a sandbox, a database and a small volume, each of which can be killed, frozen, filled or taken away.

On PostgreSQL these are two hosts: two data directories, and one volume mounted at two paths. On SQLite they are one.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from ... import engines
from ...conftest import Place
from ..running import PASSWORD, SECRET, eventually, free_port
from ..small import Mount, Small, bound, mounted

SIZE = 160 << 20
"""Of the volume, in bytes."""
LEASE = "2"
UNUSED_FOR = 30 * 86400.0
"""Seconds of network time after which gc takes what came by a link. It takes nothing else: what clients hold the node to stays."""
UNREACHABLE = 8
"""The exit code of a start that finds no database: docs/reference/commands.md."""


@dataclass(frozen=True)
class Host:
    """One machine, as far as the node can tell. `parts`: what runs there."""

    place: Place
    mount: Mount
    parts: tuple[str, ...]


class World:
    """Everything there is. Parts are `web`, `web-2`, `core`, `core-2` and `sandbox`."""

    def __init__(self, hosts: list[Host], disk: Small, root: Path, cluster: engines.Cluster | None) -> None:
        self.hosts, self.disk, self.cluster = hosts, disk, cluster
        self.ports = {part: free_port() for part in ("web", "web-2", "sandbox")}
        self.urls = [f"http://127.0.0.1:{self.ports[part]}" for part in ("web", "web-2")]
        self.sandbox_url = f"http://127.0.0.1:{self.ports['sandbox']}"
        self.log = root / "processes.log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.died: list[str] = []
        self.headers: dict[str, str] = {}
        self._root = root
        self._lock = threading.Lock()

    @property
    def parts(self) -> list[str]:
        return ["sandbox", *(part for host in self.hosts for part in host.parts)]

    @property
    def place(self) -> Place:
        """The first host's, for looking into the database and the volume."""
        return self.hosts[0].place

    @property
    def volume(self) -> Path:
        """The volume's folder, whatever is mounted where."""
        return self.hosts[0].mount.source

    def start(self, part: str) -> None:
        """Start a part and do not wait for it."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", *self._command(part)]
            self.processes[part] = subprocess.Popen(command, env=self.environ(part), stdout=log, stderr=log)

    def kill(self, part: str) -> None:
        self.processes[part].kill()
        self.processes[part].wait()

    def freeze(self, part: str) -> None:
        self.processes[part].send_signal(signal.SIGSTOP)

    def thaw(self, part: str) -> None:
        self.processes[part].send_signal(signal.SIGCONT)

    def kill_database(self) -> None:
        assert self.cluster is not None
        self.cluster.kill()

    def start_database(self) -> None:
        assert self.cluster is not None
        self.cluster.start()

    def freeze_database(self) -> None:
        """The server with all its processes: first the one that makes new ones."""
        assert self.cluster is not None
        os.kill(self.cluster.pid, signal.SIGSTOP)
        self._signal_backends(signal.SIGSTOP)

    def thaw_database(self) -> None:
        assert self.cluster is not None
        self._signal_backends(signal.SIGCONT)
        os.kill(self.cluster.pid, signal.SIGCONT)

    def revive(self, except_for: set[str]) -> list[str]:
        """Start again what has ended by itself; what that was. A start that finds no database ends with a code that a supervisor knows."""
        ended = [part for part, process in self.processes.items() if part not in except_for and process.poll() is not None]
        codes = {part: self.processes[part].returncode for part in ended}
        said = [f"{part} ended by itself with {codes[part]}" for part in ended]
        for part in ended:
            self.start(part)
        expected = UNREACHABLE if self.cluster else None
        self.died += [line for part, line in zip(ended, said, strict=True) if codes[part] != expected]
        return said

    def begin(self) -> None:
        """Start everything, the first host before the others, and log in."""
        for part in ("sandbox", "web", "core"):
            self.start(part)
        self.ready(self.urls[:1])
        self._log_in()
        for part in ("web-2", "core-2"):
            self.start(part)
        self.ready()

    def ready(self, urls: list[str] | None = None, timeout: float = 60.0) -> None:
        """Until each Webapp says that the node can work."""
        for url in urls or self.urls:
            eventually(lambda url=url: _answers(f"{url}/_satchel/readyz"), timeout, lambda: f"not ready: {self.tail()}")  # type: ignore[misc]

    def command(self, part: str, words: list[str], within: float) -> subprocess.CompletedProcess[str] | None:
        """One of an operator's, on the host of a part; None where it took longer and was killed."""
        line = [sys.executable, "-m", "satchel", *words, "--data-dir", str(self._host(part).place.data_dir)]
        try:
            return subprocess.run(line, env=self.environ(part), capture_output=True, text=True, timeout=within)
        except subprocess.TimeoutExpired:
            return None

    def clean(self) -> None:
        """What an operator would do afterwards: `fsck --repair`, beside the running node."""
        command = [sys.executable, "-m", "tests.journeys.nemesis.cleaning", str(self.place.data_dir)]
        done = subprocess.run(command, env=self.environ(), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        print(f"fsck: {done.stdout.strip()}")

    def end(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def environ(self, part: str = "web") -> dict[str, str]:
        """What a process of this part, or a command on its host, is started with."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith("SATCHEL_")}
        return {
            **outside,
            **self._host(part).place.environ,
            "SATCHEL_UPSTREAM__URL": self.sandbox_url,
            "SATCHEL_UPSTREAM__SECRET": SECRET,
            "SATCHEL_SANDBOX_SECRET": SECRET,
            "SATCHEL_ADMIN_PASSWORD": PASSWORD,
            "SATCHEL_COREAPP__LEASE_TTL": LEASE,
            "SATCHEL_EGRESS__ALLOW": "127.0.0.0/8",
            "SATCHEL_RETENTION__DIRECTIONS": "link",
            "SATCHEL_RETENTION__UNUSED_FOR": f"{UNUSED_FOR:.0f}s",
        }

    def _host(self, part: str) -> Host:
        return next((host for host in self.hosts if part in host.parts), self.hosts[0])

    def _command(self, part: str) -> list[str]:
        if part == "sandbox":
            folder = str(self._root / "network")
            return ["satchel_sandbox", "--port", str(self.ports[part]), "--data-dir", folder, "--node", self.urls[0]]
        bind = f"127.0.0.1:{self.ports.get(part, 1)}"
        role = part.partition("-")[0]
        return ["satchel", "serve", "--role", role, "--bind", bind, "--data-dir", str(self._host(part).place.data_dir)]

    def _log_in(self) -> None:
        answer = httpx2.post(f"{self.urls[0]}/v1/users/login", auth=("admin", PASSWORD), trust_env=False, timeout=20.0)
        self.headers = {"Authorization": f"Bearer {answer.json()['users'][0]['token']}"}

    def _signal_backends(self, number: signal.Signals) -> None:
        assert self.cluster is not None
        for path in Path(f"/proc/{self.cluster.pid}/task").glob("*/children"):
            for pid in path.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), number)


def _answers(url: str) -> bool:
    try:
        return bool(httpx2.get(url, trust_env=False, timeout=5.0).status_code == 200)
    except httpx2.TransportError:
        return False


@contextmanager
def world(kind: str, root: Path, binaries: Path | None) -> Iterator[World]:
    """A world that runs, on SQLite, or on a PostgreSQL of its own from these programs."""
    with ExitStack() as stack:
        disk = stack.enter_context(mounted(root / "disk", str(SIZE)))
        (disk.root / "volume").mkdir()
        cluster = engines.Cluster(binaries) if kind == "postgres" and binaries else None
        environ: dict[str, Any] = {"SATCHEL_DATABASE__KIND": kind}
        if cluster:
            stack.callback(cluster.stop)
            environ["SATCHEL_DATABASE__URL"] = engines.fresh_database(cluster.url)
        layout = [("web", "core"), ("web-2", "core-2")] if cluster else [("web", "core", "web-2", "core-2")]
        hosts = [stack.enter_context(_host(root / f"host-{n}", disk, environ, parts)) for n, parts in enumerate(layout)]
        made = World(hosts, disk, root, cluster)
        stack.callback(made.end)
        made.begin()
        yield made


@contextmanager
def _host(home: Path, disk: Small, environ: dict[str, str], parts: tuple[str, ...]) -> Iterator[Host]:
    home.mkdir()
    with bound(disk.root / "volume", home / "wamedia") as mount:
        yield Host(Place(home, {**environ, "SATCHEL_VOLUME__PATH": str(mount.target)}), mount, parts)
