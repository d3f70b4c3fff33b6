"""The pytest plugin: options, fixtures, and what a failed test leaves behind. Imports only pytest until a fixture is used."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from satchel.testing.aio import AsyncWorld
    from satchel.testing.server import Pool, Server
    from satchel.testing.world import World

SECTION = "what the phones and the node saw"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("satchel", "a media node and simulated phones")
    group.addoption("--satchel-url", metavar="URL", help="use this running satchel dev, and start none; SATCHEL_TOKEN is a token of it")
    group.addoption("--satchel-artifacts", metavar="DIR", help="where a failed test leaves timeline.json and blocks.json")


def pytest_configure(config: pytest.Config) -> None:
    given = os.environ.get("SATCHEL_TOKEN") or os.environ.get("SATCHEL_ADMIN_PASSWORD")
    if config.getoption("--satchel-url") and not given:
        raise pytest.UsageError("--satchel-url needs SATCHEL_TOKEN; this makes one: satchel token new --user admin")


@pytest.fixture(scope="session")
def satchel_settings() -> dict[str, Any]:
    """Settings of the node by name, as `{"egress.allow": "127.0.0.0/8"}`; under `application` those of /v1/settings/application.

    Override it in a conftest.py or in a test module, with scope="session".
    """
    return {}


@pytest.fixture(scope="session")
def _satchel_pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Pool"]:
    from satchel.testing.server import Pool, found

    url = request.config.getoption("--satchel-url")
    if url and int(getattr(request.config, "workerinput", {}).get("workercount", 1)) > 1:
        raise pytest.UsageError("--satchel-url names one node, where every test begins a new world: run without -n, or without it.")
    pool = Pool(lambda: tmp_path_factory.mktemp("satchel"), found(url) if url else None)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def satchel_server(_satchel_pool: "Pool", satchel_settings: dict[str, Any]) -> "Server":
    """A node with its simulated network, for the whole session; one for each worker of pytest-xdist."""
    return _satchel_pool.server(satchel_settings)


@pytest.fixture
def whatsapp(_satchel_pool: "Pool", satchel_settings: dict[str, Any]) -> Iterator["World"]:
    """A fresh world: no phones, no messages, the clock at the present, settings and webhook as they were."""
    from satchel.testing.world import World

    world = World(_satchel_pool.server(satchel_settings), dict(satchel_settings.get("application", {})))
    yield world
    world.close()


@pytest.fixture
def whatsapp_async(whatsapp: "World") -> Iterator["AsyncWorld"]:
    """The same world for tests that are coroutines, with any of pytest's asyncio plugins."""
    from satchel.testing.aio import AsyncWorld

    world = AsyncWorld(whatsapp)
    yield world
    world.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    world = getattr(item, "funcargs", {}).get("whatsapp")
    if report.when == "call" and report.failed and world is not None:
        _tell(item, report, world, call.excinfo)
    return report


def _tell(item: pytest.Item, report: pytest.TestReport, world: "World", failure: pytest.ExceptionInfo[BaseException] | None) -> None:
    """Whatever cannot be told must not hide why the test failed."""
    from satchel.client import SatchelError
    from satchel.testing.report import WaitedInVain, artifacts, whole

    if ended := world.server.ended():
        report.sections.append(("the node", ended))
    try:
        if failure is None or not isinstance(failure.value, WaitedInVain):  # that one has told it all
            report.sections.append((SECTION, whole(world)))
        if folder := item.config.getoption("--satchel-artifacts"):
            made = artifacts(world, Path(folder), item.nodeid)
            report.sections.append(("artifacts", "\n".join(map(str, made))))
    except SatchelError as error:
        report.sections.append((SECTION, f"They cannot be asked any more: {error}"))
