"""What is measured over HTTP: cells of one kind of request and one size, on each server."""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from benchmarks import processes, scratch
from benchmarks.load import Figures, Load, run
from benchmarks.node import Server, stored

KIB, MIB = 1 << 10, 1 << 20
SIZES = {"20 KiB": 20 * KIB, "1 MiB": MIB, "16 MiB": 16 * MIB, "100 MiB": 100 * MIB}
CELLS = [("GET", size) for size in SIZES] + [("POST", size) for size in SIZES if size != "1 MiB"]
COUNTS = {"20 KiB": 64, "1 MiB": 32, "16 MiB": 4, "100 MiB": 2}
"""How many files of a size are fetched in turn."""


@dataclass(frozen=True)
class Cell:
    """`ids`: what to fetch, on servers that have it."""

    verb: str
    size: str
    server: Server
    ids: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.verb} {self.size}"

    def measure(self) -> Figures:
        """One round. Large uploads are removed again.

        Small ones stay: for seconds after many deletions ext4 spends more on finding a new inode than all else costs.
        """
        before = {path for path in self.server.uploads.rglob("*") if path.is_file()}
        try:
            return run(self.load(), self.server.pid)
        finally:
            if SIZES[self.size] >= MIB:
                scratch.empty(self.server.uploads, before)

    @cache  # noqa: B019 - the bodies live as long as the run, and files in memory are dear to make
    def load(self) -> Load:
        """What is put on the server each round."""
        size = SIZES[self.size]
        return self.server.download(size, self.ids) if self.verb == "GET" else self.server.upload(size)


def cells(server: Server, wanted: Callable[[str], bool], offered: dict[str, list[str]] | None = None) -> list[Cell]:
    """The cells of a server. `offered`: the ids of its files by size; uploaded first where nobody put them there."""
    found = []
    for verb, size in CELLS:
        if wanted(f"{verb} {size}"):
            ids = () if verb == "POST" else tuple((offered or {}).get(size) or stored(server, SIZES[size], COUNTS[size]))
            found.append(Cell(verb, size, server, ids))
    return found


def sha256_cpu_gb(size: int = 512 << 20) -> float:
    """CPU seconds that one pass of SHA-256 takes for 10^9 bytes, on the server's core."""
    block, own = os.urandom(256 * KIB), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processes.SERVER_CORE})
    try:
        digest, begun = hashlib.sha256(), time.thread_time()
        for _ in range(size // len(block)):
            digest.update(block)
        return (time.thread_time() - begun) / size * 1e9
    finally:
        os.sched_setaffinity(0, own)
