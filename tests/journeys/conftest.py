"""Fixtures of the journeys: a running node and a webhook."""

from collections.abc import Iterator

import pytest

from ..conftest import Place
from .running import Hook, Node, running


@pytest.fixture
def node(place: Place) -> Iterator[Node]:
    """Every part running, once on each engine."""
    with running(place) as node:
        yield node


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A receiver of callbacks."""
    hook = Hook()
    yield hook
    hook.close()
