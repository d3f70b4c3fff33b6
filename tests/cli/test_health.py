"""`satchel volume df` and `satchel doctor` beside a running node, and where there is none."""

import contextlib
import json
import os
import pty
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from satchel.cli import doctor
from satchel.cli.doctor import NAMES

from ..journeys.running import free_port
from .dev import SATCHEL, Dev, environment, satchel


@pytest.fixture
def unmounted(dev: Dev) -> Iterator[Path]:
    marker = dev.folder / ".satchel" / "media" / ".satchel-volume"
    away = marker.rename(marker.with_name("away"))
    yield marker.parent
    away.rename(marker)


def levels(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {check["name"]: check["level"] for check in json.loads(done.stdout)["checks"]}


def test_df_tells_room_kinds_and_marks(dev: Dev) -> None:
    (dev.folder / "a.txt").write_text("hello")
    satchel("media", "upload", "a.txt", cwd=dev.folder)
    said = json.loads(satchel("volume", "df", "--json", cwd=dev.folder).stdout)
    assert said["path"] == str(dev.folder / ".satchel" / "media")
    assert said["kinds"]["uploaded"] == {"files": 1, "bytes": 5, "source": "rows", "looked": None}
    assert said["total"] == os.statvfs(dev.folder).f_blocks * os.statvfs(dev.folder).f_frsize
    assert said["used"] == said["total"] - said["free"]
    shown = satchel("volume", "df", cwd=dev.folder)
    assert shown.returncode == 0
    assert "uploaded        5 bytes             1 files   by the rows" in shown.stdout
    assert "% used" in shown.stdout


def test_df_warns_above_the_high_water_mark(dev: Dev) -> None:
    high = satchel("volume", "df", cwd=dev.folder, SATCHEL_VOLUME__HIGH_WATER="0.0001%")
    assert (high.returncode, "high-water mark" in high.stderr) == (0, True)


def test_df_of_a_volume_that_is_not_there(dev: Dev, unmounted: Path, tmp_path: Path) -> None:
    gone = satchel("volume", "df", cwd=dev.folder)
    assert (gone.returncode, gone.stderr.count("\n"), str(unmounted) in gone.stderr) == (7, 1, True)
    assert "or run this with the node's SATCHEL_VOLUME__PATH" in gone.stderr
    named = satchel("volume", "df", cwd=dev.folder, SATCHEL_VOLUME__PATH=str(tmp_path / "none"))
    assert (named.returncode, "or run this" in named.stderr) == (7, False)
    told = satchel("volume", "df", "--json", cwd=dev.folder)
    assert json.loads(told.stderr)["errors"][0]["code"] == 1005
    nothing = satchel("volume", "df", cwd=tmp_path)
    assert (nothing.returncode, nothing.stderr.count("\n"), list(tmp_path.iterdir())) == (3, 1, [])


def test_doctor_finds_a_running_dev_in_order(dev: Dev) -> None:
    done = satchel("doctor", cwd=dev.folder)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == list(NAMES)
    assert lines[-1].startswith("0 problems, ")
    assert "\x1b" not in done.stdout
    assert {check["level"] for check in json.loads(satchel("doctor", "--json", cwd=dev.folder).stdout)["checks"]} <= {"ok", "warning"}


def test_gc_beside_dev_asks_its_network(dev: Dev) -> None:
    (dev.folder / "old.txt").write_text("old")
    satchel("send", "document", "--to", "12025550111", "--wait", "delivered", "old.txt", cwd=dev.folder)
    satchel("sandbox", "phone", "show", "12025550111", "--wait", "10s", cwd=dev.folder)
    with contextlib.closing(sqlite3.connect(dev.folder / ".satchel" / "satchel.db")) as db, db:
        db.execute("UPDATE media SET last_used_net = last_used_net - 86400.0 * 31")
    done = satchel("volume", "gc", "--dry-run", "--json", cwd=dev.folder)
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr, told["downloads_known"], told["classes"]["A"]["files"]) == (0, "", True, 1)


def test_doctor_says_what_is_wrong_and_ends_with_10(dev: Dev, unmounted: Path) -> None:
    done = satchel("doctor", "--json", "--only", "volume,clock", cwd=dev.folder)
    assert (done.returncode, levels(done)) == (10, {"volume": "problem", "clock": "ok"})
    assert str(unmounted) in done.stdout
    assert "or run this with the node's SATCHEL_VOLUME__PATH" in done.stdout


def test_doctor_without_a_database_makes_none(tmp_path: Path) -> None:
    done = satchel("doctor", "--json", "--only", "database,admin,files", cwd=tmp_path)
    assert (done.returncode, levels(done)) == (10, {"database": "problem", "admin": "warning", "files": "ok"})
    assert list(tmp_path.iterdir()) == []


def test_doctor_tells_no_secret_of_a_database_that_is_down(tmp_path: Path) -> None:
    url = f"postgresql://user:geheim@127.0.0.1:{free_port()}/satchel"
    done = satchel("doctor", "--only", "database", cwd=tmp_path, SATCHEL_DATABASE__KIND="postgres", SATCHEL_DATABASE__URL=url)
    assert (done.returncode, done.stdout.startswith("problem  database   PostgreSQL cannot be used: nobody listens")) == (10, True)
    assert "geheim" not in done.stdout + done.stderr


def test_doctor_names_a_setting_that_nobody_knows(tmp_path: Path) -> None:
    done = satchel("doctor", "--only", "files", cwd=tmp_path, SATCHEL_VOLUM__PATH="/x")
    assert (done.returncode, "SATCHEL_VOLUME__PATH" in done.stdout) == (10, True)
    wrong = satchel("doctor", "--only", "volum", cwd=tmp_path)
    assert (wrong.returncode, "choose from config" in wrong.stderr) == (2, True)


def test_doctor_warns_of_an_old_name_that_is_not_taken(tmp_path: Path) -> None:
    done = satchel("doctor", "--json", "--only", "config", cwd=tmp_path, WA_API_KY="1234567890123")
    assert (done.returncode, levels(done), "did you mean WA_API_KEY?" in done.stdout) == (0, {"config": "warning"}, True)
    assert "1234567890123" not in done.stdout


def test_doctor_looks_at_the_files_for_tls_and_goes_on(tmp_path: Path) -> None:
    given = {"SATCHEL_WEBAPP__TLS_CERTIFICATE": str(tmp_path / "a.pem"), "SATCHEL_WEBAPP__TLS_KEY": str(tmp_path / "b.pem")}
    done = satchel("doctor", "--json", "--only", "config,files", cwd=tmp_path, **given)
    assert (done.returncode, levels(done)) == (10, {"config": "problem", "files": "ok"})
    assert f"{tmp_path / 'a.pem'} cannot be read" in done.stdout


def test_doctor_finds_a_secret_that_others_may_read(dev: Dev) -> None:
    database = dev.folder / ".satchel" / "satchel.db"
    database.chmod(0o644)
    try:
        done = satchel("doctor", "--only", "config", cwd=dev.folder)
        assert (done.returncode, f"{database} holds secrets" in done.stdout) == (10, True)
    finally:
        database.chmod(0o600)


def test_doctor_tells_a_node_from_somebody_else_on_the_port(dev: Dev) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = f"127.0.0.1:{listener.getsockname()[1]}"
        assert doctor.port(bind).level == "warning"
    assert doctor.port(bind).text == f"nobody listens at {bind}: a node may start there"
    for bind in (f"127.0.0.1:{dev.port}", f"0.0.0.0:{dev.port}"):
        assert doctor.port(bind).text == f"a node answers at http://127.0.0.1:{dev.port}"
    assert doctor.port("192.0.2.1:9090").level == "problem"  # an address of the documentation, on no machine


def test_doctor_looks_where_dev_and_its_sandbox_listen_or_where_bind_says(dev: Dev) -> None:
    def text(*more: str) -> str:
        return str(json.loads(satchel("doctor", "--json", "--only", "port", *more, cwd=dev.folder).stdout)["checks"][0]["text"])

    assert text() == f"a node answers at http://127.0.0.1:{dev.port}, its simulated network at http://127.0.0.1:{dev.sandbox_port}"
    assert text("--bind", f"127.0.0.1:{dev.sandbox_port}").startswith(f"what listens at 127.0.0.1:{dev.sandbox_port} is no node")
    silent = doctor.beside(f"http://127.0.0.1:{dev.port}", f"http://127.0.0.1:{free_port()}")
    assert silent.level == "problem"
    wrong = satchel("doctor", "--bind", "9090", cwd=dev.folder)
    assert (wrong.returncode, "is not HOST:PORT" in wrong.stderr) == (2, True)


def test_doctor_shows_signs_and_colours_on_a_terminal(tmp_path: Path) -> None:
    def shown(**environ: str) -> str:
        near, far = pty.openpty()
        env = environment(TERM="xterm", LC_ALL="C.UTF-8", **environ)
        subprocess.run([*SATCHEL, "doctor", "--only", "files"], cwd=tmp_path, env=env, stdout=far, timeout=60, check=True)
        text = os.read(near, 4096).decode()
        os.close(near)
        os.close(far)
        return text

    assert shown().startswith("\x1b[32m✓\x1b[0m files")
    assert shown(NO_COLOR="1").startswith("✓ files")
