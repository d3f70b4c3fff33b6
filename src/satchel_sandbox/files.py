"""Files that appear under their name only when they are whole and durable. Blocking: call it from a thread.

It knows neither encryption nor rows; `vault.py` and `phone.py` say what the files mean.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

PART = ".part"
GONE = ".gone"
_BLOCK = 1 << 20


class PartFile:
    """Bytes on their way to `final`: write, then publish; discard in any case.

    `goes_on` is an earlier part to go on with, which this one takes for itself: FileNotFoundError if somebody else has it.
    """

    def __init__(self, final: Path, durable: bool, goes_on: Path | None = None) -> None:
        self._final = final
        self._part = final.with_name(f"{final.name}.{secrets.token_hex(4)}{PART}")
        self._durable = durable
        if goes_on is not None:
            goes_on.rename(self._part)
        # Buffered on purpose: its lock keeps discard() of a cancelled task from closing under a thread that still writes.
        self._file = self._part.open("xb" if goes_on is None else "r+b")

    def read(self, size: int) -> Iterator[bytes]:
        """The first `size` bytes of an earlier part; what lies behind them goes. Fewer come if it has no more."""
        self._file.truncate(size)
        while block := self._file.read(_BLOCK):
            yield block

    def write(self, block: bytes) -> None:
        self._file.write(block)

    def publish(self, final: Path | None = None) -> None:
        """Make the bytes durable under their name, or under one that was not known before; an older file of it is replaced in one step."""
        self._final = final or self._final
        self._file.flush()
        if self._durable:
            os.fsync(self._file.fileno())
        self._file.close()
        self._part.rename(self._final)
        if self._durable:
            sync_folder(self._final.parent)

    def keep(self, path: Path) -> int:
        """End here, and leave what there is as `path`; its size. A crash may cost bytes of it: they are checked in the end."""
        self._file.close()
        self._part.rename(path)
        return path.stat().st_size

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
    """The world's folder below `root`, made if missing."""
    folder = root / world
    folder.mkdir(parents=True, exist_ok=True)
    if durable:
        sync_folder(root)
    return folder


def close_worlds(root: Path, but: str) -> list[Path]:
    """Put the folders of worlds that were reset out of everybody's way, at once; `remove` them when there is time."""
    others = [entry for entry in root.iterdir() if entry.name != but]
    # Under its new name an upload that goes on for the old world neither finds it nor makes it anew.
    return [entry if entry.name.endswith(GONE) else entry.rename(entry.with_name(f"{entry.name}{GONE}")) for entry in others]


def remove(folders: list[Path]) -> None:
    """Blocking, and long for many files."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # what somebody still holds on to goes at the next start
