"""The media server's bytes: encrypted blobs in a folder per world, named by their token. It knows no rows and no time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from . import files
from .copies import token_of

_BLOCK = 1 << 20  # bytes gathered before they go to a thread: a hop per socket read would cost more than the hashing


class HashMismatch(Exception):
    """The bytes are not those of the token."""


class Vault:
    """open a world; put, holds, path, drop in it. A name shows only whole, durable bytes whose SHA-256 is the name."""

    def __init__(self, root: Path, durable: bool) -> None:
        self._root = root
        self._durable = durable

    def path(self, world: str, token: str) -> Path:
        return self._root / world / f"{token}.enc"

    async def open(self, world: str) -> None:
        """Make room for a world; other worlds go, and what an earlier process left unfinished."""
        await asyncio.to_thread(files.open_world, self._root, world, self._durable)

    async def holds(self, world: str, token: str) -> bool:
        return await asyncio.to_thread(self.path(world, token).is_file)

    async def drop(self, world: str, tokens: list[str]) -> None:
        """Remove bytes; those that are gone already are no error."""
        for token in tokens:
            await asyncio.to_thread(self.path(world, token).unlink, missing_ok=True)

    async def put(self, world: str, token: str, body: AsyncIterator[bytes]) -> int:
        """Take the bytes in and return their number. Nothing is published if body raises or its SHA-256 is not the token's.

        Bytes that are there already are replaced by the same bytes in one step, which also mends a file removed by hand.
        Raises FileNotFoundError when the world was forgotten meanwhile.
        """
        part = await asyncio.to_thread(files.PartFile, self.path(world, token), self._durable)
        digest, size = hashlib.sha256(), 0

        def take(block: bytes) -> None:
            digest.update(block)
            part.write(block)

        try:
            async for block in _gathered(body):
                size += len(block)
                await asyncio.to_thread(take, block)
            if token_of(digest.digest()) != token:
                raise HashMismatch
            await asyncio.to_thread(part.publish)
        finally:
            await asyncio.to_thread(part.discard)
        return size


async def _gathered(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    blocks: list[bytes] = []
    size = 0
    async for block in body:
        blocks.append(block)
        size += len(block)
        if size >= _BLOCK:
            yield b"".join(blocks)
            blocks, size = [], 0
    if blocks:
        yield b"".join(blocks)
