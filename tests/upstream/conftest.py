"""A simulated network for each suite, and an adapter before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ..sandbox import running as network
from ..sandbox.node import listening
from ..sandbox.running import running
from .desk import Desk, opened


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's own folder."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="module")
async def shared_network(vault: Path) -> AsyncIterator[network.Sandbox]:
    async with listening() as node, running(node.url, vault) as sandbox:
        yield sandbox


@pytest.fixture
async def desk(shared_network: network.Sandbox, tmp_path: Path, vault: Path) -> AsyncIterator[Desk]:
    """An adapter before a network that has just forgotten everything."""
    status, _ = await shared_network.call("POST", "/sandbox/reset")
    assert status == 200
    async with opened(shared_network, tmp_path, vault) as desk:
        yield desk
