"""The running node that most tests of commands talk to."""

from collections.abc import Iterator

import pytest

from .dev import Dev


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One `satchel dev` for all tests of a module."""
    dev = Dev(tmp_path_factory.mktemp("dev"))
    yield dev
    dev.stop()
