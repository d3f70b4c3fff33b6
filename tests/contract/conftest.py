"""The back ends: an application in this process on each engine, and `satchel serve` over a socket."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from satchel import build
from satchel.flows import access

from ..conftest import Place
from ..journeys.running import PASSWORD, Node, eventually
from .inprocess import InProcess
from .live import Live
from .run import BackEnd

Opener = Callable[[dict[str, str]], AbstractAsyncContextManager[BackEnd]]
"""Opens a back end with these settings besides its own."""


def _with(place: Place, settings: dict[str, str]) -> Place:
    return Place(place.data_dir, {**place.environ, **settings})


@asynccontextmanager
async def in_process(place: Place) -> AsyncIterator[InProcess]:
    async with build.opened(place.settings, "web") as node:
        await access.set_admin_password(node.ports.db, PASSWORD)
        token = await access.mint_admin_token(node.ports.db)
        yield InProcess(build.webapp(place.settings, node.ports), token, place.settings.volume_path)


@asynccontextmanager
async def live(place: Place) -> AsyncIterator[Live]:
    """Webapp alone: what these cases look at needs neither Coreapp nor network."""
    node = Node(place)
    try:
        node.start("web")
        eventually(lambda: node.answers("/_satchel/livez"), 30, lambda: node.log.read_text()[-3000:])
        answer = node.http.post(f"{node.url}/v1/users/login", auth=("admin", PASSWORD))
        yield Live(node.port, answer.json()["users"][0]["token"], place.settings.volume_path)
    finally:
        node.stop_all()


@pytest.fixture(scope="module")
async def web(shared_place: Place) -> AsyncIterator[InProcess]:
    """One Webapp for all cases without settings of their own."""
    async with in_process(shared_place) as back_end:
        yield back_end


@pytest.fixture
def open_in_process(web: InProcess, shared_place: Place) -> Opener:
    @asynccontextmanager
    async def opened(settings: dict[str, str]) -> AsyncIterator[BackEnd]:
        if not settings:
            yield web
            return
        async with in_process(_with(shared_place, settings)) as back_end:
            yield back_end

    return opened


@pytest.fixture(scope="package")
async def open_live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opener]:
    """As a process, on SQLite: one for all cases of the same settings."""
    place = Place(tmp_path_factory.mktemp("served"), {"SATCHEL_DATABASE__KIND": "sqlite"})
    running: dict[tuple[tuple[str, str], ...], Live] = {}
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def opened(settings: dict[str, str]) -> AsyncIterator[BackEnd]:
            key = tuple(sorted(settings.items()))
            if key not in running:
                running[key] = await stack.enter_async_context(live(_with(place, settings)))
            yield running[key]

        yield opened
