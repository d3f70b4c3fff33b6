"""PORT Volume: where the bytes lie. Keys are `shared/<media id>` and `renditions/<id>`; what is published is never rewritten."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from satchel.domain.limits import UPLOAD_BYTES


@dataclass(frozen=True)
class Config:
    """`path`: the folder; None means `media` in the data directory. `max_upload`: bytes. `high_water`: share of the volume, 0 to 1."""

    path: Path | None = None
    max_upload: int = field(default=UPLOAD_BYTES, metadata={"unit": "bytes"})
    durability: Literal["safe", "fast"] = "safe"
    high_water: float = field(default=0.85, metadata={"unit": "share"})

    def __post_init__(self) -> None:
        if self.max_upload < 1:
            raise ValueError("max_upload must be at least 1 byte")
        if not 0 < self.high_water <= 1:
            raise ValueError("high_water must be a share of the volume, such as 85%")


@dataclass(frozen=True)
class Stored:
    """What `put` wrote. `size`: bytes; `sha256`: 64 hexadecimal digits; `stamp`: changes when the file is changed by hand."""

    size: int
    sha256: str
    stamp: str


@dataclass(frozen=True)
class Content:
    """An open file: its size in bytes and its blocks. The blocks must be read to their end, or closed."""

    size: int
    blocks: AsyncIterator[bytes]


class Volume(Protocol):
    """Every call raises `Later(VOLUME_MISSING)` while the volume is not the one we know.

    Writes raise `Fault(VOLUME_FULL | VOLUME_NOT_WRITABLE)`; a key that is not there raises `Fault(MEDIA_GONE)`.
    """

    async def present(self) -> bool:
        """Whether the volume is there and is the one we know."""

    async def put(self, key: str, body: AsyncIterator[bytes]) -> Stored:
        """Publish the whole body, durably, under a key that does not exist yet. Publishes nothing if the body raises."""

    def open(self, key: str) -> AbstractAsyncContextManager[Content]:
        """Read a file."""

    async def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""

    async def stat(self, key: str) -> str | None:
        """The stamp of a file, None when there is none."""

    def entries(self, folder: str) -> AsyncIterator[list[tuple[str, float]]]:
        """The files under `shared` or `renditions`, some hundreds at a time, in no order.

        Of each its name and when it was last changed (wall time, seconds).
        """

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A real path with the file's bytes, for as long as the context lasts."""

    def scratch(self) -> AbstractAsyncContextManager[Path]:
        """A path on local disk at which nothing exists yet; whatever is there at the end of the context is removed."""

    def spool(self) -> BinaryIO:
        """An open temporary file that has no name and leaves nothing behind. Blocks: call it in a thread."""
