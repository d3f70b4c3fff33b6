"""A look at the folder that is a volume, and a trial of what it must be able to do. Everything here blocks: call it in a thread."""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """A file. `size`: bytes; `changed_at`: wall time in seconds."""

    name: str
    size: int
    changed_at: float


def files(folder: Path, most: int) -> tuple[list[Found], bool]:
    """Up to `most` files of a folder, and whether these are all: a folder of a million is not read to its end."""
    try:
        with os.scandir(folder) as listing:
            return list(_files(islice(listing, most))), next(listing, None) is None
    except FileNotFoundError:  # people tidy away `parts`
        return [], True


def _files(entries: Iterator[os.DirEntry[str]]) -> Iterator[Found]:
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            looked = entry.stat(follow_symlinks=False)
            yield Found(entry.name, looked.st_size, looked.st_mtime)


def try_out(parts: Path) -> tuple[float, bool]:
    """Write a small file aside, flush it, rename it and remove it: the seconds of the flush, and whether it stayed the same file.

    Raises OSError.
    """
    name = uuid.uuid4()
    before, after = parts / f".{name}.doctor.part", parts / f".{name}.doctor-renamed.part"
    parts.mkdir(exist_ok=True)  # as each upload does
    try:
        with before.open("xb") as file:
            file.write(b"\0" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            seconds = time.perf_counter() - started
            inode = os.fstat(file.fileno()).st_ino
        before.rename(after)
        return seconds, after.stat().st_ino == inode and not before.exists()
    finally:
        for path in (before, after):
            path.unlink(missing_ok=True)
