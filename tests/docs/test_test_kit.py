"""The pages of the test kit and of the client name what there is, and the tutorial's code runs."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from satchel.client import errors
from satchel.client.node import ApplicationSettings, Contacts, MediaNode, Messages, Satchel, Sending, Webhooks
from satchel.testing import plugin
from satchel.testing.chat import Chat
from satchel.testing.phones import OnPhone, Phone
from satchel.testing.world import World

from ..testing import nested
from .test_docs import ROOT, rows

KIT, CLIENT, TUTORIAL = "docs/reference/test-kit.md", "docs/reference/client.md", "docs/tutorial/test-your-integration.md"
FIXTURES = {"satchel_server", "satchel_settings", "whatsapp", "whatsapp_async"}
PARTS = {
    "media": MediaNode,
    "send": Sending,
    "messages": Messages,
    "webhooks": Webhooks,
    "contacts": Contacts,
    "settings": ApplicationSettings,
}


def table(page: str, heading: str) -> list[str]:
    """The first column below a heading."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def members(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_fixtures_and_options_are_those_of_the_plugin() -> None:
    assert set(table(KIT, "Fixtures")) == FIXTURES <= set(vars(plugin))
    assert table(KIT, "Options") == re.findall(r'addoption\("(--[a-z-]+)"', Path(plugin.__file__).read_text(encoding="utf-8"))


def test_members_are_those_of_the_code() -> None:
    assert set(table(KIT, "World")) == members(World) | {"server", "started"}
    assert set(table(KIT, "Phone")) == members(Phone) | {"number"}
    assert set(table(KIT, "OnPhone")) == members(OnPhone) | {"id", "type", "sender", "text", "caption", "filename"}
    assert set(table(KIT, "Chat")) == members(Chat)


def test_calls_of_the_client_are_those_of_the_code() -> None:
    documented = {(row[0].strip("`"), row[1].strip("`")) for row in rows(CLIENT) if len(row) == 3 and row[0].strip("`") in PARTS}
    assert documented == {(part, call) for part, kind in PARTS.items() for call in members(kind)}
    assert members(Satchel) == {"token", "close"}


def test_errors_of_the_client_are_those_of_the_code() -> None:
    documented = {row[0].strip("`"): int(row[1]) for row in rows(CLIENT) if len(row) == 3 and row[1].isdigit()}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SatchelError)]
    assert documented == {kind.__name__: kind.exit_code for kind in kinds}


def test_the_plugin_and_its_extra_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"satchel": plugin.__name__}
    assert [requirement.partition(">")[0] for requirement in project["optional-dependencies"]["test"]] == ["pytest"]


def test_the_wheel_is_built_by_the_line_of_the_tutorial_and_brings_the_plugin(tmp_path: Path) -> None:
    text = (ROOT / TUTORIAL).read_text(encoding="utf-8")
    (line,) = re.findall(r"^    pip (wheel .*) \.\./satchel$", text, re.MULTILINE)
    offline = [sys.executable, "-m", "pip", *line.split(), "--no-build-isolation", "--disable-pip-version-check", "-q", str(ROOT)]
    subprocess.run(offline, cwd=tmp_path, check=True, timeout=60)
    (installed,) = set(re.findall(r"pip install .*?(\S+\.whl) pytest", text))
    (wheel,) = tmp_path.glob(installed)
    with zipfile.ZipFile(wheel) as inside:
        (points,) = (name for name in inside.namelist() if name.endswith("entry_points.txt"))
        assert f"[pytest11]\nsatchel = {plugin.__name__}" in inside.read(points).decode()


def test_no_page_installs_from_an_index_what_is_on_none() -> None:
    pages = [*ROOT.glob("*.md"), *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "adr")]
    assert [page.name for page in pages if re.search(r"pip install [^\n]*satchel-media", page.read_text(encoding="utf-8"))] == []


def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / TUTORIAL).read_text(encoding="utf-8")
    for name, block in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(f"{block}\n\n")
    run = nested.there(tmp_path, "test_billing.py", "-n", "2")
    assert (run.code, run.counts) == (0, {"passed": 3}), run.output


def test_what_the_tutorial_shows_of_a_failure_is_what_is_printed(tmp_path: Path) -> None:
    text = (ROOT / TUTORIAL).read_text(encoding="utf-8")
    for name, block in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[:2]:
        (tmp_path / name).write_text(block.replace('wait_for("document"', 'wait_for("image"'), encoding="utf-8")
    run = nested.there(tmp_path, "test_billing.py")
    shown = re.findall(r"^    (WaitedInVain:.*?)^\n", text, re.MULTILINE | re.DOTALL)[0].removeprefix("WaitedInVain: ")
    assert [line for line in lines(shown) if line not in "\n".join(lines(run.output))] == []


def lines(printed: str) -> list[str]:
    """Without what is another one each time, and without how pytest sets them in."""
    same = re.sub(r"gBEG[\w-]+|\d{4}-\d\d-\d\d|in \d+ ms", "~", printed)
    return [line.removeprefix("E").strip() for line in same.splitlines() if line.strip()]
