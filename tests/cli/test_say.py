"""Sentences that tell to run a command name it as it can be run from here."""

import sys
from pathlib import Path

import pytest

from satchel.cli import sandbox_phones, say
from satchel.cli.target import in_commands

from .dev import satchel


@pytest.mark.parametrize(
    ("called", "path", "command"),
    [
        (".venv/bin/satchel", "/nowhere", ".venv/bin/satchel"),
        ("/opt/my tools/satchel", "/nowhere", "'/opt/my tools/satchel'"),
        ("/x/satchel/__main__.py", "/nowhere", f"{sys.executable} -m satchel"),
    ],
)
def test_a_command_is_called_as_it_was(monkeypatch: pytest.MonkeyPatch, called: str, path: str, command: str) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setenv("PATH", path)
    assert say.command() == command
    assert say.runnable("The schema is old: run satchel migrate.") == f"The schema is old: run {command} migrate."


def test_on_the_path_its_name_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "satchel").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))
    assert say.runnable("run satchel migrate") == "run satchel migrate"


@pytest.mark.parametrize(
    "said", ["/var/lib/satchel user is no folder", "Another satchel dev runs on x", "of the running satchel dev", "satchel nods"]
)
def test_what_is_no_hint_stays(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert say.runnable(said) == said


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("sned", "text"), "Did you mean send?"),
        (("send", "imag"), "Did you mean image?"),
        (("dev", "--port", "banana"), "'banana' is no whole number"),
        (("sandbox", "clock", "advance", "15"), "15 of what? Write 15s, 15m, 15h or 15d."),
        (("sandbox", "phone", "show", "12025550111", "--wait", "5"), "5 of what?"),
    ],
)
def test_a_slip_of_the_pen_is_told_in_words(typed: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = satchel(*typed, cwd=tmp_path)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_what_a_node_says_of_http_is_told_as_a_command() -> None:
    said = "There is no message 'x': GET the list for those there are. (HTTP 404, code 1006)"
    assert in_commands(said) == "There is no message 'x': satchel message ls lists those there are. (HTTP 404, code 1006)"
    assert in_commands("The phone 1 has no message 'x': list its messages to see what arrived.").endswith(
        "satchel sandbox phone show says what arrived."
    )
    assert in_commands("There is no media provider x: GET the list for those there are.").endswith("GET the list for those there are.")


def test_one_is_no_plural_and_sent_is_said_once() -> None:
    phone = {
        "number": "1",
        "name": "1",
        "system": "android",
        "timezone": "UTC",
        "messages": 1,
        "waiting": 0,
        "online": True,
        "blocked": False,
    }
    assert sandbox_phones.line({**phone, "auto_download": True, "read_receipts": True, "chat": None}).endswith("  1 message")
    sent = {"at": "now", "type": "text", "text": "hello", "mine": True, "id": "m"}
    assert [sandbox_phones.message_line({**sent, "ticks": ticks}) for ticks in ("sent", "read")] == [
        "now  text  hello  sent  m",
        "now  text  hello  sent, read  m",
    ]
