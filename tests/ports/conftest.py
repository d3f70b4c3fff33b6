"""A volume of every engine, in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from satchel.volume.folder import Folder

from .volumes import INSTANCE

ENGINES: dict[str, Callable[[Path], Folder]] = {"folder": lambda root: Folder(root, INSTANCE)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture(params=ENGINES)
def volume(request: pytest.FixtureRequest, root: Path) -> Folder:
    """A volume that was settled in."""
    made = ENGINES[request.param](root)
    made.settle_in("known", first=True)
    return made
