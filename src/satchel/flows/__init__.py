"""One file per path: the only place where the order of steps is written. Flows take one frozen `Ports` first."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from satchel.db import Database, Tx
from satchel.domain.limits import WAIT_FOR_ROOM
from satchel.domain.plans import Rules
from satchel.domain.retention import Rule
from satchel.egress import Egress
from satchel.postprocess import Transcoder
from satchel.upstream import Upstream
from satchel.volume import Volume

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """`upload`: bytes; `profile`: names the post-processing settings, so that changed ones take effect for new sends.

    `durable`: whether an upload waits for the disk; `high_water`: the share of the volume above which we warn; `rules`: of post-processing;
    `wait_for_room`: seconds that an accepted message waits for room on the volume; `retention`: of gc.
    """

    upload: int
    durable: bool
    profile: str
    high_water: float
    rules: Rules
    wait_for_room: float = WAIT_FOR_ROOM
    retention: Rule = field(default_factory=Rule)


class Flights:
    """What several ask for at once is done once in this process, for all of them."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, key: Hashable, do: Callable[[], Awaitable[T]]) -> T:
        """What `do` brings, or what it brings to whoever came first with this key and is not done. One that gives up stops nobody."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.ensure_future(do())
            task.add_done_callback(lambda done: self._landed(key, done))
        result: T = await asyncio.shield(task)
        return result

    def _landed(self, key: Hashable, done: "asyncio.Task[Any]") -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # also when nobody waits for it any more


@dataclass(frozen=True)
class Ports:
    """The engines, built once in build.py. `host`: the name of this instance; `flights`: uploads under way."""

    db: Database
    volume: Volume
    transcoder: Transcoder
    upstream: Upstream
    egress: Egress
    limits: Limits
    host: str
    flights: Flights = field(default_factory=Flights)


class Lease(Protocol):
    """The right to work on a lane."""

    def check(self) -> None:
        """Raise `LeaseLost` when the lease may have run out: no outside effect may start any more."""


Settle = Callable[[Tx], bool]
"""Finishes an item or puts it off, with its effects; False, and no effect, when the item was finished before."""


@dataclass(frozen=True)
class Settlement:
    """A `Settle` with more to say. `ahead`: run before the lane is locked, for rows that come before it in the order of locks.

    `durable`: False for what may be lost in a crash of the machine, since the item is then merely worked on again.
    `lets_go`: the lane is given back even if its next item is due, since others are to go on with it.
    """

    settle: Settle
    ahead: Callable[[Tx], None] = lambda tx: None
    durable: bool = True
    lets_go: bool = False


class LeaseLost(Exception):
    """Somebody else may be working on the lane by now: drop everything."""
