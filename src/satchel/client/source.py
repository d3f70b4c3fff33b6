"""What is uploaded: a path, bytes or an open file, read in blocks while it goes out and hashed on the way."""

import hashlib
import io
import mimetypes
import os
from pathlib import Path
from typing import BinaryIO, Self

from satchel.client.connection import BLOCK
from satchel.client.errors import FileUnreadable
from satchel.client.transport import Again, Moved, Readable, Watched, unwatched

UNKNOWN = "application/octet-stream"
Given = str | Path | bytes | BinaryIO


class Source(Again):
    """For use in a `with`: a file that was opened here is closed there. What the caller opened is read from where it stands.

    `moved`: is told of each block, but for those of a pipe. Raises `FileUnreadable`, also when a file turns out shorter.
    """

    def __init__(self, given: Given, moved: Moved = unwatched) -> None:
        self._moved = moved
        self._ours = isinstance(given, str | Path | bytes)
        self._name = str(given) if isinstance(given, str | Path) else getattr(given, "name", "")
        self._file = _opened(given)
        self._start = self._file.tell() if self._file.seekable() else None
        self._left = None if self._start is None else self._file.seek(0, os.SEEK_END) - self._start
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._ours:
            self._file.close()

    @property
    def mime(self) -> str:
        """What the file's name says it is."""
        known = mimetypes.guess_type(self._name)[0] if isinstance(self._name, str) else None
        return known or UNKNOWN

    @property
    def length(self) -> dict[str, str]:
        """The header of a length that is known beforehand; a pipe goes out in chunks."""
        return {} if self._left is None else {"Content-Length": str(self._left)}

    @property
    def sha256(self) -> str:
        """Hexadecimal, of what has been read."""
        return self._hash.hexdigest()

    def read(self, most: int = BLOCK, /) -> bytes:
        block = self._body.read(most)
        self._hash.update(block)
        self.size += len(block)
        return block

    def rewind(self) -> bool:
        if self._start is not None:
            self._begin()
        return self._start is not None

    def _begin(self) -> None:
        self._hash, self.size = hashlib.sha256(), 0
        if self._start is not None:
            self._file.seek(self._start)
        self._body: Readable = self._file if self._left is None else Watched(self._file, self._left, self._moved)


def _opened(given: Given) -> BinaryIO:
    if isinstance(given, bytes):
        return io.BytesIO(given)
    if not isinstance(given, str | Path):
        return given
    try:
        return Path(given).open("rb")
    except OSError as error:
        raise FileUnreadable(str(given), error.strerror) from error
