"""Small real file systems for journeys: mounted by the superuser, filled up, emptied, made read-only, taken away."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Small:
    """A file system at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ballast = root / "ballast"

    @property
    def free(self) -> int:
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    @property
    def total(self) -> int:
        found = os.statvfs(self.root)
        return found.f_blocks * found.f_frsize

    def fill_to(self, free: int) -> None:
        """Leave about so many bytes free, to a page."""
        more = self.free - free
        with self.ballast.open("ab", buffering=0) as file:
            if more < 0:
                file.truncate(max(0, file.tell() + more))
            with contextlib.suppress(OSError):  # others may be quicker to take the last of it
                while more > 0:
                    more -= file.write(b"x" * min(more, 1 << 20))

    def empty(self) -> None:
        self.ballast.unlink()

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.root)], check=True, capture_output=True)


@contextmanager
def mounted(root: Path, size: str) -> Iterator[Small]:
    """A tmpfs of this size."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    root.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(root)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount refused: {done.stderr.strip()}")
    try:
        yield Small(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


class Mount:
    """The folder `source` under a second path."""

    def __init__(self, source: Path, target: Path) -> None:
        self.source, self.target = source, target

    def put_back(self) -> None:
        subprocess.run(["mount", "--bind", str(self.source), str(self.target)], check=True, capture_output=True)

    def take_away(self) -> None:
        subprocess.run(["umount", "-l", str(self.target)], check=True, capture_output=True)


@contextmanager
def bound(source: Path, target: Path) -> Iterator[Mount]:
    """The same folder under a second path, as two containers have it."""
    if os.geteuid() != 0:
        pytest.skip("a second mount of one folder needs root")
    target.mkdir(parents=True)
    mount = Mount(source, target)
    try:
        mount.put_back()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"mount refused: {error.stderr.decode().strip()}")
    try:
        yield mount
    finally:
        if source.samefile(target):
            mount.take_away()
