"""PORT Volume: where the bytes lie. Keys are `shared/<media id>` and `renditions/<id>`; what is published is never rewritten."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from satchel.domain.limits import GIVE_UP_SENDING, UPLOAD_BYTES, WAIT_FOR_ROOM

READ_BLOCK = 384 * 1024
"""Bytes; smaller ones cost clearly more."""


@dataclass(frozen=True)
class Config:
    """`path`: the folder; None means `media` in the data directory. `told_path`: where the business finds it, None for the same path.

    `max_upload`: bytes; `high_water`: share of the volume, 0 to 1; `wait_for_room`: seconds that an accepted message waits for room.
    """

    path: Path | None = None
    told_path: Path | None = None
    max_upload: int = field(default=UPLOAD_BYTES, metadata={"unit": "bytes"})
    durability: Literal["safe", "fast"] = "safe"
    high_water: float = field(default=0.85, metadata={"unit": "share"})
    wait_for_room: float = field(default=WAIT_FOR_ROOM, metadata={"unit": "duration"})

    def __post_init__(self) -> None:
        if self.max_upload < 1024:
            raise ValueError("max_upload must be at least 1 KB: give it a unit, such as 64MB")
        if not 0 < self.high_water <= 1:
            raise ValueError("high_water must be a share of the volume, such as 85%")
        if not 1 <= self.wait_for_room <= GIVE_UP_SENDING:
            raise ValueError("wait_for_room must be from 1s to 24h, such as 10m")
        if self.told_path is not None and not self.told_path.is_absolute():
            raise ValueError("told_path must be an absolute path, such as /mnt/wa/media")


@dataclass(frozen=True)
class Stored:
    """What `put` wrote. `size`: bytes; `sha256`: 64 hexadecimal digits; `stamp`: changes when the file is changed by hand."""

    size: int
    sha256: str
    stamp: str


@dataclass(frozen=True)
class Space:
    """Of the volume's file system, in bytes and inodes; both `free` are what we may use. A system without inodes says 0.

    `writable`: False for one that is mounted read-only.
    """

    total: int
    free: int
    inodes: int
    inodes_free: int
    writable: bool = True

    @property
    def used(self) -> int:
        """Bytes that we may not use."""
        return self.total - self.free

    @property
    def used_share(self) -> float:
        """The same as a share, 0 to 1."""
        return self.used / max(1, self.total)


@dataclass(frozen=True)
class Entry:
    """What has a name. `size`: bytes; `changed_at`: wall time in seconds; `plain`: a regular file, and no link, folder or pipe."""

    name: str
    size: int
    changed_at: float
    plain: bool = True


@dataclass(frozen=True)
class Trial:
    """How writing went. `flush`: seconds until the disk had it; `kept`: whether a renamed file is still the same one."""

    flush: float
    kept: bool


class Scratch(Protocol):
    """A place on local disk for a file that is being made. Nothing is there until somebody writes it."""

    path: Path

    def begin(self) -> Path:
        """The path, once there is room to write there: raises what `put` raises. Blocks: call it in a thread."""


class Content(ABC):
    """An open file, the same one until it is closed, whatever happens to its name. `size`: bytes; `stamp`: when it was opened."""

    size: int
    stamp: str

    @property
    def descriptor(self) -> int | None:
        """Of a file that the kernel may send by itself; None where there is none."""
        return None

    async def warm(self, offset: int, size: int) -> None:
        """Return once these bytes of the descriptor's file can be sent without waiting for a disk."""
        await self.read(offset, size)

    def is_at_hand(self, offset: int, size: int) -> bool:
        """Whether they can be sent so already."""
        return False

    @abstractmethod
    async def read(self, offset: int, size: int) -> bytes:
        """So many bytes from there; fewer, or none, when the file was cut short meanwhile."""

    def read_now(self, offset: int, into: memoryview) -> bool:
        """Fill this with what comes from there; False, and anything in it, where that would have to wait, or the file ends before."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    async def blocks(self) -> AsyncIterator[bytes]:
        """The whole file in order; one that was cut short meanwhile ends early, which its reader must notice."""
        offset = 0
        while offset < self.size and (block := await self.read(offset, min(READ_BLOCK, self.size - offset))):
            yield block
            offset += len(block)


class Files(Protocol):
    """The core: one file under one key."""

    async def put(self, key: str, body: AsyncIterator[bytes], size: int | None = None, urgent: bool = False) -> Stored:
        """Publish the whole body under a key that does not exist yet. Publishes nothing if the body raises.

        `size`: bytes, where known; what does not fit is refused before the body is read. Uploads leave a reserve free, of which
        `urgent` ones, without which accepted messages could not leave, may use half.
        """

    async def open(self, key: str) -> Content:
        """Open a file for reading."""

    def open_now(self, key: str) -> Content | None:
        """The same where it has to wait for nothing; None in any other case: `open` tells."""

    async def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""

    async def stat(self, key: str) -> str | None:
        """The stamp of a file, None when there is none."""

    def path(self, key: str) -> str:
        """Where the business finds the file of a key, whether it is there or not: an absolute path. Looks at nothing, opens nothing."""


class Workplace(Protocol):
    """Real paths for those who need one: of what is there, and for what is still being made."""

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A real path with the file's bytes, for as long as the context lasts."""

    def scratch(self) -> AbstractAsyncContextManager[Scratch]:
        """A place to write a file to; whatever is there at the end of the context is removed."""

    async def take(self, key: str, scratch: Scratch) -> str:
        """Publish what was written there, as `put` does and as an urgent one, and say its stamp. Nothing is written once more."""

    def aside(self, body: AsyncIterator[bytes], size: int | None = None) -> AbstractAsyncContextManager[Path]:
        """A path on local disk with the whole body, removed at the end of the context: nobody's media, judged like a `put`."""

    def spool(self, size: int) -> BinaryIO:
        """An open temporary file for so many bytes that has no name and leaves nothing behind. Blocks: call it in a thread.

        Where the volume takes none it lies in memory, so that what is prepared goes out without room; raises `Later` while
        as many of those are open as may be.
        """


class Stock(Protocol):
    """Many files at once."""

    def entries(self, folder: str) -> AsyncGenerator[list[Entry], None]:
        """The files under `shared`, `renditions` or `parts`, some hundreds at a time, in no order. Close it when leaving early."""

    async def stamps(self, keys: Sequence[str]) -> list[str | None]:
        """What `stat` says of several files, all looked up on the one volume that we know."""

    async def remove(self, keys: Sequence[str]) -> dict[str, str]:
        """Remove several files as `delete` does; those that could not be, with the reason."""


class Condition(Protocol):
    """How the volume itself is."""

    async def present(self) -> bool:
        """Whether the volume is there and is the one we know."""

    async def space(self) -> Space:
        """How much room there is."""

    async def require_removal(self) -> None:
        """Return when files could be removed now. Raises `Fault(VOLUME_NOT_WRITABLE)` otherwise; needs no room."""

    async def try_out(self) -> Trial:
        """Write a small file aside, flush it, rename it and remove it. Raises `Fault(VOLUME_NOT_WRITABLE)` for whatever hinders that."""


class Volume(Files, Workplace, Stock, Condition, Protocol):
    """Every call raises `Later(VOLUME_MISSING)` while the volume is not the one we know.

    Writes raise `Fault(VOLUME_FULL | VOLUME_NOT_WRITABLE)`; a key that is not there raises `Fault(MEDIA_GONE)`.
    """
