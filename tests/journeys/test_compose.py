"""What the Compose file starts, started here: its commands and its environment, with folders and ports of a test's own."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from .. import engines
from ..deploy.test_compose import env_file, read
from .running import eventually, free_port

PHONE = "12025550111"


class Composed:
    """The services of a Compose file as processes of this machine, in the order that it asks for."""

    def __init__(self, name: str, folder: Path, database: dict[str, str]) -> None:
        self._services = read(name)["services"]
        self._folder = folder
        self.port, self.sandbox_port = free_port(), free_port()
        self.url, self.sandbox_url = f"https://localhost:{self.port}", f"http://127.0.0.1:{self.sandbox_port}"
        self.data_dir, self.media = folder / "satchel", folder / "wamedia"
        self._places = {
            "/var/lib/satchel-sandbox": str(folder / "sandbox"),
            "/var/lib/satchel": str(self.data_dir),
            "/usr/local/wamedia": str(self.media),
            "0.0.0.0:443": f"127.0.0.1:{self.port}",
            "https://waweb": self.url,
            "9091": str(self.sandbox_port),
        }
        self._given = {**env_file(), **database}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log = folder / "processes.log"

    def start(self, name: str) -> None:
        service: dict[str, Any] = self._services[name]
        program, *arguments = [self._here(text) for text in service["command"]]
        command = [sys.executable, "-m", "satchel", *arguments] if program == "satchel" else [sys.executable, *arguments]
        named = {key: self._here(str(value)) for key, value in service.get("environment", {}).items()}
        mine = {key: value for key, value in os.environ.items() if not key.startswith(("SATCHEL_", "WA_"))}
        with self.log.open("ab") as log:
            self.processes[name] = subprocess.Popen(command, env={**mine, **self._given, **named}, stdout=log, stderr=log)

    def _here(self, text: str) -> str:
        for theirs, ours in self._places.items():
            text = text.replace(theirs, ours)
        return text

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            process.wait(40)


@pytest.fixture
def composed(postgres_url: str, tmp_path: Path) -> Iterator[Composed]:
    url = engines.fresh_database(postgres_url)
    parts = psycopg.conninfo.conninfo_to_dict(url)
    names = {"host": "HOSTNAME", "port": "PORT", "user": "USERNAME", "password": "PASSWORD", "dbname": "NAME_PREFIX"}
    database = {f"WA_DB_{name}": str(parts[key]) for key, name in names.items() if parts.get(key)}
    composed = Composed("docker-compose.yml", tmp_path, database)
    try:
        yield composed
    finally:
        composed.stop()
        engines.drop_database(url, postgres_url)


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def test_p19_an_old_client_finds_what_the_compose_file_starts(composed: Composed) -> None:
    """https on one port, a login, an upload that lies flat in `shared`, and a message that arrives."""
    composed.start("wacore")
    composed.start("waweb")
    ca = composed.data_dir / "tls" / "ca.pem"
    eventually(ca.is_file, 30, composed.log.read_text)
    with httpx2.Client(base_url=composed.url, verify=trusting(ca), trust_env=False, timeout=20.0) as http:

        def ready(path: str) -> bool:
            try:
                return bool(http.get(path).status_code == 200)
            except httpx2.TransportError:
                return False

        eventually(lambda: ready("/_satchel/livez"), 30, composed.log.read_text)
        composed.start("sandbox")
        eventually(lambda: ready("/_satchel/readyz"), 30, composed.log.read_text)
        password = (composed.data_dir / "admin-password").read_text().strip()
        token = http.post("/v1/users/login", auth=("admin", password)).json()["users"][0]["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        media = http.post("/v1/media", content=b"hello", headers={"Content-Type": "text/plain"}).json()["media"][0]["id"]
        assert [path.name for path in (composed.media / "shared").iterdir()] == [media]
        sent = http.post("/v1/messages", json={"to": PHONE, "type": "document", "document": {"id": media}}).json()["messages"][0]["id"]

    def arrived() -> list[str]:
        found = httpx2.get(f"{composed.sandbox_url}/sandbox/phones/{PHONE}/messages", trust_env=False).json()["messages"]
        return [message["id"] for message in found]

    eventually(lambda: arrived() == [sent], 20, composed.log.read_text)
