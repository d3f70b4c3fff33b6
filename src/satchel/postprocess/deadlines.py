"""Deadlines of many jobs, kept by one thread: a timer for each would be a thread for each."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(order=True)
class _Deadline:
    at: float
    number: int
    call: Callable[[], None] | None = field(compare=False)


class Deadlines:
    """The thread starts with the first deadline, sleeps until the next one, and ends with the process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Deadline] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    @contextmanager
    def within(self, seconds: float, call: Callable[[], None]) -> Iterator[None]:
        """Call `call` in the thread if the block has not ended by then; never after it has. It must be quick."""
        deadline = _Deadline(time.monotonic() + seconds, next(self._numbers), call)
        try:
            with self._changed:
                heapq.heappush(self._waiting, deadline)
                if self._thread is None or self._waiting[0] is deadline:
                    self._hurry()
            yield
        finally:
            with self._changed:
                deadline.call = None

    def _hurry(self) -> None:
        """The next deadline is nearer than the thread knows."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
            thread.start()  # where there may be no more threads now, the next job tries again
            self._thread = thread
        else:
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                self._changed.wait(self._next())

    def _next(self) -> float | None:
        """Call what is due; seconds until the next that somebody still waits for. The list holds those that are over until then."""
        while self._waiting:
            first = self._waiting[0]
            if first.call is not None and (left := first.at - time.monotonic()) > 0:
                return left
            heapq.heappop(self._waiting)
            if first.call is not None:
                first.call()
        return None
