"""`satchel sandbox`: the commands against a sandbox that runs."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from satchel.cli import say

from ..journeys.running import eventually, free_port
from .dev import environment, satchel

Run = Callable[..., Any]
SECRET = "a-secret-for-tests"
PHONE = "12025550111"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A sandbox whose node nobody runs: what must be told to it waits."""
    port = free_port()
    command = [sys.executable, "-m", "satchel_sandbox", "--port", str(port), "--memory", "--node", "http://127.0.0.1:9"]
    process = subprocess.Popen(command, env=environment(SATCHEL_SANDBOX_SECRET=SECRET), stderr=subprocess.DEVNULL)
    found = f"http://127.0.0.1:{port}"
    eventually(lambda: _up(found), 20, lambda: "the sandbox does not come up")
    yield found
    process.terminate()
    process.wait(10)


def _up(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/sandbox/readyz", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def run(url: str, tmp_path: Path) -> Run:
    """Run `satchel sandbox ...` on an empty world; with --json what it printed, read."""
    assert httpx2.post(f"{url}/sandbox/reset", trust_env=False, timeout=10).status_code == 200

    def run(*arguments: str, code: int = 0) -> Any:
        done = satchel("sandbox", *arguments, cwd=tmp_path, SATCHEL_SANDBOX_URL=url)
        assert done.returncode == code, done.stderr
        if code:
            return done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return run


def send(url: str, message: str, to: str = PHONE, **members: str) -> None:
    body = {"id": message, "to": to, "from": "12025550100", "type": "text", "text": "hello", **members}
    sent = httpx2.post(f"{url}/wire/messages", json=body, headers={"Authorization": f"Bearer {SECRET}"}, trust_env=False)
    assert sent.status_code == 200


def test_phones_are_added_listed_and_switched(run: Run, url: str) -> None:
    added = run("phone", "add", "12025550112", "--name", "Ji-woo", "--system", "iphone", "--timezone", "Asia/Seoul", "--json")
    assert (added["number"], added["name"], added["system"], added["timezone"]) == ("12025550112", "Ji-woo", "iphone", "Asia/Seoul")
    assert run("phone", "add", "--offline", "--no-read-receipts", "--no-auto-download").startswith("12025550111  android  UTC")
    assert run("phone", "ls", "--quiet").split() == ["12025550111", "12025550112"]
    send(url, "m")
    assert "0 messages, 1 waiting  offline  no auto-download  no read receipts" in run("phone", "ls")
    assert "  1 message" in run("phone", "online", PHONE)
    assert run("phone", "offline", PHONE, "--json")["phone"]["online"] is False
    assert "already" in run("phone", "add", PHONE, code=say.REFUSED)


def test_messages_are_read(run: Run, url: str) -> None:
    send(url, "m")
    assert "│ hello" in run("phone", "show", PHONE, "--wait", "10s")
    assert run("phone", "read", PHONE, "latest", "--json")["message"]["read"] is True
    assert "chat open" in run("phone", "open", PHONE)
    assert "chat open" not in run("phone", "leave", PHONE)
    assert "blocked" in run("phone", "block", PHONE)
    assert "blocked" not in run("phone", "unblock", PHONE)
    assert "only audio and video" in run("phone", "play", PHONE, code=say.REFUSED)
    assert "no message 'x'" in run("phone", "download", PHONE, "x", code=say.NOT_FOUND)
    run("phone", "forget", PHONE)


def test_a_conversation_is_drawn_for_either_system_or_told_as_blocks(run: Run, url: str) -> None:
    run("phone", "add", PHONE, "--system", "iphone", "--timezone", "Asia/Seoul")
    send(url, "one", text="안녕하세요")
    send(url, "two", **{"from": "12025550155"})
    drawn = run("phone", "show", PHONE, "--business", "12025550100")
    assert f"{PHONE} · iphone · Asia/Seoul · chat with 12025550100: closed\n" in drawn
    assert "─ 1 unread message ─" in drawn
    assert "│ 안녕하세요" in drawn
    assert "\x1b" not in drawn
    told = run("phone", "show", PHONE, "--as", "android", "--json")
    assert (told["view"], told["system"], [block["kind"] for block in told["blocks"]]) == (1, "android", ["date", "unread", "text"])
    assert "why: two was the first unread message" in " ".join(run("phone", "show", PHONE, "--why").split())
    run("phone", "open", PHONE)
    assert "chat with 12025550155: open" in run("phone", "show", PHONE)
    assert "no conversation with '12025550199'" in run("phone", "show", PHONE, "--business", "12025550199", code=say.NOT_FOUND)


def test_a_terminal_without_unicode_gets_question_marks(run: Run, url: str, tmp_path: Path) -> None:
    send(url, "m", text="안녕하세요")
    done = satchel("sandbox", "phone", "show", PHONE, cwd=tmp_path, SATCHEL_SANDBOX_URL=url, PYTHONIOENCODING="ascii")
    assert (done.returncode, "| ?????" in done.stdout) == (0, True), done


def test_clock_and_status(run: Run, url: str) -> None:
    send(url, "m", "12025550107")
    moved = run("clock", "advance", "15d", "--json")
    assert [(one["step"], one["message"]) for one in moved["ran"]] == [("delivered", "m")]
    assert "15 days ahead" in run("clock", "show")
    assert run("clock", "show", "--json")["offset"] == 15 * 86400
    assert "'soon' is not a duration: write 90s, 15m or 14d" in run("clock", "advance", "soon", code=say.REFUSED)
    assert "forward" in run("clock", "advance", "0s", code=say.REFUSED)
    assert "1 phone  1 message on them" in run("status")
    world = run("status", "--json")["world"]
    told = run("reset").strip()
    assert told.startswith("New world: w")
    assert world not in told
    assert run("reset", "--json")["world"] != world


def test_chaos(run: Run) -> None:
    assert run("chaos", "show").strip() == "off"
    run("chaos", "set", "upload", "--fail", "0.5", "--code", "507")
    both = run("chaos", "set", "dispatch", "--delay", "1s", "--seed", "7", "--json")
    assert both == {"upload": {"fail": 0.5, "code": 507}, "dispatch": {"delay": "1s"}}
    assert run("chaos", "show").splitlines() == ["upload  fail 0.5  code 507", "dispatch  delay 1s"]
    assert run("chaos", "off").strip() == "off"
    run("chaos", "set", "upload", "--fail", "2", code=say.USAGE)
    assert "is no time" in run("chaos", "set", "upload", "--delay", "soon", code=say.REFUSED)


def test_nobody_there(tmp_path: Path) -> None:
    done = satchel("sandbox", "status", "--url", f"http://127.0.0.1:{free_port()}", "--json", cwd=tmp_path)
    assert done.returncode == say.UNREACHABLE
    assert "satchel dev" in json.loads(done.stderr)["errors"][0]["details"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_phone_sends_is_shown_with_how_far_it_has_come(run: Run, tmp_path: Path) -> None:
    (tmp_path / "note.ogg").write_bytes(b"OggS")
    (tmp_path / "bill.pdf").write_bytes(b"%PDF")
    said = [
        run("phone", "send", PHONE, "note.ogg", "--json")["message"],
        run("phone", "send", PHONE, "document", "bill.pdf", "--caption", "The bill", "--json")["message"],
        run("phone", "send", PHONE, "text", "hello", "--json")["message"],
    ]
    assert [(one["type"], one.get("voice"), one["ticks"], one["mine"]) for one in said] == [
        ("audio", True, "sent", True),
        ("document", None, "sent", True),
        ("text", None, "sent", True),
    ]
    assert (said[1]["filename"], said[1]["caption"]) == ("bill.pdf", "The bill")
    shown = run("phone", "show", PHONE).splitlines()
    assert [any(what in line for line in shown) for what in ("voice note", "The bill", "hello")] == [True, True, True]
    assert sum("sent" in line for line in shown) == 3


def test_a_reaction_is_shown_and_taken_away(run: Run, url: str) -> None:
    send(url, "m1")
    assert "👍" in run("phone", "react", PHONE, "latest", "👍")
    assert "👍" in run("phone", "show", PHONE)
    assert "👍" not in run("phone", "react", PHONE, "m1", "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["poem", "x"], say.USAGE, "Give one file"),
        (["a", "b", "c"], say.USAGE, "Give one file"),
        (["image", "absent.jpg"], say.USAGE, "absent.jpg cannot be read"),
        (["text", "x", "--reply-to", "nobodys"], say.NOT_FOUND, "has no message"),
    ],
)
def test_what_cannot_be_sent_says_so(run: Run, arguments: list[str], code: int, told: str) -> None:
    assert told in run("phone", "send", PHONE, *arguments, code=code)
