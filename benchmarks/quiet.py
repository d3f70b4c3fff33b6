"""Rounds that the rest of the machine left alone: one during which it was busy is thrown away and measured again, up to a limit."""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
FOREIGN = 0.06
"""Share of all processors that others may have had during a round."""
TRIES = 12
"""Rounds that may be measured for each that is wanted."""


def rounds(measure: Callable[[], T], wanted: int) -> list[T]:
    """What so many quiet rounds brought. Where they do not come, the least disturbed ones; how many were thrown away goes to stderr."""
    found: list[tuple[float, T]] = []
    while sum(share <= FOREIGN for share, _ in found) < wanted and len(found) < wanted * TRIES:
        found.append(_one(measure))
    best = sorted(found, key=lambda one: one[0])[:wanted]
    print(f"{len(found)} rounds for {wanted}; others had up to {best[-1][0]:.0%} of the machine in those that count", file=sys.stderr)
    return [value for _, value in best]


def _one(measure: Callable[[], T]) -> tuple[float, T]:
    before = _seconds()
    value = measure()
    passed, foreign = (after - then for after, then in zip(_seconds(), before, strict=True))
    return foreign / passed, value


def _seconds() -> tuple[float, float]:
    """Processor seconds that passed on all processors, and those that neither this process and its ended children had nor nobody."""
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    ours = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(ticks), sum(ticks) - idle - ours
