"""`satchel serve` with several processes: they share a socket, come back when they die, and end with their parent."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ..conftest import Place
from .running import PASSWORD, Node, eventually, free_port


class Served(Node):
    """A node whose Webapps and Coreapp are children of one `satchel serve`, run in a folder of its own."""

    def __init__(self, place: Place, workers: int = 2) -> None:
        super().__init__(place)
        self.http.close()
        limits = httpx2.Limits(max_keepalive_connections=0)  # each request finds whatever worker there is
        self.http = httpx2.Client(timeout=20.0, trust_env=False, limits=limits)
        self.folder = place.data_dir / "cwd"
        self.folder.mkdir(exist_ok=True)
        self._workers = workers

    def serve(self) -> None:
        self.start("sandbox")
        arguments = ["--workers", str(self._workers), "--bind", f"127.0.0.1:{self.port}", "--data-dir", str(self.place.data_dir)]
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "satchel", "serve", *arguments]
            self.processes["serve"] = subprocess.Popen(command, cwd=self.folder, env=self._environ, stdout=log, stderr=log)
        self.wait_ready()
        eventually(lambda: len(self.children("web")) == self._workers, 20, self.log.read_text)

    def children(self, role: str = "") -> list[int]:
        """Process ids of the children that serve (in this role), the oldest first."""
        listed = Path(f"/proc/{self.processes['serve'].pid}/task").glob("*/children")
        pids = {int(pid) for path in listed for pid in path.read_text().split()}
        return sorted(pid for pid in pids if f"--role\0{role}" in _command(pid))

    def login(self) -> None:
        """A fresh token, whoever gives it."""
        self.headers = {}
        self.wait_ready()

    def lines(self) -> list[dict[str, Any]]:
        """What the processes have logged so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def fetch(self, media_id: str) -> bytes:
        answer = self.call("GET", f"/v1/media/{media_id}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def deliver(self, body: bytes) -> None:
        """Send it as a document and find it on the phone."""
        self.send("12025550111", "document", self.upload(body))
        self.phone_until("12025550111", 1)
        assert self.received("12025550111") == body


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def gone(pids: list[int]) -> bool:
    return not any(_command(pid) for pid in pids)


@pytest.fixture
def served(place: Place) -> Iterator[Served]:
    node = Served(place)
    try:
        node.serve()
        yield node
    finally:
        node.stop_all()


def test_what_one_worker_gave_counts_at_the_other_and_a_send_goes_through(served: Served, photo: Path) -> None:
    first, second = served.children("web")
    for stopped, other in ((first, second), (second, first)):
        os.kill(stopped, signal.SIGSTOP)
        try:
            served.login()
            media_id = served.upload(f"stored by {other}".encode())
        finally:
            os.kill(stopped, signal.SIGCONT)
        os.kill(other, signal.SIGSTOP)
        try:
            assert served.fetch(media_id) == f"stored by {other}".encode()
        finally:
            os.kill(other, signal.SIGCONT)
    served.deliver(photo.read_bytes())


def test_a_worker_killed_under_load_comes_back_and_nothing_acknowledged_is_lost(served: Served) -> None:
    stored: dict[str, bytes] = {}
    failed: list[Exception] = []
    over = threading.Event()

    def load(number: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            body = f"{number}:{count}".encode() * 100
            try:
                stored[served.upload(body)] = body
            except httpx2.TransportError as error:
                failed.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(stored) > 40, 30, served.log.read_text)
    victim = served.children("web")[0]
    os.kill(victim, signal.SIGKILL)
    before = len(stored)
    eventually(lambda: len(stored) > before + 40, 30, served.log.read_text)
    eventually(lambda: victim not in served.children("web") and len(served.children("web")) == 2, 30, served.log.read_text)
    over.set()
    for thread in threads:
        thread.join(30)
    assert len(failed) <= len(threads), failed  # what the killed one had in its hands, at most
    assert all(served.fetch(media_id) == body for media_id, body in stored.items())
    assert victim in [line.get("pid") for line in served.lines() if line["event"] == "child_died"]


def test_a_killed_coreapp_comes_back_and_goes_on(served: Served, photo: Path) -> None:
    (core,) = served.children("core")
    os.kill(core, signal.SIGKILL)
    served.deliver(photo.read_bytes())
    assert served.children("core") != [core]


def test_sigterm_lets_an_upload_in_flight_finish_and_leaves_nothing(served: Served) -> None:
    children = served.children()
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as slow:
        head = f"POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: {served.headers['Authorization']}\r\n"
        slow.sendall(f"{head}Content-Type: text/plain\r\nContent-Length: {2 << 20}\r\n\r\n".encode() + bytes(1 << 20))
        eventually(lambda: any((served.place.data_dir / "media/parts").iterdir()), 10, served.log.read_text)
        served.processes["serve"].send_signal(signal.SIGTERM)
        eventually(lambda: not _listens(served.port), 10, served.log.read_text)
        slow.sendall(bytes(1 << 20))
        assert slow.recv(4096).startswith(b"HTTP/1.1 201 ")
    assert served.processes["serve"].wait(40) == 0
    assert gone(children)
    assert "was killed" not in served.log.read_text()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_no_process_leaves_its_memory_on_the_disk_when_it_crashes(served: Served) -> None:
    for pid in (served.processes["serve"].pid, *served.children()):
        (limit,) = [line.split() for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core file size")]
        assert limit[4:6] == ["0", "0"]


def test_children_end_with_a_parent_that_was_killed(served: Served) -> None:
    children = served.children()
    assert len(children) == 3
    served.stop("serve", signal.SIGKILL)
    eventually(lambda: gone(children), 30, lambda: f"alive: {[pid for pid in children if _command(pid)]}")
    assert not _listens(served.port)
    served.stop("sandbox")
    served.serve()


def test_a_child_that_can_no_longer_start_ends_everything_with_its_sentence(served: Served) -> None:
    (served.folder / "satchel.toml").write_text("[coreapp]\nlease = 1\n")
    children = served.children()
    os.kill(served.children("web")[0], signal.SIGKILL)
    assert served.processes["serve"].wait(40) == 3
    assert "satchel.toml sets coreapp.lease, which is no setting" in served.log.read_text()
    assert gone(children)


def test_what_is_wrong_from_the_start_is_said_once(place: Place) -> None:
    (place.data_dir / "media").mkdir()
    (place.data_dir / "media" / "somebody's").touch()
    environ = {**{name: value for name, value in os.environ.items() if not name.startswith("SATCHEL_")}, **place.environ}
    command = [sys.executable, "-m", "satchel", "serve", "--workers", "3", "--bind", f"127.0.0.1:{free_port()}"]
    done = subprocess.run(
        [*command, "--data-dir", str(place.data_dir)], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert done.stderr.count("is no media volume of this database") == 1


def test_many_that_start_at_once_on_nothing_agree(place: Place) -> None:
    node = Node(place)
    environ = {name: value for name, value in node._environ.items() if name != "SATCHEL_ADMIN_PASSWORD"}
    ports = [free_port() for _ in range(3)]
    started = []
    with node.log.open("ab") as log:
        for role, port in [("core", 1), ("core", 1), *[("web", port) for port in ports]]:
            arguments = ["--role", role, "--bind", f"127.0.0.1:{port}", "--data-dir", str(place.data_dir)]
            started.append(subprocess.Popen([sys.executable, "-m", "satchel", "serve", *arguments], env=environ, stdout=log, stderr=log))
    try:
        eventually(lambda: all(map(_listens, ports)) and (place.data_dir / "admin-password").exists(), 40, node.log.read_text)
        password = (place.data_dir / "admin-password").read_text().strip()
        assert password != PASSWORD
        for port in ports:
            answer = httpx2.post(f"http://127.0.0.1:{port}/v1/users/login", auth=("admin", password), trust_env=False, timeout=20)
            assert answer.status_code == 200, node.log.read_text()
        locks = sorted(path.name for path in place.data_dir.glob("*.lock"))
        assert locks == ["core.0.lock", "core.1.lock", "web.0.lock", "web.1.lock", "web.2.lock"]
        assert not list(place.data_dir.glob(".admin-password.*"))
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(40) for process in started]
    assert codes[2:] == [0] * 3, node.log.read_text()
    assert set(codes[:2]) <= {0, -signal.SIGTERM}, node.log.read_text()  # a Coreapp that is not up yet has nothing to end in order
