"""A file on its way to a child: opened once, streamed in blocks, never trusted to stay as it was. Runs in the parent."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from satchel.domain.errors import MEDIA_CHANGED, Fault
from satchel.postprocess.frames import BLOCK
from satchel.postprocess.sniff import HEAD_BYTES, sniff


class Source:
    """An open regular file. `size`: bytes when it was opened; `head`: its first bytes; `format`, `mime`: what they say (`sniff`).

    `sha256`: in hexadecimal, of all that `blocks` gave; empty until it has come to the end.

    Raises OSError for what cannot be opened and for what is not a regular file: a link, a FIFO, a device, a folder.
    """

    def __init__(self, path: Path) -> None:
        # A FIFO without a writer would hold the thread for ever, and a link would lead out of the volume.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(self._fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            self.size = found.st_size
            self.head = os.pread(self._fd, HEAD_BYTES, 0)
            self.format, self.mime = sniff(self.head)
            self.sha256 = ""
        except BaseException:
            os.close(self._fd)
            raise

    def blocks(self) -> Iterator[memoryview]:
        """The bytes from the first on; each is valid until the next. May be called again. Raises `Fault` when the size has changed."""
        buffer, done, sha256 = memoryview(bytearray(BLOCK)), 0, hashlib.sha256()
        while done < self.size:
            count = os.preadv(self._fd, [buffer[: self.size - done]], done)
            if not count:
                raise self._changed("shorter")
            yield buffer[:count]
            sha256.update(buffer[:count])
            done += count
        if os.pread(self._fd, 1, done):
            raise self._changed("longer")
        self.sha256 = sha256.hexdigest()

    def _changed(self, how: str) -> Fault:
        return Fault(MEDIA_CHANGED, f"The file became {how} than {self.size} bytes while it was read: upload it again and send the new id.")

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)
