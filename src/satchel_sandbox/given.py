"""Files that a test or a person gives to a phone, to be sent from it. Named by the SHA-256 of their bytes, in the world's folder of phones.

Nothing is taken from a path on this machine: whoever may talk to the control API could else read any file.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from .errors import Refusal, invalid
from .files import PartFile

MOST = 110 * 1024 * 1024  # bytes of a file; the node takes less, which is to be tried out
_BLOCK = 1 << 20


def path(folder: Path, name: str) -> Path:
    """Where a given file lies; refused when there is none of this name."""
    fits = len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)
    found = folder / f"given-{name}"
    if not fits or not found.is_file():
        raise Refusal(404, "unknown_file", "There is no file of this name on the phone: POST its bytes to /sandbox/phones/{number}/files.")
    return found


async def take(folder: Path, body: AsyncIterator[bytes], durable: bool) -> tuple[str, int]:
    """Keep the bytes of a request; their name and number."""
    part = await asyncio.to_thread(PartFile, folder / "given", durable)
    digest, size, blocks, waiting = hashlib.sha256(), 0, list[bytes](), 0
    try:
        async for block in body:
            blocks.append(block)
            waiting += len(block)
            size += len(block)
            if size > MOST:
                raise invalid(f"The file is larger than {MOST} bytes.")
            if waiting >= _BLOCK:
                await asyncio.to_thread(_write, part, digest, blocks)
                blocks, waiting = [], 0
        await asyncio.to_thread(_write, part, digest, blocks)
        name = digest.hexdigest()
        await asyncio.to_thread(part.publish, folder / f"given-{name}")
    finally:
        await asyncio.to_thread(part.discard)
    return name, size


def keep(source: Path, target: Path) -> None:
    """A phone's own copy of what it sends: a second name of the same bytes, which nobody rewrites."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass


def _write(part: PartFile, digest: "hashlib._Hash", blocks: list[bytes]) -> None:
    for block in blocks:
        part.write(block)
        digest.update(block)
