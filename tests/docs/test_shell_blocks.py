"""The shell blocks of README and tutorial do what they say: executed in order, as a reader would, on ports of their own."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..cli.dev import Dev, environment
from ..journeys.running import eventually, free_port

ROOT = Path(__file__).parents[2]
STARTED_HERE = {"make run", "make test"}
"""The first is `satchel dev` (another test holds the Makefile to it); the second is how we came to be here."""


def blocks(page: str) -> list[str]:
    found = re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block.strip() for block in found if block.strip() not in STARTED_HERE]


class Reader:
    """Somebody who pastes blocks into one shell, in a folder that looks like a clone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "tests/media").mkdir(parents=True)
        shutil.copy(ROOT / "tests/media/harbour.jpg", folder / "tests/media")
        shutil.copy(ROOT / "README.md", folder)
        (folder / ".venv/bin").mkdir(parents=True)
        starter = folder / ".venv/bin/satchel"
        starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m satchel "$@"\n')
        starter.chmod(0o755)
        self.dev = Dev(folder)
        self.hook_port = free_port()
        self._background: list[subprocess.Popen[bytes]] = []
        self.printed = ""

    def paste(self, page: str) -> None:
        """Run the page's blocks; one that serves goes to a terminal of its own."""
        script = "set -euo pipefail\n"
        for block in blocks(page):
            adapted = self._adapted(block)
            if "webhook serve" in block:
                with (self._folder / "hook.log").open("wb") as log:
                    shell = f"exec {adapted}"
                    self._background.append(
                        subprocess.Popen(["sh", "-c", shell], cwd=self._folder, env=environment(), stdout=log, stderr=log)
                    )
                eventually(lambda: "Waiting" in self.hook_log(), 10, self.hook_log)
            else:
                script += adapted + "\n"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self._folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.printed = done.stdout

    def hook_log(self) -> str:
        return (self._folder / "hook.log").read_text()

    def close(self) -> None:
        for process in self._background:
            process.terminate()
            process.wait(10)
        self.dev.stop()

    def _adapted(self, block: str) -> str:
        password = re.search(r"admin / (\S+)", self.dev.output())
        assert password is not None
        ports = {"9090": self.dev.port, "9091": self.dev.sandbox_port, "9099": self.hook_port}
        block = block.replace("the password that make run printed", password[1])
        return re.sub(r"\b(9090|9091|9099)\b", lambda found: str(ports[found[1]]), block)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.close()


def test_the_readme_brings_a_photo_to_a_phone_and_callbacks_to_a_receiver(reader: Reader, tmp_path: Path) -> None:
    reader.paste("README.md")
    listed = next(
        json.loads(line)["messages"] for line in re.findall(r'\{"messages":\[\{"id".*?\]\}(?=\n|\{|$)', reader.printed) if "caption" in line
    )
    (message,) = listed
    assert (message["caption"], message["media"]["state"]) == ("The harbour", "downloaded")
    assert hashlib.sha256((tmp_path / "received.jpg").read_bytes()).hexdigest() == message["media"]["sha256"]
    eventually(lambda: "delivered" in reader.hook_log(), 10, reader.hook_log)
    assert re.findall(r'"status":"(\w+)"', reader.hook_log()) == ["sent", "delivered"]


def test_the_tutorial_sends_reads_answers_and_is_refused(reader: Reader, tmp_path: Path) -> None:
    reader.paste("docs/tutorial/first-photo.md")
    assert (tmp_path / "received.jpg").stat().st_size > 100_000
    assert '"media_key"' in reader.printed
    assert "exit code 6" in reader.printed
    of_today = re.compile(r"November \d+|\d\d:\d\d|^gBEG")
    quoted = drawn("docs/tutorial/first-photo.md")
    assert len(quoted) == 14
    assert [line for line in quoted if not of_today.search(line) and line not in reader.printed] == []
    eventually(lambda: "Sent as image, found text/plain" in reader.dev.output(), 10, reader.dev.output)


def drawn(page: str) -> list[str]:
    """The lines of what a page shows of a phone, without their margins."""
    return [line.strip() for line in re.findall(r"(?m)^    (.+)$", (ROOT / page).read_text(encoding="utf-8"))]


def test_p02_the_reference_uploads_with_curl_and_gets_the_same_bytes_back(reader: Reader, tmp_path: Path) -> None:
    reader.paste("docs/reference/http.md")
    assert (tmp_path / "fetched.jpg").read_bytes() == (ROOT / "tests/media/harbour.jpg").read_bytes()


def test_the_sandbox_is_driven_as_its_page_says(reader: Reader) -> None:
    reader.paste("docs/how-to/test-with-the-sandbox.md")
    listed = re.findall(r" image/jpeg .*  (downloaded|not_downloaded|unavailable)\b", reader.printed)
    theirs = ["downloaded", "not_downloaded", "downloaded"]
    mine = ["downloaded", "downloaded"]
    assert listed == [*theirs, *mine, "not_downloaded", "downloaded", "downloaded"]
    assert "👍" in reader.printed
    assert "12025550121  iphone  Asia/Seoul  1 message  no auto-download  chat open" in reader.printed
    assert "[TXT] Your bill for October, with everything in it" in reader.printed
    assert "[TXT] Your bill for October, with e… " in reader.printed
    assert '"label_cut":true' in reader.printed
    assert "0 phones  0 messages" in reader.printed


def test_p23_p24_p25_albums_form_and_do_not_form_as_their_page_says(reader: Reader) -> None:
    reader.paste("docs/explanation/albums.md")
    first, second, open_, again = re.split(r"(?m)^(?=120255501\d\d · android)", reader.printed)[1:]
    quoted = re.findall(r"(?m)^    (?!sh)(.+)$", (ROOT / "docs/explanation/albums.md").read_text(encoding="utf-8"))
    of_a_day = re.compile(r"(November \d+|\d\d:\d\d)")
    assert [line for line in quoted if not of_a_day.search(line) and line not in first] == []
    assert ("album of" in second, second.count("▦ image")) == (False, 4)
    assert "why: run of 2: an album needs 4" in second
    assert "which has a caption" in " ".join(second.split())
    assert ("chat with 12025550100: open" in open_, open_.count("▦ image"), "album of" in open_) == (True, 4, False)
    assert ("album of 4 images" in again, "unread" in again) == (True, False)


def test_p14_p15_the_14_days_pass_as_their_page_says(reader: Reader) -> None:
    reader.paste("docs/explanation/fourteen-days.md")
    listed = [line.split()[-2] for line in reader.printed.splitlines() if " image/jpeg " in line]
    assert listed == ["downloaded", "not_downloaded", "downloaded", "not_downloaded", "unavailable", "unavailable"]
    assert reader.printed.count("exit code 6") == 2
    assert reader.printed.count("media_requested") == 4  # one in the first show, three in the second
