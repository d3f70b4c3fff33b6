"""A trial of what a volume in a folder must be able to do. Blocks: call it in a thread."""

import errno
import os
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from satchel.domain.errors import VOLUME_NOT_WRITABLE, Fault, not_writable
from satchel.volume import Trial


def try_out(root: Path, parts: Path) -> Trial:
    """Write a small part file, flush it, rename it and remove it. Raises `Fault(VOLUME_NOT_WRITABLE)`."""
    name = uuid.uuid4()
    before, after = parts / f".{name}.doctor.part", parts / f".{name}.doctor-renamed.part"
    try:
        parts.mkdir(exist_ok=True)  # as each upload does
        try:
            seconds, inode = _written(before)
            before.rename(after)
            return Trial(seconds, after.stat().st_ino == inode and not before.exists())
        finally:
            for path in (before, after):
                path.unlink(missing_ok=True)
    except OSError as error:
        details = f"{root} cannot be written to ({error.strerror}): check its owner, mount and room"
        raise Fault(VOLUME_NOT_WRITABLE, details) from error


def require_removal(folders: Sequence[Path]) -> None:
    """Raise `Fault(VOLUME_NOT_WRITABLE)` where files could not be removed from one of them. Writes nothing: the disk may be full."""
    for folder in folders:
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):  # says no to a read-only mount, too
            raise not_writable(OSError(errno.EROFS, "no file can be removed there"), folder.name)


def _written(path: Path) -> tuple[float, int]:
    """How many seconds the flush took, and the file's inode."""
    with path.open("xb") as file:
        file.write(b"\0" * 4096)
        file.flush()
        started = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - started, os.fstat(file.fileno()).st_ino
