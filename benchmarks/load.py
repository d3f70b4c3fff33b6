"""A load on one server for a while: some connections, each with one request after the other, and what that cost."""

import itertools
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks import processes
from benchmarks.connection import Body, Connection

SILENT = 30
"""Seconds after which a server that says nothing is given up."""


@dataclass(frozen=True)
class Load:
    """`head`: the head of the n-th request; `size`: bytes of each body, whichever way it goes; `most`: bytes after which it is enough."""

    port: int
    head: Callable[[int], bytes]
    size: int
    body: Body | None = None
    connections: int = 8
    seconds: float = 1.5
    most: int = 2 << 30
    least: int = 0


@dataclass(frozen=True)
class Figures:
    """`cpu_us`: per request; `cpu_gb`: seconds per 10^9 bytes; `client`: share of a core the client used (near 1 it was the limit)."""

    requests: int
    errors: int
    req_s: float
    mb_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    cpu_gb: float
    peak_mb: float
    client: float
    answers: list[bytes] = field(default_factory=list, repr=False)


class _Run:
    """The requests of one load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._epoll = select.epoll()
        self._numbers = itertools.count()
        self._begun: dict[int, float] = {}
        self._busy: dict[int, Connection] = {}
        self._sink = bytearray(1 << 20)
        self.times: list[float] = []
        self.answers: list[bytes] = []
        self.errors = 0

    def until_done(self) -> None:
        """Connect, run, wait for the last answers."""
        connections = [Connection(self._load.port, self._sink) for _ in range(self._load.connections)]
        self._end = time.perf_counter() + self._load.seconds
        try:
            for connection in connections:
                self._epoll.register(connection, select.EPOLLIN)
                self._next(connection)
            while self._busy:
                self._some_news()
        finally:
            for connection in connections:
                connection.close()
            self._epoll.close()

    def _some_news(self) -> None:
        news = self._epoll.poll(SILENT)
        if not news:
            raise ConnectionError(f"the server said nothing for {SILENT} s")
        for fd, what in news:
            connection = self._busy[fd]
            if what & select.EPOLLOUT and connection.send():
                self._epoll.modify(fd, select.EPOLLIN)
            if what & ~select.EPOLLOUT and connection.receive():
                self._answered(connection)

    def _answered(self, connection: Connection) -> None:
        fd, now = connection.fileno(), time.perf_counter()
        good = connection.status in {200, 201, 204} and (self._load.body is not None or connection.size == self._load.size)
        if good:
            self.times.append(now - self._begun[fd])
        self.errors += not good
        if len(self.answers) < 256:
            self.answers.append(connection.answer[:4096])
        del self._busy[fd]
        enough = now >= self._end or (len(self.times) + self.errors) * self._load.size >= self._load.most
        if (not enough or len(self.times) < self._load.least) and connection.kept_alive and self.errors < 100:
            self._next(connection)
        else:
            self._epoll.unregister(fd)  # the server may close it while the others are still busy

    def _next(self, connection: Connection) -> None:
        fd = connection.fileno()
        self._busy[fd], self._begun[fd] = connection, time.perf_counter()
        if not connection.begin(self._load.head(next(self._numbers)), self._load.body):
            self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)


def run(load: Load, pid: int) -> Figures:
    """Put the load on and say what it cost the server with this pid."""
    run_ = _Run(load)
    processes.forget_peak(pid)
    cpu, own, begun = processes.cpu_seconds(pid), time.process_time(), time.perf_counter()
    run_.until_done()
    seconds, own, cpu = time.perf_counter() - begun, time.process_time() - own, processes.cpu_seconds(pid) - cpu
    times, done = sorted(run_.times), len(run_.times)
    if not done:
        raise ConnectionError(f"not one good answer; the first was {(run_.answers or [b'none'])[0][:300]!r}")
    return Figures(
        requests=done,
        errors=run_.errors,
        req_s=done / seconds,
        mb_s=done * load.size / seconds / 1e6,
        p50_ms=times[done // 2] * 1e3,
        p99_ms=times[done * 99 // 100] * 1e3,
        cpu_us=cpu / done * 1e6,
        cpu_gb=cpu / max(done * load.size, 1) * 1e9,
        peak_mb=processes.peak_mb(pid),
        client=own / seconds,
        answers=run_.answers,
    )
