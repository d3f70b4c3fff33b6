"""`make bench-cold`: one download from a cold, slow disk, and what the GETs of everybody else wait meanwhile."""

import argparse
import contextlib
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import node, report, scratch
from benchmarks.load import Figures, run
from benchmarks.processes import CannotRun, tree
from benchmarks.report import Row

RATE = 10_000_000
SIZE, SMALL = 100 << 20, 20 << 10
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Result:
    """`cold_mb_s`: how fast the cold download went, which shows that the throttle held."""

    before: Figures
    during: Figures
    cold_mb_s: float


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figure into docs/explanation/performance.md")
    options = parser.parse_args()
    try:
        with scratch.fresh() as folder, node.started(folder) as server:
            result = _measured(server, folder)
    except CannotRun as error:
        raise SystemExit(str(error)) from None
    shown = f"{result.before.p50_ms:.2f} ms without it, p99 {result.during.p99_ms:.1f} ms, the download at {result.cold_mb_s:.1f} MB/s"
    row = Row("GET 20 KiB during a cold download, p50", result.during.p50_ms, " ms", 5, 5, shown=shown)
    text = report.table([row], f"`make bench-cold`, {time.strftime('%Y-%m-%d')}, on")
    print(text)
    if options.write:
        report.write("bench-cold", text)


def _measured(server: node.Server, folder: Path) -> Result:
    small, (large,) = node.stored(server, SMALL, 8), node.stored(server, SIZE, 1)
    load = replace(server.download(SMALL, small), connections=2, seconds=5)
    before = run(load, server.pid)
    with _throttled(server.pid, folder):
        _forget(server.uploads / large)
        times: list[float] = []
        reader = threading.Thread(target=_download, args=(server, large, times))
        reader.start()
        time.sleep(0.5)
        during = run(load, server.pid)
        reader.join()
    return Result(before, during, SIZE / 1e6 / times[0])


def _download(server: node.Server, id_: str, times: list[float]) -> None:
    begun = time.monotonic()
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/media/{id_}", headers={"Authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(request) as answer:
        while answer.read(1 << 20):
            pass
    times.append(time.monotonic() - begun)


def _forget(path: Path) -> None:
    """Onto the disk and out of memory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _throttled(pid: int, folder: Path) -> Iterator[None]:
    """The process in a control group of its own that reads at RATE from the disk of the folder; back in its old one afterwards."""
    first = (CGROUPS / "blkio").is_dir()
    group = CGROUPS / ("blkio" if first else "") / f"satchel-bench-{os.getpid()}"
    number = _disk(folder)
    try:
        if not first:
            (CGROUPS / "cgroup.subtree_control").write_text("+io")
        group.mkdir()
        if first:
            (group / "blkio.throttle.read_bps_device").write_text(f"{number} {RATE}")
        else:
            (group / "io.max").write_text(f"{number} rbps={RATE}")
        _move(pid, group)
    except OSError as error:
        raise CannotRun(f"The disk cannot be throttled here ({error}): it takes root and a cgroup io or blkio controller.") from None
    try:
        yield
    finally:
        _move(pid, group.parent)
        group.rmdir()


def _move(pid: int, group: Path) -> None:
    for member in tree(pid):
        (group / "cgroup.procs").write_text(str(member))


def _disk(folder: Path) -> str:
    """major:minor of the whole disk that holds the folder."""
    device = folder.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    whole = found.parent if (found / "partition").exists() else found
    if not (whole / "dev").exists():
        raise CannotRun(f"{folder} is not on a disk of this machine: set XDG_CACHE_HOME to a folder that is.")
    return (whole / "dev").read_text().strip()


if __name__ == "__main__":
    main()
