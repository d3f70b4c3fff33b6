"""One file per path: the only place where the order of steps is written. Flows take one frozen `Ports` first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from satchel.db import Database, Tx
from satchel.domain.plans import Rules
from satchel.egress import Egress
from satchel.postprocess import Transcoder
from satchel.upstream import Upstream
from satchel.volume import Volume


@dataclass(frozen=True)
class Limits:
    """`upload`: bytes; `profile`: names the post-processing settings, so that changed ones take effect for new sends.

    `durable`: whether an upload waits for the disk; `high_water`: the share of the volume above which we warn; `rules`: of post-processing.
    """

    upload: int
    durable: bool
    profile: str
    high_water: float
    rules: Rules


@dataclass(frozen=True)
class Ports:
    """The engines, built once in build.py."""

    db: Database
    volume: Volume
    transcoder: Transcoder
    upstream: Upstream
    egress: Egress
    limits: Limits


class Lease(Protocol):
    """The right to work on a lane."""

    def check(self) -> None:
        """Raise `LeaseLost` when the lease may have run out: no outside effect may start any more."""


Settle = Callable[[Tx], bool]
"""Finishes an item or puts it off, with its effects; False, and no effect, when the item was finished before."""


class LeaseLost(Exception):
    """Somebody else may be working on the lane by now: drop everything."""
