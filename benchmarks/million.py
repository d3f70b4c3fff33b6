"""`make bench-million`: what one GET costs with 1,000,000 media (rows and files) against 1,000, in interleaved rounds."""

import argparse
import contextlib
import hashlib
import json
import os
import random
import sqlite3
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import node, report, scratch
from benchmarks.http_peers import OUT
from benchmarks.load import Figures, run
from benchmarks.processes import CannotRun
from benchmarks.report import Row
from satchel.volume.part import stamp_of

MANY, FEW = 1_000_000, 1_000
SIZE = 1024
"""Tiny, so that looking up is most of the cost."""
REST = bytes(SIZE - 36)
"""Of a file, behind its id."""
AT_ONCE = 50_000
"""Rows of one transaction."""
SQL = (
    'INSERT INTO media (id, direction, mime, size, sha256, stamp, state, "user", created_net, last_used_net) '
    "VALUES (?, 'up', 'application/octet-stream', ?, ?, ?, 'live', 'admin', ?, ?)"
)


@dataclass(frozen=True)
class Population:
    """A Webapp and the ids of what it holds."""

    server: node.Server
    ids: list[str]

    def round(self, seconds: float) -> Figures:
        """Fetch random media for a while."""
        heads = [self.server.head(f"GET /v1/media/{id_}") for id_ in random.sample(self.ids, min(len(self.ids), 20_000))]
        load = replace(self.server.download(SIZE, self.ids[:1]), head=lambda n: heads[n % len(heads)], seconds=seconds)
        return run(load, self.server.pid)


def main() -> None:
    """Seed, measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--many", type=int, default=MANY)
    parser.add_argument("--write", action="store_true", help="write the figure into docs/explanation/performance.md")
    options = parser.parse_args()
    try:
        with scratch.fresh() as folder:
            rounds = _measured(folder, options.many, options.rounds)
    except CannotRun as error:
        raise SystemExit(str(error)) from None
    few, many = (min(round_[which].cpu_us for round_ in rounds) for which in (0, 1))
    row = Row(
        f"GET of 1 KiB with {options.many:,} media against {FEW:,}, CPU", many / few, "×", 1.2, 1.1, shown=f"{many:.0f} : {few:.0f} µs"
    )
    text = report.table([row], f"`make bench-million`, best of {options.rounds} rounds, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    OUT.mkdir(exist_ok=True)
    (OUT / "million.json").write_text(json.dumps([[one.cpu_us for one in round_] for round_ in rounds]))
    if options.write:
        report.write("bench-million", text)


def _measured(folder: Path, many: int, count: int) -> list[tuple[Figures, Figures]]:
    with _population(folder / "few", FEW) as small, _population(folder / "many", many) as large:
        for one in (small, large):
            one.round(3)  # what both need is in memory afterwards
        return [(small.round(1.5), large.round(1.5)) for _ in range(count)]


@contextlib.contextmanager
def _population(folder: Path, count: int) -> Iterator[Population]:
    """A fresh node, its tables filled behind its back while it is down."""
    folder.mkdir()
    with node.started(folder):
        pass
    ids = [str(uuid.uuid4()) for _ in range(count)]
    _seed(folder / "data", ids)
    with node.started(folder) as server:
        yield Population(server, ids)


def _seed(data: Path, ids: list[str]) -> None:
    with contextlib.closing(sqlite3.connect(data / "satchel.db")) as database:
        database.execute("PRAGMA synchronous=OFF")
        for some in (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)):
            database.executemany(SQL, _rows(data / "media/shared", some))
            database.commit()


def _rows(folder: Path, ids: list[str]) -> Iterator[tuple[object, ...]]:
    """Make a file of its own for each id, a minute for a million, and say what the upload would have said of it.

    In one thread: two would wait for the folder's lock, and for each other.
    """
    parent, now = os.open(folder, os.O_RDONLY), time.time()
    for id_ in ids:
        body = id_.encode() + REST
        file = os.open(id_, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=parent)
        os.write(file, body)
        stamp = stamp_of(os.fstat(file))
        os.close(file)
        yield id_, SIZE, hashlib.sha256(body).hexdigest(), stamp, now, now
    os.close(parent)


if __name__ == "__main__":
    main()
