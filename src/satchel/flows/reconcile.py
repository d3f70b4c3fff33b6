"""Comparing files with rows. A media file without a row is told and never deleted, since it may be a restored database."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

import structlog

from satchel.db import Database, Tx, renditions
from satchel.db import media as rows
from satchel.domain.errors import Fault
from satchel.domain.media import Media
from satchel.flows import Ports
from satchel.flows.media_node import key_of, key_of_made, sha256_of
from satchel.volume import Entry

log = structlog.get_logger("satchel.flows")
SETTLED = 3600.0
"""Seconds after which a published file must have its row, since uploads put the file first, and after which a part is nobody's."""
SHOWN = 5
WithoutRow = Callable[[Tx, Sequence[str]], list[str]]
"""Those of some names that no row has."""


async def strays_among(db: Database, files: Iterable[Entry], without_row: WithoutRow) -> list[Entry]:
    """Those of some files that should have their row by now, and have none."""
    old = {entry.name: entry for entry in files if entry.changed_at < time.time() - SETTLED}
    foreign = [name for name in old if not name.isascii()]  # no name of ours, and perhaps no text that a database takes
    asked = [name for name in old if name.isascii()]
    return [old[name] for name in foreign + await db.read(lambda tx: without_row(tx, asked))]


async def is_back(ports: Ports, media_id: str) -> bool:
    """Whether the file of a missing media lies there again with the same bytes."""
    media = await ports.db.read(lambda tx: rows.lost(tx, media_id), alone=True)
    return media is not None and await stamp_of_same(ports, media) is not None


async def revive(ports: Ports, media_id: str) -> Media | None:
    """A missing media that is back lives again. None for any other, also for one whose name other bytes have now."""
    media = await ports.db.read(lambda tx: rows.lost(tx, media_id), alone=True)
    if media is None or (stamp := await stamp_of_same(ports, media)) is None:
        return None
    if not await ports.db.write(lambda tx: rows.come_back(tx, media_id, stamp)):
        return None
    log.info("file_is_back", media_id=media_id, size=media.size)
    return replace(media, stamp=stamp)


async def stamp_of_same(ports: Ports, media: Media) -> str | None:
    """The stamp of a media's file where its bytes are those of the row."""
    try:
        with closing(await ports.volume.open(key_of(media.id))) as content:
            same = content.size == media.size and await sha256_of(content) == media.sha256
            return content.stamp if same else None
    except Fault:
        return None


async def report_strays(ports: Ports) -> int:
    """How many files under `shared/` belong to no media. Left by a kill between rename and commit, by hand, or by a restored database."""
    strays = await _strays(ports, "shared", rows.without_row)
    if strays:
        log.warning("files_without_rows", count=len(strays), some=strays[:SHOWN])
    return len(strays)


async def sweep_renditions(ports: Ports) -> int:
    """Remove renditions whose row is gone: with it went their key, so they are of use to nobody. How many there were."""
    strays = await _strays(ports, "renditions", renditions.without_row)
    for name in strays:
        await ports.volume.delete(key_of_made(name))
    if strays:
        log.info("renditions_swept", count=len(strays), some=strays[:SHOWN])
    return len(strays)


async def sweep_parts(ports: Ports) -> int:
    """Remove part files that nobody has touched for so long: their writer was killed and did not come back. How many there were."""
    swept = 0
    async for batch in ports.volume.entries("parts"):
        for entry in batch:
            if entry.name.endswith(".part") and entry.changed_at < time.time() - SETTLED:
                await ports.volume.delete(f"parts/{entry.name}")
                swept += 1
    if swept:
        log.info("parts_swept", count=swept)
    return swept


async def _strays(ports: Ports, folder: str, without_row: WithoutRow) -> list[str]:
    found: list[str] = []
    async for batch in ports.volume.entries(folder):
        found += [entry.name for entry in await strays_among(ports.db, batch, without_row)]
    return found
