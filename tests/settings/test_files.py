"""The files that are looked for, and which of them counts."""

from pathlib import Path

import pytest

from satchel import settings
from satchel.settings import files, load


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The working folder's file, the user's and the machine's, none of them there yet."""
    (tmp_path / "here").mkdir()
    (tmp_path / "users" / "satchel").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(settings, "MACHINE_FILE", tmp_path / "machine.toml")
    return {"here": Path("satchel.toml"), "users": tmp_path / "users/satchel/satchel.toml", "machine": tmp_path / "machine.toml"}


def test_the_nearest_file_counts_key_by_key(places: dict[str, Path], tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "users")}
    assert files(environ) == list(places.values())
    places["machine"].write_text("[coreapp]\nlease_ttl = 3\n[postprocess]\nchildren = 3\n[upstream]\nnumber = '3'\n")
    places["users"].write_text("[coreapp]\nlease_ttl = 2\n[postprocess]\nchildren = 2\n")
    places["here"].write_text("[coreapp]\nlease_ttl = 1\n")
    found = load(tmp_path, environ)
    assert (found.coreapp.lease_ttl, found.postprocess.children, found.upstream.number) == (1.0, 2, "3")
    wanted = {"coreapp.lease_ttl": "here", "postprocess.children": "users", "upstream.number": "machine"}
    assert found.origins == {name: str(places[place]) for name, place in wanted.items()}


def test_a_flag_counts_before_everything(places: dict[str, Path], tmp_path: Path) -> None:
    places["here"].write_text("[coreapp]\nlease_ttl = 1\n")
    found = load(tmp_path, {"SATCHEL_COREAPP__LEASE_TTL": "2"}, flags={"coreapp.lease_ttl": (5, "--ttl")})
    assert (found.coreapp.lease_ttl, found.origins) == (5.0, {"coreapp.lease_ttl": "--ttl"})


def test_without_xdg_the_users_file_is_under_home(places: dict[str, Path]) -> None:
    assert files({"HOME": "/home/somebody"})[1] == Path("/home/somebody/.config/satchel/satchel.toml")
    assert len(files({})) == 2
