"""The child processes of a process, read from /proc, so that a test can watch, freeze and kill them; and a pool that has some."""

import asyncio
import fcntl
import os
import signal
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from satchel.domain.plans import Plan
from satchel.postprocess import Config
from satchel.postprocess.children import Children

Result = TypeVar("Result")


class Child(NamedTuple):
    """A process; `started`: clock ticks since boot, which orders children and tells a pid that was given away again."""

    started: int
    pid: int

    def runs(self) -> bool:
        """Whether it is still there and not a zombie."""
        fields = stat(Path("/proc") / str(self.pid))
        return bool(fields) and int(fields[19]) == self.started and fields[0] not in "ZX"

    def wait(self) -> None:
        wait_for(lambda: not self.runs())

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def unread(self) -> int:
        """Bytes that wait for it in its pipe."""
        with Path(f"/proc/{self.pid}/fd/0").open("rb", buffering=0) as pipe:
            return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)

    def environment(self) -> list[str]:
        """The names in its environment."""
        text = (Path("/proc") / str(self.pid) / "environ").read_text()
        return [line.partition("=")[0] for line in text.split("\0") if line]


def children_of(parent: int) -> list[Child]:
    """The post-processing children of a process that run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        fields = stat(folder)
        if fields and fields[1] == str(parent) and fields[0] not in "ZX" and "satchel.postprocess.child" in command(folder):
            found.append(Child(int(fields[19]), int(folder.name)))
    return found


def opened_here(path: Path) -> bool:
    """Whether this process has the file open."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime
            if link.readlink() == path.resolve():
                return True
    return False


def wait_for(true: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def stat(folder: Path) -> list[str]:
    """The fields behind the name: state, parent, …; nothing when the process is gone."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def the_child() -> Child:
    """The child started last."""
    return max(children_of(os.getpid()))


def with_pool(use: Callable[[Children], Awaitable[Result]], seconds: float = 60.0, **config: int) -> Result:
    """Run `use` with a pool of its own, of one child unless said otherwise."""

    async def go() -> Result:
        pool = Children(replace(Config(children=1), **config), seconds=seconds)  # type: ignore[arg-type]
        try:
            return await use(pool)
        finally:
            await pool.close()

    return asyncio.run(go())


STRIP = Plan("image", "strip", None, 5_000_000)
"""The plan for a picture that may go out as it is."""
