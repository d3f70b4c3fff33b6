"""A composition root for tests: a role of the node, or the sandbox, that kills itself at a chosen port call.

`python -m tests.journeys.rigged web|core|sandbox …`; SATCHEL_TEST_KILL is `before:7`, `after:7` or
`before:upstream.renew`, the first of its kind; SATCHEL_TEST_CALLS a file that gets
one line for each counted call. Reads, claims and beats are not counted: they have no effect of their own and no fixed number.
"""

import dataclasses
import inspect
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

NODE_CALLS = {
    "db": {"write"},
    "volume": {"put", "open", "delete", "remove", "stat", "local", "scratch"},
    "transcoder": {"probe", "render"},
    "upstream": {"put", "send", "renew"},
    "egress": {"call_back"},
}


class Trap:
    """Counts calls and springs at one of them."""

    def __init__(self) -> None:
        self._when, _, at = os.environ.pop("SATCHEL_TEST_KILL", ":0").partition(":")
        self._at, self._name = (int(at), "") if at.isdigit() else (0, at)
        self._calls = Path(os.environ.pop("SATCHEL_TEST_CALLS", os.devnull))
        self._count = 0

    def enter(self, name: str) -> int:
        """Before a call; its number."""
        self._count += 1
        with self._calls.open("a") as file:
            file.write(f"{name}\n")
        if name == self._name:
            self._at = self._at or self._count
        self.spring("before", self._count)
        return self._count

    def spring(self, when: str, number: int) -> None:
        if (self._when, self._at) == (when, number):
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, counted; a context counts from its entry to its exit."""

        def counted(*args: Any, **given: Any) -> Any:
            if given.get("durable") is False:
                return call(*args, **given)
            result = call(*args, **given)
            if inspect.isawaitable(result):
                return self._awaited(name, result)
            return self._async_context(name, result) if hasattr(result, "__aenter__") else self._context(name, result)

        return counted

    async def _awaited(self, name: str, result: Any) -> Any:
        number = self.enter(name)
        value = await result
        self.spring("after", number)
        return value

    @asynccontextmanager
    async def _async_context(self, name: str, context: Any) -> AsyncIterator[Any]:
        number = self.enter(name)
        async with context as value:
            yield value
        self.spring("after", number)

    @contextmanager
    def _context(self, name: str, context: Any) -> Iterator[Any]:
        number = self.enter(name)
        with context as value:
            yield value
        self.spring("after", number)


class Rigged:
    """An engine whose named methods are counted; everything else is its own."""

    def __init__(self, trap: Trap, name: str, engine: Any, methods: set[str]) -> None:
        self._engine = engine
        for method in methods:
            setattr(self, method, trap.around(f"{name}.{method}", getattr(engine, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def rig(trap: Trap, ports: Any, calls: dict[str, set[str]]) -> Any:
    """The same ports, each engine behind the trap."""
    return dataclasses.replace(ports, **{name: Rigged(trap, name, getattr(ports, name), methods) for name, methods in calls.items()})


def node(role: str, bind: str, data_dir: str) -> None:
    from satchel.cli import say, serve
    from satchel.settings import load

    trap = Trap()
    with say.configuration_errors():
        serve.run(serve.Run(role, bind), load(Path(data_dir), os.environ), wrap=lambda ports: rig(trap, ports, NODE_CALLS))


def sandbox(port: str, data_dir: str, url: str) -> None:
    from satchel_sandbox import server

    trap = Trap()
    options = server.Options(int(port), url, os.environ["SATCHEL_SANDBOX_SECRET"], Path(data_dir))
    calls = {"store": {"write"}, "vault": {"put"}, "poster": {"post"}}
    sys.exit(server.run(options, wrap=lambda ports: rig(trap, ports, calls)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sandbox", port, data_dir, url]:
            sandbox(port, data_dir, url)
        case [role, bind, data_dir]:
            node(role, bind, data_dir)
