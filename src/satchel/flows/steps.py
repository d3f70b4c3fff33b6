"""What one attempt at a message has come through, to be written with the settle that ends it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from satchel.domain.errors import Fault, Later
from satchel.domain.steps import Name, Outcome, Step

MOST = 20
"""Steps of a preparation's earlier attempts that are kept."""


class Timeline:
    """`host`: this instance; `attempt`: from 1; `done`: the steps so far."""

    def __init__(self, host: str, attempt: int = 1) -> None:
        self._host = host
        self._attempt = attempt
        self.done: list[Step] = []

    @contextmanager
    def step(self, name: Name) -> Iterator[None]:
        """Time a step; one that a lost lease or an error of ours ends is not told."""
        at, began = time.time(), time.perf_counter()
        try:
            yield
        except Fault as fault:
            self._add(name, at, began, "failed", fault.details)
            raise
        except Later as later:
            self._add(name, at, began, "later", later.details)
            raise
        self._add(name, at, began, "ok", None)

    @contextmanager
    def steps(self, first: Name, second: Name) -> Iterator[Callable[[], None]]:
        """Time two steps in a row: calling what this yields ends the first and begins the second, which there is none of without it."""
        with ExitStack() as running:

            def turn() -> None:
                running.close()
                running.enter_context(self.step(second))

            running.enter_context(self.step(first))
            yield turn

    def mark(self, name: Name, outcome: Outcome = "ok", reason: str | None = None) -> None:
        """A step that is a moment."""
        self.done.append(Step(name, time.time(), 0.0, self._host, self._attempt, outcome, reason))

    def inherit(self, steps: Sequence[Step]) -> None:
        """Steps that were done for several messages."""
        self.done += steps

    def _add(self, name: Name, at: float, began: float, outcome: Outcome, reason: str | None) -> None:
        ms = round((time.perf_counter() - began) * 1000, 1)
        self.done.append(Step(name, at, ms, self._host, self._attempt, outcome, reason))
