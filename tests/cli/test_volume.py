"""`satchel volume gc` and `fsck`, beside no node: what they say, ask and end with."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from satchel import build
from satchel.flows import media_node
from satchel.settings import load

from ..flows.test_send import body_of
from ..journeys.running import eventually
from ..journeys.small import bound

OLD = "UPDATE media SET last_used_net = last_used_net - 86400.0 * 31"


def satchel(place: Path, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "satchel", "volume", *arguments, "--data-dir", str(place)]
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A node with two old media of three bytes each and a young one."""

    async def fill() -> None:
        async with build.opened(load(tmp_path, {}, toml=tmp_path / "none.toml"), "web") as node:
            for number, data in enumerate((b"one", b"two", b"new")):
                if number == 2:
                    await node.ports.db.write(lambda tx: tx.run(OLD))
                await media_node.upload(node.ports, body_of(data), media_node.Upload("text/plain", "admin"))

    asyncio.run(fill())
    return tmp_path


def files(place: Path) -> int:
    return len(list((place / "media" / "shared").iterdir()))


def test_p16_a_dry_run_shows_the_classes_and_deletes_nothing(place: Path) -> None:
    done = satchel(place, "gc", "--dry-run")
    assert (done.returncode, files(place)) == (0, 3), done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Media (up, in, link) unused for 30d")
    assert [line.split()[0:2] for line in lines[1:3]] == [["[x]", "A"], ["[x]", "B"]]
    assert lines[4].split() == ["[x]", "D", "never", "sent", "2", "6", "bytes", "31", "d", "0", "none"]
    assert "A, B, D chosen: frees 6 bytes, 2 media" in lines


def test_nothing_is_asked_and_nothing_deleted_where_there_is_no_terminal(place: Path) -> None:
    done = satchel(place, "gc")
    assert (done.returncode, files(place)) == (2, 3)
    assert "Add --yes" in done.stderr
    done = satchel(place, "gc", "--yes", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, files(place), said["deleted"]) == (0, 1, {"files": 2, "bytes": 6})
    assert said["classes"]["D"]["files"] == 2


@pytest.mark.parametrize(("answer", "left"), [("y", 1), ("n", 3)])
def test_a_terminal_is_asked(place: Path, answer: str, left: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = satchel(place, "gc", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, files(place)) == (0, left), done.stderr
    assert "Delete them?" in done.stderr


def test_ctrl_c_ends_the_question_at_once(place: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "satchel", "volume", "gc", "--data-dir", str(place)]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        said = b""
        while b"Delete them?" not in said:
            said += os.read(process.stderr.fileno(), 1000) or pytest.fail(said.decode())
        state = Path(f"/proc/{process.pid}/stat")
        eventually(lambda: state.read_text().split()[2] == "S", 10, state.read_text)  # it waits for the answer
        process.send_signal(signal.SIGINT)
        assert (process.wait(20), files(place)) == (130, 3)
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


def test_only_the_classes_that_were_named_go_and_wrong_words_are_usage(place: Path) -> None:
    assert satchel(place, "gc", "--yes", "--classes", "a,c").returncode == 0
    assert files(place) == 3
    for wrong in (["--classes", "F"], ["--older-than", "1h"], ["--older-than", "soon"], ["--max-total", "much"], ["--kinds", "gif"]):
        done = satchel(place, "gc", "--yes", *wrong)
        assert (done.returncode, files(place)) == (2, 3), done.stderr
        assert wrong[1] in done.stderr or f"{wrong[0]} must be" in done.stderr
    assert satchel(place, "gc", "--yes", "--older-than", "32d").returncode == 0
    assert files(place) == 3


def test_a_list_names_each_media(place: Path) -> None:
    done = satchel(place, "gc", "--dry-run", "--list", "--json")
    *listed, plan = map(json.loads, done.stdout.splitlines())
    assert [one["class"] for one in listed] == ["D", "D"]
    assert plan["classes"]["D"]["bytes"] == sum(one["size"] for one in listed)


def test_p18_fsck_tells_what_is_missing_and_ends_with_10(place: Path) -> None:
    assert satchel(place, "fsck").stdout.splitlines()[-1] == "All is in order."
    removed = next((place / "media" / "shared").iterdir())
    removed.unlink()
    done = satchel(place, "fsck", "--repair")
    assert done.returncode == 10
    assert "1  media without a file: 1 of them first missed less than 10 minutes ago" in done.stdout
    assert removed.name in done.stdout
    said = json.loads(satchel(place, "fsck", "--json").stdout)
    assert (said["missing"], said["young"], said["problems"], said["rows"], said["files"]) == (1, 1, 1, 3, 2)


def test_strays_are_removed_only_by_their_own_word(place: Path) -> None:
    stray = place / "media" / "shared" / "stray"
    stray.write_bytes(b"x")
    os.utime(stray, (0, 0))
    assert satchel(place, "fsck", "--repair").returncode == 10
    assert satchel(place, "fsck", "--remove-strays").returncode == 2
    assert satchel(place, "fsck", "--repair", "--remove-strays").returncode == 2  # nobody to ask
    assert stray.exists()
    assert satchel(place, "fsck", "--repair", "--remove-strays", "--yes").returncode == 0
    assert not stray.exists()


def test_names_of_files_are_shown_and_never_sent_to_the_terminal(place: Path) -> None:
    for name in (b"odd\x1b[31m\nAll is in order.", "é\u202e".encode(), b"\xff"):
        stray = place / "media" / "shared" / os.fsdecode(name)
        stray.write_bytes(b"x")
        os.utime(stray, (0, 0))
    done = satchel(place, "fsck")
    assert done.returncode == 10, done.stderr
    assert sorted(done.stdout.splitlines()[-3:]) == [f"{'':15}{name}" for name in (r"\udcff", r"odd\x1b[31m\nAll is in order.", r"é\u202e")]
    said = satchel(place, "fsck", "--json", encoding="utf-8")
    assert (said.returncode, said.stderr, json.loads(said.stdout)["strays"]) == (10, "", 3)


def test_an_unmounted_volume_is_told_as_storage(place: Path) -> None:
    (place / "media" / ".satchel-volume").unlink()
    for command in (["fsck", "--repair"], ["gc", "--yes"]):
        done = satchel(place, *command)
        assert (done.returncode, files(place)) == (7, 3)
        assert "mount it" in done.stderr


def test_a_read_only_volume_is_told_as_storage(place: Path) -> None:
    """Whatever of a repair comes upon it first."""
    for folder in ("renditions", "shared"):
        stray = place / "media" / folder / "stray"
        stray.write_bytes(b"x")
        os.utime(stray, (0, 0))
    with bound(place / "media", place / "mounted") as mount:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(mount.target)], check=True)
        for more in ([], ["--remove-strays", "--yes"]):
            done = satchel(place, "fsck", "--repair", *more, env={**os.environ, "SATCHEL_VOLUME__PATH": str(mount.target)})
            assert (done.returncode, "Read-only" in done.stderr) == (7, True), done
