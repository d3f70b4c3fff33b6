"""Sentences that tell to run a command name it as it can be run from here."""

import sys

import pytest

from satchel.cli import say


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
