"""`make bench-retention`: gc of 10,000 due media among 1,000,000 against among 20,000, and fsck of 1,000,000 rows and files.

The two nodes are built once and kept in the cache: a million files take minutes. Those that are not due are empty: nothing reads them.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report, scratch
from benchmarks.report import Row
from satchel import build
from satchel.domain.limits import DAY
from satchel.domain.retention import Rule
from satchel.flows import retention
from satchel.settings import load
from satchel.volume.part import stamp_of

MANY, FEW, DUE = 1_000_000, 20_000, 10_000
AT_ONCE = 50_000
"""Rows of one transaction."""
HOME = scratch.CACHE / "retention"
SQL = (
    'INSERT INTO media (id, direction, mime, size, sha256, stamp, state, "user", created_net, last_used_net) '
    "VALUES (?, 'up', 'application/octet-stream', ?, ?, ?, 'live', 'admin', ?, ?)"
)


@dataclass(frozen=True)
class Population:
    """A node that is down. `due`: ids of those that came first, as it is where nobody uses media again."""

    data: Path
    due: list[str]

    @property
    def shared(self) -> Path:
        return self.data / "media" / "shared"


@dataclass(frozen=True)
class Cleaned:
    """Seconds of one gc: by the clock, and of CPU, which what others do to the disk leaves alone."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Fsck:
    """`peak`: bytes of memory at most; `seconds`: wall."""

    peak: int
    seconds: float


class Free:
    """Nobody else cleans up."""

    def check(self) -> None:
        """It goes on."""


def main() -> None:
    """Build what is not there, measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=MANY)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/explanation/performance.md")
    options = parser.parse_args()
    few, many = built(FEW), built(options.many)
    rounds = [(cleaned(few), cleaned(many)) for _ in range(options.rounds)]
    make_due(many)
    checked = fsck(many)
    rows = [
        _ratio("wall", [(few_.wall, many_.wall) for few_, many_ in rounds], options.many),
        _ratio("CPU", [(few_.cpu, many_.cpu) for few_, many_ in rounds], options.many),
        Row(
            f"fsck of {options.many:,} rows and files, peak memory",
            checked.peak / 1e6,
            " MB",
            150,
            80,
            shown=f"{checked.seconds:.0f} s",
        ),
    ]
    text = report.table(rows, f"`make bench-retention`, SQLite, best of {options.rounds} rounds, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    print("\n".join(map(str, rounds)), file=sys.stderr)
    if options.write:
        report.write("bench-retention", text)


def _ratio(what: str, rounds: list[tuple[float, float]], many: int) -> Row:
    small, large = (min(round_[which] for round_ in rounds) for which in (0, 1))
    about = f"gc of {DUE:,} due media among {many:,} against among {FEW:,}, {what}"
    return Row(about, large / small, "×", 1.3, 1.1, shown=f"{large:.2f} : {small:.2f} s")


def built(count: int) -> Population:
    """A node with so many media; made in a process of its own, whose memory would else be counted for whatever this one starts."""
    data = HOME / str(count)
    if not (data / "due.json").exists():
        building = multiprocessing.get_context("spawn").Process(target=_build, args=(count,))
        building.start()
        building.join()
    return Population(data, json.loads((data / "due.json").read_text()))


def _build(count: int) -> None:
    data = HOME / str(count)
    scratch.remove(data)
    data.mkdir(parents=True)
    ids = [str(uuid.uuid4()) for _ in range(count)]
    asyncio.run(_begin(data))
    print(f"building {count:,} media in {data}", file=sys.stderr)
    _seed(data, ids)
    (data / "due.json").write_text(json.dumps(ids[:DUE]))


async def _begin(data: Path) -> None:
    async with build.opened(load(data, {}, toml=data / "none.toml"), "web"):
        pass


def _seed(data: Path, ids: list[str]) -> None:
    with contextlib.closing(sqlite3.connect(data / "satchel.db")) as database:
        database.execute("PRAGMA synchronous=OFF")
        for at in range(0, len(ids), AT_ONCE):
            database.executemany(SQL, _rows(data / "media" / "shared", ids[at : at + AT_ONCE]))
            database.commit()


def _rows(folder: Path, ids: list[str]) -> Iterator[tuple[object, ...]]:
    parent, now = os.open(folder, os.O_RDONLY), time.time()
    for id_ in ids:
        yield id_, 0, hashlib.sha256(id_.encode()).hexdigest(), _made(parent, id_, b""), now, now - random.random() * 20 * DAY
    os.close(parent)


def _made(parent: int, name: str, body: bytes) -> str:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=parent)
    if body:
        os.write(file, body)
    stamp = stamp_of(os.fstat(file))
    os.close(file)
    return stamp


def make_due(population: Population) -> None:
    """What was deleted is there again, and nobody has used it for two months."""
    parent = os.open(population.shared, os.O_RDONLY)
    with contextlib.closing(sqlite3.connect(population.data / "satchel.db")) as database:
        for id_ in population.due:
            stamp, used = _made(parent, id_, id_.encode()), time.time() - 60 * DAY
            database.execute(
                "UPDATE media SET state = 'live', size = 36, stamp = ?, last_used_net = ?, missed_at = NULL WHERE id = ?",
                (stamp, used, id_),
            )
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.close(parent)


def cleaned(population: Population) -> Cleaned:
    """One gc."""
    make_due(population)
    os.sync()
    return asyncio.run(_cleaned(population.data))


async def _cleaned(data: Path) -> Cleaned:
    async with build.opened(load(data, {}, toml=data / "none.toml"), "core") as node:
        started, used = time.perf_counter(), time.process_time()
        deleted = await retention.clean(node.ports, Rule(), Free())
        took = Cleaned(time.perf_counter() - started, time.process_time() - used)
    if deleted.files != DUE:
        raise SystemExit(f"{deleted.files} media were deleted, not {DUE}.")
    return took


def fsck(population: Population) -> Fsck:
    """The command, as a person runs it."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "satchel", "volume", "fsck", "--json", "--data-dir", str(population.data)]
    process = os.posix_spawn(sys.executable, command, dict(os.environ))
    _, status, used = os.wait4(process, 0)
    if status:
        raise SystemExit("fsck found something: see above.")
    return Fsck(used.ru_maxrss * 1024, time.perf_counter() - started)


if __name__ == "__main__":
    main()
