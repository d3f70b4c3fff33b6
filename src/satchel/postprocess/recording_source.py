"""How FFmpeg gets the bytes of a recording: from memory, never by a name, through the demuxer that the first bytes ask for and no other.

So it opens nothing: no playlist, no session description, no file that another one points to. Runs inside the child only.
"""

import io
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import av
import av.logging
from av.container import InputContainer

from satchel.domain.recordings import MP4

DEMUXERS = {
    **dict.fromkeys(MP4, "mov"),
    **dict.fromkeys(("matroska", "webm"), "matroska"),
    **{name: name for name in ("aac", "aiff", "amr", "asf", "avi", "caf", "flac", "flv", "mp3", "ogg", "wav")},
}
MAX_STREAMS = 32
"""A telephone writes three streams; FFmpeg itself would follow a thousand."""

BUFFER = 64 << 10
"""Bytes FFmpeg asks for at once: each time costs a call into Python, and a seek throws away what was read ahead."""

for found in pkgutil.walk_packages(av.__path__, "av."):
    if not found.name.endswith(("__main__", "datasets")):
        import_module(found.name)  # PyAV loads its parts when they are first needed, which a child cannot
HASTY = {"probesize": "32", "analyzeduration": "1", "fpsprobesize": "0"}
"""For a copy the index says all there is to know: no picture need be decoded to learn how they follow each other."""

av.logging.set_level(None)


class View(io.RawIOBase):
    """A file over bytes that are not copied, for reading only."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        if base + offset < 0:
            raise OSError("sought before the beginning")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size < 0 else self._at + size
        block = bytes(self._data[self._at : end])
        self._at += len(block)
        return block


@contextmanager
def opened(data: memoryview, form: str, *, to_copy: bool = False) -> Iterator[InputContainer]:
    """A recording of this format, its streams known. Raises whatever FFmpeg raises for one it cannot open."""
    demuxer = DEMUXERS[form]
    options = {"format_whitelist": demuxer, "protocol_whitelist": "file", "max_streams": str(MAX_STREAMS)}
    if to_copy:
        options |= HASTY
    with av.open(View(data), "r", demuxer, options, buffer_size=BUFFER, metadata_errors="replace") as source:
        yield source
