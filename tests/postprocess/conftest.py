"""The one fixture of these tests: a pool of children."""

import asyncio
from collections.abc import Iterator

import pytest

from satchel.postprocess import Config
from satchel.postprocess.children import Children


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    """One pool for all tests that do not harm it."""
    pool = Children(Config(children=2))
    yield pool
    asyncio.run(pool.close())
