"""Fixtures that every room uses: the two database engines, a place for one node's data, the photo."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from satchel import build
from satchel.db import Database, schema
from satchel.settings import Settings, load

from . import engines

PHOTO = Path(__file__).parent / "media" / "harbour.jpg"


@dataclass(frozen=True)
class Place:
    """Where one node keeps everything. `environ`: what points a process at it."""

    data_dir: Path
    environ: dict[str, str]

    @property
    def kind(self) -> str:
        return self.environ["SATCHEL_DATABASE__KIND"]

    @property
    def settings(self) -> Settings:
        return load(self.data_dir, self.environ, toml=self.data_dir / "none.toml")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server. Where none can be had the tests that ask for it are skipped, or fail if SATCHEL_REQUIRE_POSTGRES is set."""
    if given := os.environ.get("SATCHEL_TEST_PG"):
        yield given
        return
    found = engines.binaries()
    if found is None:
        reason = "no PostgreSQL server programs: install postgresql, or name a server in SATCHEL_TEST_PG"
        if os.environ.get("SATCHEL_REQUIRE_POSTGRES"):
            pytest.fail(reason)
        pytest.skip(reason)
    cluster = engines.Cluster(found)
    yield cluster.url
    cluster.stop()


@contextmanager
def empty_place(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Place]:
    """Nobody's data yet, on the engine that the fixture's parameter names."""
    if request.param == "sqlite":
        yield Place(data_dir, {"SATCHEL_DATABASE__KIND": "sqlite"})
        return
    admin: str = request.getfixturevalue("postgres_url")
    url = engines.fresh_database(admin)
    yield Place(data_dir, {"SATCHEL_DATABASE__KIND": "postgres", "SATCHEL_DATABASE__URL": url})
    engines.drop_database(url, admin)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty node's data, once on each engine."""
    with empty_place(request, tmp_path) as place:
        yield place


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def shared_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The same for all tests of a module, which leave it as they found it."""
    with empty_place(request, tmp_path_factory.mktemp("shared")) as place:
        yield place


@pytest.fixture
async def db(place: Place) -> AsyncIterator[Database]:
    """A migrated database."""
    database = build.database(place.settings)
    await schema.migrate(database)
    yield database
    await database.close()


@pytest.fixture
def photo() -> Path:
    """A JPEG with EXIF, GPS, a thumbnail, a comment and a colour profile in it."""
    return PHOTO
