"""An adapter at work with the simulated network, and what its phones have."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from satchel.domain.media import Rendition
from satchel.domain.messages import Outgoing
from satchel.upstream import Config, Copy, Envelope, Placed
from satchel.upstream.sandbox import Sandbox
from satchel.volume.folder import Folder
from satchel.volume.reading import open_plain

from ..sandbox import running as network
from ..sandbox.running import BUSINESS, PHONE, SECRET

MEBIBYTE = 1 << 20


@dataclass
class Desk:
    """An adapter, the network it talks to, and how often it asked for a spool."""

    upstream: Sandbox
    network: network.Sandbox
    folder: Path
    vault: Path
    spooled: list[BinaryIO] = field(default_factory=list)

    def rendition(self, plain: bytes, media_type: str = "document", key: bytes = bytes(range(32))) -> tuple[Rendition, Path]:
        sha256 = hashlib.sha256(plain).hexdigest()
        path = self.folder / sha256
        path.write_bytes(plain)
        return Rendition("r", sha256, media_type, "p", None, "application/pdf", len(plain), sha256, key), path

    async def world(self) -> str:
        return (await self.upstream.state()).world

    async def uploads(self) -> int:
        """Encrypted blobs that the network has taken in."""
        return len(list(self.vault.rglob("*.enc")))


@asynccontextmanager
async def opened(sandbox: network.Sandbox, tmp_path: Path, vault: Path, secret: str = SECRET) -> AsyncIterator[Desk]:
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    volume = Folder(tmp_path / "media", "host.web.0")
    volume.settle_in("known", first=True)
    spooled: list[BinaryIO] = []

    def spool(size: int) -> BinaryIO:
        spooled.append(volume.spool(size))
        return spooled[-1]

    upstream = Sandbox(Config(url=sandbox.url, secret=secret, number=BUSINESS), spool, open_plain)
    try:
        yield Desk(upstream, sandbox, folder, vault, spooled)
    finally:
        await upstream.close()


def envelope(rendition: Rendition, copy: Copy, message: str = "m1", world: str | None = None) -> Envelope:
    outgoing = Outgoing(PHONE, rendition.media_type, "m", "A caption", "a.pdf")
    return Envelope(message, world, outgoing, Placed(rendition.mime, rendition, copy))


async def on_phone(desk: Desk, message: str) -> bytes:
    status, _, got = await desk.network.bytes(f"/sandbox/phones/{PHONE}/messages/{message}/media")
    assert status == 200, got
    return got
