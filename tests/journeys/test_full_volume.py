"""A volume that fills up, is emptied, turns read-only and goes away under real processes, and a database whose disk is full."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ..conftest import Place
from .running import PASSWORD, Hook, Node, eventually
from .small import Mount, Small, bound, mounted

PHONE, OTHER, THIRD, FOURTH, FIFTH = (f"1202555011{n}" for n in range(1, 6))
SIZE = 48 << 20
RESERVE = int(SIZE * 0.03)
MB = 1 << 20
ON_SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what concerns the volume alone."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with mounted(tmp_path / "disk", f"{SIZE}") as disk:
        yield disk


@pytest.fixture
def node(place: Place, small: Small) -> Iterator[Node]:
    """A node whose media volume, and nothing else, lies on the small disk; it waits ten seconds for room."""
    node = Node(Place(place.data_dir, {**place.environ, "SATCHEL_VOLUME__PATH": str(small.root / "media")}))
    node.set(SATCHEL_VOLUME__WAIT_FOR_ROOM="10s", SATCHEL_EGRESS__ALLOW="127.0.0.0/8")
    try:
        node.start_all()
        yield node
    finally:
        node.stop_all()


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that nothing compresses."""
    import random

    return random.Random(seed).randbytes(size)


def transparent(tmp_path: Path, seed: int) -> bytes:
    """A picture that must be made anew before it goes out."""
    path = tmp_path / f"{seed}.png"
    Image.frombytes("RGBA", (200, 200), noise(160_000, seed)).save(path)
    return path.read_bytes()


def health(node: Node) -> dict[str, Any]:
    told: dict[str, Any] = node.call("GET", "/_satchel/v1/health").json()["health"]
    return told


def figure(node: Node, name: str) -> float:
    entry = node.call("GET", "/v1/stats/app").json()["stats"]["app"][name]
    return float(entry["data"][0]["value"])


def lacking(node: Node) -> list[str]:
    """What `GET /_satchel/readyz` misses."""
    found: list[str] = node.call("GET", "/_satchel/readyz").json()["lacking"]
    return found


def alerts(hook: Hook) -> list[str]:
    return [body["services"][0]["media"]["volume"]["status"] for body in list(hook.bodies) if "services" in body]


def text(node: Node, to: str) -> str:
    answer = node.call("POST", "/v1/messages", json={"to": to, "type": "text", "text": {"body": "no room needed"}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["messages"][0]["id"])


def refused_unread(node: Node, size: int) -> str:
    """The answer to an upload that waits to be told to go on before it sends a byte."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=10) as connection:
        head = f"POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: {node.headers['Authorization']}\r\nContent-Type: video/mp4\r\n"
        connection.sendall(f"{head}Content-Length: {size}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(65536).decode()


def level_is(node: Node, level: str) -> None:
    """Once every Coreapp and Webapp say so."""

    def levels() -> set[str]:
        said = health(node)
        return {said["volume"]["level"], *(core["volume"] for core in said["coreapps"])}

    eventually(lambda: levels() == {level}, 10, lambda: str(health(node)))


def lines(node: Node, event: str) -> list[str]:
    return [line for line in node.log.read_text().splitlines() if f'"event":"{event}"' in line]


@pytest.fixture
def page() -> Iterator[str]:
    """A link to three megabytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(3 * MB))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # whoever finds no room hangs up
                self.wfile.write(b"x" * 3 * MB)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/file"
        server.shutdown()


def link(node: Node, to: str, url: str) -> str:
    answer = node.call("POST", "/v1/messages", json={"to": to, "type": "document", "document": {"link": url}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["messages"][0]["id"])


def test_p17_a_volume_fills_up_and_everything_goes_on_once_there_is_room(
    node: Node, hook: Hook, small: Small, page: str, tmp_path: Path
) -> None:
    node.set_hook(hook.url)
    node.alert(True)
    prepared = node.upload(noise(3 * MB), "text/plain")  # of a size that is encrypted into a file on the volume
    hook.wait(node.send(PHONE, "document", prepared), "delivered")
    repaired = node.upload(transparent(tmp_path, 1), "image/png")
    hook.wait(node.send(PHONE, "image", repaired), "delivered")
    fresh, late = (node.upload(transparent(tmp_path, seed), "image/png") for seed in (2, 3))
    level_is(node, "ok")

    small.fill_to(SIZE // 10)  # above the high-water mark: said, and nothing stops
    level_is(node, "high_water")
    assert figure(node, "satchel_volume_level") == 1
    assert node.upload(b"still taken", "text/plain")

    small.fill_to(RESERVE - 100_000)  # below the reserve: uploads are refused, large ones and small ones, unread
    level_is(node, "uploads_refused")
    for size in (40 * MB, 1000):
        answer = refused_unread(node, size)
        assert answer.startswith("HTTP/1.1 403 "), answer
        assert '"code":1005' in answer
    made = node.send(OTHER, "image", fresh)  # what an accepted message needs may use half of the reserve
    hook.wait(made, "delivered")

    small.fill_to(RESERVE // 2 - 200_000)  # below half of it: nothing but what needs no room
    level_is(node, "full")
    assert (figure(node, "satchel_volume_level"), 0 < figure(node, "satchel_volume_free_ratio") < 0.015) == (3, True)
    sent = [text(node, THIRD), node.send(THIRD, "document", prepared), node.send(THIRD, "image", repaired)]
    node.http.put(f"{node.sandbox_url}/sandbox/clock", json={"advance": "20d"})  # the network holds no copy any more
    sent.append(node.send(THIRD, "document", prepared))
    for message in sent:
        hook.wait(message, "delivered")
    waiting = [node.send(FOURTH, "image", late), link(node, FIFTH, page)]
    eventually(lambda: health(node)["volume"]["waiting_for_room"] == 2, 10, lambda: str(health(node)))
    said = told(node)
    assert "Level full" in said
    assert "problem  volume" in said
    assert "all that needs room waits; delete media" in said

    small.empty()
    for message in waiting:
        hook.wait(message, "delivered", timeout=6)
    level_is(node, "ok")
    assert node.upload(noise(5 * MB, 7), "text/plain")
    eventually(lambda: alerts(hook)[-1:] == ["ok"], 10, lambda: str(alerts(hook)))
    assert alerts(hook) == ["high_water", "uploads_refused", "full", "ok"]
    assert [line.split('"room":"')[1].split('"')[0] for line in lines(node, "volume_level")] == alerts(hook)
    assert not list((small.root / "media" / "parts").iterdir())


def told(node: Node) -> str:
    """What `satchel doctor` and `satchel volume df` say."""
    data_dir = str(node.place.data_dir)
    said = ""
    for command in (["volume", "df"], ["doctor", "--only", "volume"]):
        done = subprocess.run(
            [sys.executable, "-m", "satchel", *command, "--data-dir", data_dir],
            env=node.environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        said += done.stdout + done.stderr
    return said


@ON_SQLITE
def test_p17_a_send_that_finds_no_room_in_time_ends_failed_and_says_why(node: Node, hook: Hook, small: Small, tmp_path: Path) -> None:
    node.set_hook(hook.url)
    picture = node.upload(transparent(tmp_path, 1), "image/png")
    small.fill_to(100_000)
    message = node.send(PHONE, "image", picture)
    behind = text(node, PHONE)
    error = hook.wait(message, "failed", timeout=30)["errors"][0]
    assert (error["code"], error["title"]) == (1005, "Access denied")
    assert "% full" in error["details"]
    assert "delete media" in error["details"]
    assert "Waited for 10s" in error["details"]
    hook.wait(behind, "delivered")
    small.empty()
    again = node.send(PHONE, "image", picture)  # the media is as good as ever
    hook.wait(again, "delivered")


@ON_SQLITE
def test_p17_a_volume_that_turns_read_only_serves_and_sends_what_it_has(node: Node, hook: Hook, small: Small, tmp_path: Path) -> None:
    node.set_hook(hook.url)
    prepared = node.upload(noise(2 * MB), "text/plain")
    hook.wait(node.send(PHONE, "document", prepared), "delivered")
    picture = node.upload(transparent(tmp_path, 1), "image/png")
    small.remount("ro")
    try:
        level_is(node, "read_only")
        refused = node.call("POST", "/v1/media", content=b"x", headers={"Content-Type": "text/plain"})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, 1005)
        assert node.call("GET", f"/v1/media/{prepared}").content == noise(2 * MB)
        node.http.put(f"{node.sandbox_url}/sandbox/clock", json={"advance": "20d"})
        hook.wait(node.send(OTHER, "document", prepared), "delivered")
        waiting = node.send(THIRD, "image", picture)
        eventually(lambda: health(node)["volume"]["waiting_for_room"] == 1, 10, lambda: str(health(node)))
    finally:
        small.remount("rw")
    hook.wait(waiting, "delivered", timeout=6)
    assert node.upload(b"taken again", "text/plain")


@pytest.fixture
def mountable(place: Place, tmp_path: Path) -> Iterator[tuple[Node, Mount]]:
    """A node and the mount that its volume is."""
    under = tmp_path / "disk"
    under.mkdir()
    with bound(under, tmp_path / "wamedia") as mount:
        node = Node(Place(place.data_dir, {**place.environ, "SATCHEL_VOLUME__PATH": str(tmp_path / "wamedia")}))
        try:
            node.start_all()
            yield node, mount
        finally:
            node.stop_all()


@ON_SQLITE
def test_p17_a_volume_that_is_unmounted_in_the_middle_loses_nothing(mountable: tuple[Node, Mount], hook: Hook, tmp_path: Path) -> None:
    node, mount = mountable
    node.set_hook(hook.url)
    node.alert(True)
    document = node.upload(b"on the volume", "text/plain")
    picture = node.upload(transparent(tmp_path, 1), "image/png")
    mount.take_away()
    level_is(node, "missing")
    refused = node.call("POST", "/v1/media", content=b"x", headers={"Content-Type": "text/plain"})
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    sent = [node.send(PHONE, "document", document), node.send(OTHER, "image", picture)]
    hook.wait(text(node, THIRD), "delivered")
    assert not any(hook.statuses(message) for message in sent)
    assert list((tmp_path / "wamedia").iterdir()) == []  # nothing was written under the mount
    mount.put_back()
    for message in sent:
        hook.wait(message, "delivered", timeout=20)
    eventually(lambda: alerts(hook) == ["missing", "ok"], 10, lambda: str(alerts(hook)))


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[tuple[Node, Small]]:
    """A node whose SQLite lies on the small disk, and whose volume does not."""
    with mounted(tmp_path / "disk", "32m") as disk:
        volume = tmp_path / "media"
        node = Node(Place(disk.root, {"SATCHEL_DATABASE__KIND": "sqlite", "SATCHEL_VOLUME__PATH": str(volume)}))
        node.log = tmp_path / "processes.log"
        try:
            node.start_all()
            yield node, disk
        finally:
            with contextlib.suppress(FileNotFoundError):
                disk.empty()
            node.stop_all()


def test_p17_a_full_disk_of_the_database_is_said_at_once_and_is_over_by_itself(cramped: tuple[Node, Small], hook: Hook) -> None:
    node, disk = cramped
    node.set_hook(hook.url)
    before = node.upload(b"from before", "text/plain")
    accepted = node.send(PHONE, "document", before)
    hook.wait(accepted, "delivered")
    disk.fill_to(0)
    node.http.timeout = 5.0
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/media", {"content": b"x", "headers": {"Content-Type": "text/plain"}}),
        ("POST", "/v1/media", {"content": noise(3 * MB), "headers": {"Content-Type": "text/plain"}}),
        ("POST", "/v1/messages", {"json": {"to": PHONE, "type": "text", "text": {"body": "hi"}}}),
        ("DELETE", f"/v1/media/{before}", {}),
        ("POST", "/v1/users/logout", {}),
    ]
    for method, path, given in calls:
        answer = node.call(method, path, **given)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2"), (path, answer.text)
        error = answer.json()["errors"][0]
        assert (error["code"], "is full" in error["details"]) == (1023, True)
    assert node.call("GET", f"/v1/media/{before}").content == b"from before"
    login = f"{node.url}/v1/users/login"
    assert node.http.post(login, auth=("admin", PASSWORD)).status_code == 200
    eventually(lambda: lacking(node) == ["database"], 15, lambda: str(lacking(node)))  # and not the Coreapp, which cannot say that it lives
    guesses = [node.http.post(login, auth=("admin", f"Wrong-Guess-{n}")).status_code for n in range(12)]
    assert guesses == [503] * 10 + [429] * 2  # the brake counts in memory where the database cannot
    assert (
        len(list(Path(node.place.environ["SATCHEL_VOLUME__PATH"]).joinpath("shared").iterdir())) == 1
    )  # what was not acknowledged left nothing
    disk.empty()
    eventually(lambda: node.answers("/_satchel/readyz"), 15, lambda: node.log.read_text()[-2000:])
    again = node.send(OTHER, "document", node.upload(b"taken again", "text/plain"))
    hook.wait(again, "delivered")


def test_p17_nothing_that_was_acknowledged_is_lost_while_the_volume_fills_and_processes_die(node: Node, hook: Hook, small: Small) -> None:
    node.set_hook(hook.url)
    kept: dict[str, bytes] = {}
    sent: list[str] = []
    small.fill_to(6 * MB)
    for n in range(40):
        body = noise(300_000, n)
        answer = node.call("POST", "/v1/media", content=body, headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code in {201, 403}, answer.text
        if answer.status_code == 201:
            media = answer.json()["media"][0]["id"]
            kept[media] = body
            sent.append(node.send(PHONE, "document", media))
        if n in {8, 30}:
            node.stop("core", signal.SIGKILL)
            node.start("core")
    assert 5 < len(kept) < 40
    small.empty()
    for media, body in kept.items():
        assert node.call("GET", f"/v1/media/{media}").content == body
    node.phone_until(PHONE, len(sent), timeout=40)
    assert [message["id"] for message in node.phone(PHONE)] == sent
    assert sorted(path.name for path in (small.root / "media" / "shared").iterdir()) == sorted(kept)
