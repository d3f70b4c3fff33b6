"""The media server's bytes: encrypted blobs in a folder per world, named by their token. It knows no rows and no clock."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from . import encrypt, files, receiving
from .encrypt import Sealed
from .envelope import MediaType
from .errors import Refusal
from .files import PartFile
from .receiving import Receiving

_BLOCK = 1 << 20  # bytes gathered before they go to a thread: a hop per socket read would cost more than the hashing


class Vault:
    """open a world; put, holds, path, drop in it. A name shows only whole, durable bytes whose SHA-256 is the name."""

    def __init__(self, root: Path, durable: bool) -> None:
        self._root = root
        self._durable = durable

    def path(self, world: str, token: str) -> Path:
        return self._root / world / f"{token}.enc"

    async def open(self, world: str, now: float) -> None:
        """Make room for a world; what an earlier process was receiving in it can be gone on with."""
        await asyncio.to_thread(self._open, world, now)

    async def close_others(self, world: str) -> list[Path]:
        """Forget every other world; the folders to remove."""
        return await asyncio.to_thread(files.close_worlds, self._root, world)

    async def holds(self, world: str, token: str) -> bool:
        return await asyncio.to_thread(self.path(world, token).is_file)

    async def kept(self, world: str, token: str, now: float) -> int:
        """How many bytes are here of an upload that broke off; they stay for a day of network time."""
        return await asyncio.to_thread(receiving.kept, self.path(world, token), now)

    async def drop(self, world: str, tokens: list[str]) -> None:
        """Remove bytes; those that are gone already are no error."""
        for token in tokens:
            await asyncio.to_thread(self.path(world, token).unlink, missing_ok=True)

    async def seal(self, world: str, source: Path, media_key: bytes, media_type: MediaType) -> Sealed:
        """Take in what a phone sends: the blob that a plain file becomes under a key.

        Raises FileNotFoundError for a file or a world that is gone.
        """
        return await asyncio.to_thread(self._seal, world, source, media_key, media_type)

    async def sweep(self, world: str, now: float) -> None:
        """Forget what broke off too long ago."""
        await asyncio.to_thread(receiving.sweep, self._root / world, now)

    async def put(self, world: str, token: str, body: AsyncIterator[bytes], now: float, offset: int = 0) -> int:
        """Take the bytes in, from `offset` on if an earlier upload broke off, and return the number of all of them.

        Nothing is published if body raises or its SHA-256 is not the token's; if body breaks off, what came is kept.
        Bytes that are there already are replaced by the same bytes in one step, which also mends a file removed by hand.
        Raises HashMismatch, WrongOffset, and FileNotFoundError when the world was forgotten meanwhile.
        """
        upload = Receiving(self.path(world, token), offset, self._durable)
        blocks: list[bytes] = []
        size = 0
        try:
            async for block in body:
                blocks.append(block)
                size += len(block)
                if size >= _BLOCK:
                    gathered, blocks, size = b"".join(blocks), [], 0
                    await asyncio.to_thread(upload.take, gathered)
        except (Refusal, receiving.WrongOffset, OSError):
            await asyncio.to_thread(upload.discard)
            raise
        except BaseException:  # the sender went away, or we are about to
            await asyncio.to_thread(self._keep, upload, b"".join(blocks), world, now)
            raise
        return await asyncio.to_thread(self._finish, upload, b"".join(blocks))

    def _open(self, world: str, now: float) -> None:
        folder = files.open_world(self._root, world, self._durable)
        receiving.adopt(folder, now)
        receiving.sweep(folder, now)

    def _seal(self, world: str, source: Path, media_key: bytes, media_type: MediaType) -> Sealed:
        with source.open("rb") as plain:
            part = PartFile(self.path(world, receiving.SEALING), self._durable)
            try:
                sealed = encrypt.seal_into(plain, part, media_key, media_type)
                part.publish(self.path(world, sealed.token))
            finally:
                part.discard()
        return sealed

    def _keep(self, upload: Receiving, block: bytes, world: str, now: float) -> None:
        try:
            receiving.sweep(self._root / world, now)
            upload.keep(block, now)
        finally:
            upload.discard()

    def _finish(self, upload: Receiving, block: bytes) -> int:
        try:
            return upload.finish(block)
        finally:
            upload.discard()
