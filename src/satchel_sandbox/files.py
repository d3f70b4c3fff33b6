"""Files that appear under their name only when they are whole and durable. Blocking: call it from a thread.

It knows neither encryption nor rows; `vault.py` and `phone.py` say what the files mean.
"""

import os
import secrets
import shutil
from pathlib import Path

PART = ".part"


class PartFile:
    """Bytes on their way to `final`: write, then publish; discard in any case."""

    def __init__(self, final: Path, durable: bool) -> None:
        self._final = final
        self._part = final.with_name(f"{final.name}.{secrets.token_hex(4)}{PART}")
        self._durable = durable
        # Buffered on purpose: its lock keeps discard() of a cancelled task from closing under a thread that still writes.
        self._file = self._part.open("xb")

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def publish(self) -> None:
        """Make the bytes durable under their name; an older file of that name is replaced in one step."""
        self._file.flush()
        if self._durable:
            os.fsync(self._file.fileno())
        self._file.close()
        self._part.rename(self._final)
        if self._durable:
            sync_folder(self._final.parent)

    def discard(self) -> None:
        """Leave nothing behind. Harmless after publish()."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries (a rename, a new file) survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_world(root: Path, world: str, durable: bool) -> Path:
    """The world's folder below `root`, made if missing; folders of worlds that were reset and part files go."""
    folder = root / world
    folder.mkdir(parents=True, exist_ok=True)
    if durable:
        sync_folder(root)
    for entry in root.iterdir():
        if entry.name != world:
            # An upload of the old world may still write there: what it holds on to goes the next time.
            shutil.rmtree(entry, ignore_errors=True)
    for part in folder.rglob(f"*{PART}"):
        part.unlink()
    return folder
