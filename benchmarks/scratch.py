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
REMOVAL = 60.0
"""Seconds that a run waits for its folder to be gone."""


@contextlib.contextmanager
def fresh() -> Iterator[Path]:
    """An empty folder on a real disk, removed at the end; this process moves to the client's core."""
    if len(os.sched_getaffinity(0)) < 2:
        raise CannotRun("Two cores are needed: one for the server, one for the client.")
    os.sched_setaffinity(0, {CLIENT_CORE})
    for left in CACHE.glob("run-*"):
        if not Path(f"/proc/{left.name.removeprefix('run-')}").exists():
            remove(left)
    folder = CACHE / f"run-{os.getpid()}"
    folder.mkdir(parents=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True).stdout.strip()
    if kind == "tmpfs":
        print(f"{folder} lies on tmpfs, which cannot say what is cached: set XDG_CACHE_HOME to a folder on a disk.", file=sys.stderr)
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder, in a process of its own: a million files take minutes. Waits for a while, then lets it go on alone."""
    removal = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scratch", str(folder)], cwd=Path(__file__).parents[1], start_new_session=True
    )
    try:
        removal.wait(REMOVAL)
    except subprocess.TimeoutExpired:
        print(f"{folder} is still being removed, by process {removal.pid}.", file=sys.stderr)


def _unlink_all(folder: Path) -> None:
    """Files first, in the order of their inodes: in that of their names ext4 reads its inode table all over the disk."""
    for at, _, _ in os.walk(folder):
        with os.scandir(at) as entries:
            files = sorted((entry.inode(), entry.path) for entry in entries if not entry.is_dir(follow_symlinks=False))
        for _, path in files:
            Path(path).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


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


if __name__ == "__main__":
    _unlink_all(Path(sys.argv[1]))
