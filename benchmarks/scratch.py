"""Where benchmarks keep what they need: a cache outside the source tree, and a fresh folder for each run."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import CLIENT_CORE, CannotRun

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "satchel-bench"


@contextlib.contextmanager
def fresh() -> Iterator[Path]:
    """An empty folder on a real disk, removed at the end; this process moves to the client's core."""
    if len(os.sched_getaffinity(0)) < 2:
        raise CannotRun("Two cores are needed: one for the server, one for the client.")
    os.sched_setaffinity(0, {CLIENT_CORE})
    folder = CACHE / f"run-{os.getpid()}"
    folder.mkdir(parents=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True).stdout.strip()
    if kind == "tmpfs":
        print(f"{folder} lies on tmpfs, which cannot say what is cached: set XDG_CACHE_HOME to a folder on a disk.", file=sys.stderr)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def touch_memory(folder: Path, size: int = 2 << 30) -> None:
    """Write and delete some GB: the first use of a page costs a virtual machine up to a second of CPU per GB."""
    block = bytes(1 << 20)
    with (folder / "warm").open("wb", buffering=0) as file:
        for _ in range(size >> 20):
            file.write(block)
    (folder / "warm").unlink()


def empty(folder: Path, keep: set[Path]) -> None:
    """Remove the files under a folder that were not there before."""
    for path in folder.rglob("*"):
        if path.is_file() and path not in keep:
            path.unlink()
