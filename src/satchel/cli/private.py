"""Secrets on the disk: files for their owner only, and whole before anybody relies on them; none in what a crash would leave."""

import os
import resource
from pathlib import Path


def no_core_files() -> None:
    """What this process and its children have in memory (keys, passwords, tokens) is not written to the disk when they crash."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file anew, with these permissions from its first byte on; the path."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    return path
