"""The docs are true: links lead somewhere, and settings, errors, commands and rooms are the code's."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from satchel import settings
from satchel.domain import quantities
from satchel.domain.application import DEFAULTS
from satchel.domain.errors import SITUATIONS
from satchel.observe.figures import catalogue
from satchel.webapp.app import routes

from . import write_commands

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

READ = [page for page in PAGES if page.parent.parent == ROOT / "docs" and "adr" not in page.parts]


def rows(page: str) -> list[list[str]]:
    """The cells of every table row of a page."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(there), f"{page.name} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        if "//" not in target
    }
    unlinked = [page for page in PAGES if page.resolve() not in linked and "adr" not in page.parts and page.name != "README.md"]
    assert unlinked == []


@pytest.mark.parametrize("page", READ, ids=lambda page: page.stem)
def test_every_page_says_first_who_it_is_for(page: Path) -> None:
    title, _, text = page.read_text(encoding="utf-8").partition("\n\n")
    assert title.startswith("# ") and text.startswith("For "), page.name


def test_settings_are_those_of_the_code() -> None:
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows("docs/reference/settings.md") if row[0].startswith("`")}
    assert documented == {name: settings.variable(name) for name in settings.names()}


def test_defaults_of_settings_are_those_of_the_code() -> None:
    loaded = settings.load(Path("data"), {}, toml=Path("none.toml"))
    for name, _, default, _ in (row for row in rows("docs/reference/settings.md") if row[0].startswith("`")):
        section, _, field = name.strip("`").partition(".")
        value = getattr(getattr(loaded, section), field)
        unit = next(item.metadata.get("unit") for item in fields(getattr(loaded, section)) if item.name == field)
        shown = quantities.SHOWN[unit](value) if unit else value
        assert value in (None, "", ()) or default == f"`{shown}`", name


def test_errors_are_those_of_the_code() -> None:
    documented = {
        row[0].strip("`"): (int(row[1]), row[2], int(row[3])) for row in rows("docs/reference/errors.md") if row[0].startswith("`")
    }
    assert documented == {item.slug: (item.code, item.title, item.status) for item in SITUATIONS.values()}


def test_commands_are_those_of_the_code() -> None:
    assert write_commands.PAGE.read_text(encoding="utf-8") == write_commands.page(write_commands.introduction()), (
        "run python -m tests.docs.write_commands"
    )
    for name, command in write_commands.commands():
        assert command.epilog and command.epilog.startswith(f"Example: {name}"), name


def test_every_route_is_documented() -> None:
    text = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    for route in routes(None):  # type: ignore[arg-type]
        for method in (route.methods or set()) - {"HEAD"}:
            assert f"`{method} {route.path.replace(':path', '')}`" in text


def test_application_settings_are_documented() -> None:
    documented = {row[0].strip("`"): row[1] for row in rows("docs/reference/http.md") if row[0].startswith("`") and " " not in row[0]}
    flat = {key: value for key, value in DEFAULTS.items() if not isinstance(value, dict)}
    flat |= {f"webhooks.{key}": DEFAULTS["webhooks"][key] for key in ("alerts", "max_concurrent_requests")}
    flat |= {"media.auto_download": "all"}
    flat |= {f"garbagecollector_enable.{key}": value for key, value in DEFAULTS["garbagecollector_enable"].items()}
    flat |= {f"webhooks.message.{key}": value for key, value in DEFAULTS["webhooks"]["message"].items()}
    assert documented == {"webhooks.url": "unset", "webhooks.secret": "unset", **{key: str(value).lower() for key, value in flat.items()}}


def test_rooms_are_those_of_the_tree() -> None:
    documented = {row[0].strip("`") for row in rows("docs/explanation/architecture.md") if row[0].startswith("`")}
    found = {path.stem for path in (ROOT / "src/satchel").iterdir() if not path.name.startswith(("__", "py.typed"))}
    assert documented == found


def test_make_run_starts_dev_and_both_commands_are_in_the_readme() -> None:
    makefile, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "README.md"))
    assert re.search(r"^run: setup .*\n\t@exec \$\(BIN\)/satchel dev \$\(ARGS\)$", makefile, re.MULTILINE)
    assert "```sh\nmake run\n```" in readme
    assert "```sh\nmake test\n```" in readme


def test_metrics_are_those_of_the_code() -> None:
    documented = {row[0].strip("`"): row[1] for row in rows("docs/reference/metrics.md") if row[0].startswith("`")}
    assert documented == {name: type_ for name, (type_, _) in catalogue().items()}
