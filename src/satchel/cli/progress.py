"""A bar for a transfer that lasts, on stderr and for people only."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.5
"""Seconds: a shorter transfer shows nothing, and its command does not import what draws."""


class Count:
    """A number that grows, on one line. `what`: said behind it. Told by `at`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said = time.monotonic()
        self._wanted = sys.stderr.isatty()

    def at(self, number: int) -> None:
        """So many by now."""
        if self._wanted and time.monotonic() - self._said > PATIENCE:
            self._said = time.monotonic()
            sys.stderr.write(f"\r{number:,} {self._what}")
            sys.stderr.flush()

    def over(self) -> None:
        """Wipe the line."""
        if self._wanted:
            sys.stderr.write("\r\033[K")


class Bar:
    """`total`: bytes. Told of each block by `moved`."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total = label, total
        self._done = 0
        self._started = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None
        self._wanted = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            self._shown[0].stop()

    def moved(self, count: int) -> None:
        """So many bytes more are over."""
        self._done += count
        if self._shown:
            self._shown[0].update(self._shown[1], completed=self._done)
        elif self._wanted and self._done < self._total and time.monotonic() - self._started > PATIENCE:
            self._show()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._shown = progress, progress.add_task(self._label, total=self._total, completed=self._done)
        progress.start()
