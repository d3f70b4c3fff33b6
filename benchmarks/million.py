"""`make bench-million`: what one GET costs with 1,000,000 media (rows and files) against 1,000, in interleaved rounds."""

import argparse
import contextlib
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

MANY, FEW = 1_000_000, 1_000
BODY = bytes(range(256)) * 4
"""Tiny, so that looking up is most of the cost."""
LINKS = 60_000
"""Names of one file: ext4 takes up to 65,000. A million files of their own take minutes to make, and the folder is as large."""
SQL = (
    'INSERT INTO media (id, direction, mime, size, sha256, stamp, state, "user", created_net, last_used_net) '
    "VALUES (?, 'up', 'application/octet-stream', ?, ?, '', 'live', 'admin', ?, ?)"
)


@dataclass(frozen=True)
class Population:
    """A Webapp and the ids of what it holds."""

    server: node.Server
    ids: list[str]

    def round(self, seconds: float) -> Figures:
        """Fetch random media for a while."""
        heads = [self.server.head(f"GET /v1/media/{id_}") for id_ in random.sample(self.ids, min(len(self.ids), 20_000))]
        load = replace(self.server.download(len(BODY), self.ids[:1]), head=lambda n: heads[n % len(heads)], seconds=seconds)
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
    now = time.time()
    with contextlib.closing(sqlite3.connect(data / "satchel.db")) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.executemany(SQL, ((id_, len(BODY), f"{random.getrandbits(256):064x}", now, now) for id_ in ids))
        database.commit()
    for number, id_ in enumerate(ids):
        if number % LINKS == 0:
            first = data / "media/shared" / id_
            first.write_bytes(BODY)
        else:
            os.link(first, data / "media/shared" / id_)


if __name__ == "__main__":
    main()
