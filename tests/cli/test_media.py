"""`satchel media` against a running node, as people and scripts call it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..journeys.running import eventually, free_port
from ..postprocess.pictures import jpeg, png, scene
from .dev import SATCHEL, Dev, environment, satchel
from .slow import SlowRoad

COLOUR = r"\x1b\[[39]\d"
UNKNOWN = "0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"


@pytest.fixture
def road(dev: Dev) -> Iterator[SlowRoad]:
    road = SlowRoad(dev.port)
    yield road
    road.close()


def upload(dev: Dev, name: str, body: bytes = b"hello") -> str:
    (dev.folder / name).write_bytes(body)
    return satchel("media", "upload", name, "--quiet", cwd=dev.folder).stdout.strip()


def test_upload_prints_ids_on_stdout_and_what_it_made_of_them_on_stderr(dev: Dev) -> None:
    (dev.folder / "a.txt").write_text("hello")
    done = satchel("media", "upload", "a.txt", cwd=dev.folder)
    assert (len(done.stdout), done.stderr) == (37, "a.txt: text/plain, 5 bytes\n")
    assert satchel("media", "upload", "a.txt", "--quiet", cwd=dev.folder).stderr == ""
    said = satchel("media", "upload", "a.txt", "--json", "--type", "text/x", cwd=dev.folder)
    (shown,) = json.loads(said.stdout)["media"]
    assert {**shown, "id": ""} == {"file": "a.txt", "id": "", "mime": "text/x", "size": 5}


def test_one_bad_file_among_several(dev: Dev) -> None:
    for name, body in (("one.txt", "1"), ("void.txt", ""), ("two.txt", "2")):
        (dev.folder / name).write_text(body)
    names = ("one.txt", "void.txt", "two.txt")
    stopped = satchel("media", "upload", *names, "--quiet", cwd=dev.folder)
    assert (stopped.returncode, stopped.stdout.count("\n")) == (6, 1)
    partly = satchel("media", "upload", *names, "--quiet", "--keep-going", cwd=dev.folder)
    assert (partly.returncode, partly.stdout.count("\n")) == (11, 2)
    assert partly.stderr.startswith("satchel: void.txt: The body is empty")
    told = satchel("media", "upload", *names, "--keep-going", "--json", cwd=dev.folder)
    assert [media["file"] for media in json.loads(told.stdout)["media"]] == ["one.txt", "two.txt"]
    (error,) = json.loads(told.stderr)["errors"]
    assert (error["code"], error["title"]) == (1009, "Parameter value is not valid")
    assert error["details"].startswith("void.txt: The body is empty")
    assert satchel("media", "upload", "void.txt", "--keep-going", cwd=dev.folder).returncode == 6


def test_ls_shows_type_size_age_and_user(dev: Dev) -> None:
    media = upload(dev, "list.csv", b"x" * 2048)
    (line,) = (line for line in satchel("media", "ls", cwd=dev.folder).stdout.splitlines() if media in line)
    assert line.split()[:2] == [media, "text/csv"]
    assert "2 KiB" in line
    assert line.endswith("  admin")
    assert satchel("media", "ls", "--limit", "1", "--quiet", cwd=dev.folder).stdout == f"{media}\n"


def test_ls_pages_through_everything_and_speaks_json(dev: Dev) -> None:
    ids = [upload(dev, f"page{number}.css") for number in range(3)]
    some = satchel("media", "ls", "--mime", "text/css", "--limit", "2", "--json", cwd=dev.folder)
    assert [media["id"] for media in json.loads(some.stdout)["media"]] == ids[:0:-1]
    lines = satchel("media", "ls", "--mime", "text/css", "--all", "--json", cwd=dev.folder).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids[::-1]
    assert set(json.loads(lines[0])) >= {"id", "direction", "mime", "size", "sha256", "state", "user", "created_at", "last_used_at", "file"}
    more = satchel("media", "ls", "--mime", "text/css", "--limit", "2", cwd=dev.folder)
    assert "--all" in more.stderr
    assert satchel("media", "ls", "--direction", "in", cwd=dev.folder).stdout == ""
    wrong = satchel("media", "ls", "--mime", "jpeg", cwd=dev.folder)
    assert (wrong.returncode, "parameter mime" in wrong.stderr) == (2, True)


def test_info_tells_where_the_file_lies(dev: Dev) -> None:
    media = upload(dev, "where.txt")
    shown = json.loads(satchel("media", "info", media, "--json", cwd=dev.folder).stdout)
    assert Path(shown["file"]).read_bytes() == b"hello"
    assert f"size          5 bytes (5 bytes)\nsha256        {shown['sha256']}" in satchel("media", "info", media, cwd=dev.folder).stdout
    gone = satchel("media", "info", UNKNOWN, cwd=dev.folder)
    assert (gone.returncode, UNKNOWN in gone.stderr, gone.stderr.count("\n")) == (5, True, 1)


def test_rm_does_what_it_can_and_says_what_it_could_not(dev: Dev) -> None:
    one, two = upload(dev, "x.txt"), upload(dev, "y.txt")
    done = satchel("media", "rm", one, UNKNOWN, two, "--json", cwd=dev.folder)
    assert (done.returncode, json.loads(done.stdout)) == (11, {"deleted": [one, two]})
    (error,) = json.loads(done.stderr)["errors"]
    assert error["code"] == 1006
    assert UNKNOWN in error["details"]
    assert satchel("media", "rm", UNKNOWN, cwd=dev.folder).returncode == 5


def test_a_failure_in_json_is_the_envelope(dev: Dev, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    nowhere = satchel("media", "ls", "--json", "--url", f"http://127.0.0.1:{free_port()}", "--token", "t", cwd=tmp_path)
    assert (nowhere.returncode, json.loads(nowhere.stderr)["errors"][0]["code"]) == (8, 1011)
    unknown = satchel("media", "ls", "--json", cwd=tmp_path)
    assert (unknown.returncode, json.loads(unknown.stderr)["errors"][0]["title"]) == (3, "Generic error")
    wrong = satchel("send", "document", "--to", "1", "--json", "a.txt", "--url", dev.state["url"], "--token", "t", cwd=tmp_path)
    assert (wrong.returncode, json.loads(wrong.stderr)["errors"][0]["code"]) == (4, 1005)


def test_send_gives_both_ids_as_json(dev: Dev) -> None:
    (dev.folder / "bill.pdf").write_bytes(b"%PDF-1.4")
    said = json.loads(satchel("send", "document", "--to", "12025550177", "bill.pdf", "--json", cwd=dev.folder).stdout)
    assert satchel("media", "info", said["media"]["id"], cwd=dev.folder).returncode == 0
    shown = satchel("sandbox", "phone", "show", "12025550177", "--wait", "10s", "--quiet", cwd=dev.folder)
    assert shown.stdout == f"{said['message']['id']}\n"


class Terminal:
    """A client command with its stderr on a terminal of its own."""

    def __init__(self, dev: Dev, road: SlowRoad, *arguments: str, **environ: str) -> None:
        self._near, far = pty.openpty()
        command = [*SATCHEL, *arguments, "--url", road.url, "--token", dev.state["token"]]
        env = environment(TERM="xterm", COLUMNS="120", **environ)
        self.process = subprocess.Popen(command, cwd=dev.folder, env=env, stdout=subprocess.PIPE, stderr=far)
        os.close(far)

    def until(self, text: str) -> str:
        """What was shown, at least up to this text."""
        shown = ""
        while text not in shown:
            shown += self._read()
        return shown

    def rest(self) -> str:
        shown = ""
        while some := self._read():
            shown += some
        return shown

    def answer(self) -> str:
        """What the command printed on stdout, to its end."""
        said, _ = self.process.communicate(timeout=20)
        os.close(self._near)
        return str(said.decode())

    def _read(self) -> str:
        try:
            return os.read(self._near, 4096).decode()
        except OSError:  # nobody holds the other side any more
            return ""


@pytest.mark.timeout(60)
def test_a_transfer_that_lasts_shows_a_bar_on_a_terminal(dev: Dev, road: SlowRoad) -> None:
    (dev.folder / "big.bin").write_bytes(os.urandom(24 << 20))
    terminal = Terminal(dev, road, "media", "upload", "big.bin")
    shown = terminal.until("24.0 MiB")
    assert "big.bin" in shown
    assert re.search(COLOUR, shown)
    road.hurry()
    assert "big.bin: application/octet-stream, 24 MiB" in terminal.rest()
    assert len(terminal.answer()) == 37
    assert terminal.process.returncode == 0


@pytest.mark.timeout(60)
def test_no_color_and_no_bar_where_nobody_looks(dev: Dev, road: SlowRoad) -> None:
    (dev.folder / "plain.bin").write_bytes(os.urandom(24 << 20))
    terminal = Terminal(dev, road, "media", "upload", "plain.bin", NO_COLOR="1")
    assert not re.search(COLOUR, terminal.until("24.0 MiB"))
    road.hurry()
    terminal.rest()
    media = terminal.answer().strip()
    piped = satchel("media", "get", media, "-o", "back.bin", "--url", road.url, "--token", dev.state["token"], cwd=dev.folder)
    assert (piped.returncode, piped.stderr) == (0, "back.bin\n")
    assert (dev.folder / "back.bin").read_bytes() == (dev.folder / "plain.bin").read_bytes()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_download_that_is_told_to_end_leaves_nothing(dev: Dev, road: SlowRoad, tmp_path: Path, number: signal.Signals) -> None:
    media = upload(dev, "long.bin", os.urandom(24 << 20))
    terminal = Terminal(dev, road, "media", "get", media, "-o", str(tmp_path / "out"))
    terminal.until("24.0 MiB")
    assert [path.name for path in tmp_path.iterdir()] == [".out.part"]
    terminal.process.send_signal(number)
    assert "interrupted" in terminal.rest()
    terminal.answer()
    assert terminal.process.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_ctrl_c_in_an_upload_stores_nothing_and_tells_what_went_up_before(dev: Dev, road: SlowRoad) -> None:
    (dev.folder / "first.txt").write_text("x")
    (dev.folder / "second.bin").write_bytes(os.urandom(24 << 20))
    terminal = Terminal(dev, road, "media", "upload", "first.txt", "second.bin", "--json")
    terminal.until("24.0 MiB")
    terminal.process.send_signal(signal.SIGINT)
    said = terminal.answer()
    assert terminal.process.returncode == 130
    assert [media["file"] for media in json.loads(said)["media"]] == ["first.txt"]
    newest = json.loads(satchel("media", "ls", "--limit", "1", "--json", cwd=dev.folder).stdout)["media"][0]
    assert newest["id"] == json.loads(said)["media"][0]["id"]
    parts = dev.folder / ".satchel" / "media" / "parts"
    eventually(lambda: not list(parts.iterdir()), 10, lambda: str(list(parts.iterdir())))


def test_a_reader_that_has_enough_ends_the_list_quietly(dev: Dev) -> None:
    upload(dev, "enough.txt")
    script = f'"{sys.executable}" -m satchel media ls --all | true'
    done = subprocess.run(["bash", "-c", script], cwd=dev.folder, env=environment(), capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


HEAVY = {
    "aiohttp", "starlette", "uvicorn", "cryptography", "PIL", "apsw", "psycopg", "structlog", "argon2", "jwt", "httpx2",
    "prometheus_client", "rich.progress", "msgspec", "asyncio", "satchel.settings", "satchel.build",
}  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        ["media", "ls"],
        ["media", "info", UNKNOWN],
        ["media", "rm", UNKNOWN],
        ["media", "upload", "start.txt"],
        ["send", "document", "--to", "12025550177", "start.txt"],
        ["sandbox", "phone", "show", "12025550177"],
    ],
    ids=" ".join,
)
def test_a_client_command_loads_little(dev: Dev, command: list[str]) -> None:
    """What makes a start slow is what it imports, so that is counted, in a run to its end."""
    (dev.folder / "start.txt").write_text("x")
    code = "import sys; from satchel.cli import main\ntry:\n main(sys.argv[1:])\nexcept SystemExit:\n print('loaded', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=dev.folder, capture_output=True, text=True, env=environment(), check=True
    )
    loaded = set(done.stdout.rpartition("loaded ")[2].split())
    assert HEAVY & loaded == set()
    assert len(loaded) < 340


def test_check_tells_a_line_a_file_and_ends_with_6_where_one_would_be_refused(dev: Dev) -> None:
    folder = dev.folder / "check"
    folder.mkdir()
    (folder / "ok.jpg").write_bytes(jpeg())
    (folder / "note.txt").write_text("hello")
    before = satchel("media", "ls", "--quiet", cwd=dev.folder).stdout
    names = [f"check/{name}" for name in ("ok.jpg", "note.txt")]
    fine = satchel("media", "check", *names, cwd=dev.folder)
    assert (fine.returncode, fine.stderr) == (0, "")
    assert [line.split()[0] for line in fine.stdout.splitlines()] == ["ok.jpg", "note.txt"]
    assert all(line.endswith("  OK") for line in fine.stdout.splitlines())
    assert "image/jpeg 48×32  → kept as image" in fine.stdout
    refused = satchel("media", "check", *names, "--as", "image", cwd=dev.folder)
    assert refused.returncode == 6
    assert re.search(r"^note\.txt  text/plain  as image  5 bytes  REFUSED\n +.*\(code 1000\)$", refused.stdout, re.MULTILINE)
    assert satchel("media", "ls", "--quiet", cwd=dev.folder).stdout == before


def test_check_shows_changes_and_speaks_json(dev: Dev) -> None:
    picture = scene(mode="RGBA")
    picture.putpixel((1, 1), (0, 0, 0, 0))
    (dev.folder / "clear.png").write_bytes(png(picture))
    told = satchel("media", "check", "clear.png", cwd=dev.folder)
    assert told.returncode == 0
    first, second = told.stdout.splitlines()
    assert "image/png 48×32 alpha  → image/jpeg as image" in first
    assert first.endswith("  OK (changed)")
    assert second.strip().startswith("convert: transparent pixels")
    (report,) = json.loads(satchel("media", "check", "clear.png", "--json", cwd=dev.folder).stdout)["reports"]
    assert (report["file"], report["verdict"], report["detected"]["alpha"]) == ("clear.png", "changed", True)
    assert "meta" not in report


def test_check_goes_on_after_a_file_that_the_node_does_not_take_and_not_without_a_node(dev: Dev) -> None:
    (dev.folder / "nothing.txt").write_bytes(b"")
    (dev.folder / "some.txt").write_text("hello")
    partly = satchel("media", "check", "nothing.txt", "some.txt", "--json", cwd=dev.folder)
    assert (partly.returncode, [report["file"] for report in json.loads(partly.stdout)["reports"]]) == (6, ["some.txt"])
    assert json.loads(partly.stderr)["errors"][0]["details"].startswith("nothing.txt: The body is empty")
    nobody = satchel(
        "media", "check", "some.txt", "nothing.txt", "--url", f"http://127.0.0.1:{free_port()}", "--token", "x", cwd=dev.folder
    )
    assert (nobody.returncode, nobody.stderr.count("\n")) == (8, 1)
