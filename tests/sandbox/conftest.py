"""Fixtures: a node that listens, and a sandbox that talks to it. A module's tests share both; a reset lies between two tests."""

import socket
from collections.abc import AsyncIterator

import pytest

from .node import Node, listening
from .running import Sandbox, running


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def modules_node(anyio_backend: str) -> AsyncIterator[Node]:
    async with listening() as node:
        yield node


@pytest.fixture(scope="module")
async def modules_sandbox(modules_node: Node) -> AsyncIterator[Sandbox]:
    async with running(modules_node.url) as sandbox:
        yield sandbox


@pytest.fixture
def node(modules_node: Node) -> Node:
    modules_node.forget()
    return modules_node


@pytest.fixture
async def sandbox(node: Node, modules_sandbox: Sandbox) -> Sandbox:
    """An empty sandbox in memory; its node knows the world, from one state, and nothing else."""
    status, _ = await modules_sandbox.call("POST", "/sandbox/reset")
    assert status == 200
    node.posts = node.posts[-1:]
    assert [event["kind"] for event in node.events] == ["state"]
    return modules_sandbox


@pytest.fixture
def unused_node() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
