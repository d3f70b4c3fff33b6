"""Files that hold secrets: for their owner only, and whole on the disk before anybody relies on them."""

import os
from pathlib import Path


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file anew, with these permissions from its first byte on; the path."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    return path
