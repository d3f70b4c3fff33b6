"""Both directions of reconcile at once, for a person who asks: rows without files and files without rows, while the node runs.

What is missed is marked only when it has been missed twice, some time apart, and never when it is more than a person should look at first.
Nothing is judged while the volume is not the one we know: then all of this raises `Later`.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

import structlog

from satchel.db import media as rows
from satchel.db import renditions
from satchel.db.media import Kept
from satchel.flows import Ports, media_node, reconcile
from satchel.flows.media_node import key_of, key_of_made
from satchel.flows.reconcile import SHOWN, strays_among
from satchel.volume import Entry

log = structlog.get_logger("satchel.flows")
APART = 600.0
"""Seconds between two sightings of a file that is not there: NFS may remember for a while that there is none."""
MANY_SHARE, MANY_LEAST = 0.01, 10
"""What is more than this share of all, and more than so many, is for a person to look at."""
BATCH = 1000


@dataclass(frozen=True)
class Asked:
    """`repair`: mark, sweep and take back; `remove_strays`: also remove files without rows; `many`: however many they are.

    `apart`: seconds between the two sightings; `tell`: called with the number of rows and files looked at so far.
    """

    repair: bool = False
    remove_strays: bool = False
    many: bool = False
    apart: float = APART
    tell: Callable[[int], None] = lambda looked: None


@dataclass
class Found:
    """What came of it; `some`: a few names for each finding. `held_back`: why a repair was left to a person, in sentences."""

    rows: int = 0
    files: int = 0
    missing: int = 0
    young: int = 0
    marked: int = 0
    lost: int = 0
    back: int = 0
    differs: int = 0
    revived: int = 0
    changed: int = 0
    strays: int = 0
    stray_bytes: int = 0
    strays_removed: int = 0
    odd: int = 0
    renditions_missing: int = 0
    renditions_stray: int = 0
    swept: int = 0
    buried: int = 0
    held_back: list[str] = field(default_factory=list)
    some: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, names: list[str]) -> None:
        """Keep a few names."""
        kept = self.some.setdefault(what, [])
        kept += names[: SHOWN - len(kept)]

    @property
    def problems(self) -> int:
        """What is not in order and was not made so."""
        unmarked, back, strays = self.missing - self.marked, self.back - self.revived, self.strays - self.strays_removed
        return unmarked + back + self.differs + strays + self.odd + self.renditions_missing + (self.renditions_stray - self.swept)


async def check(ports: Ports, asked: Asked) -> Found:
    """Look at everything once, and repair what was asked for. Raises `Later` where the volume or the database goes away.

    A repair raises `Fault` where nothing can be removed.
    """
    found = Found()
    await _rows(ports, asked, found)
    await _files(ports, asked, found)
    await _renditions(ports, asked, found)
    if asked.repair:
        await _mark(ports, asked, found)
        if asked.remove_strays:
            await _remove_strays(ports, asked, found)
        found.swept += await reconcile.sweep_renditions(ports)
        await reconcile.sweep_parts(ports)
        while buried := await media_node.bury(ports):
            found.buried += buried
    log.info("fsck", rows=found.rows, files=found.files, missing=found.missing, strays=found.strays, problems=found.problems)
    return found


async def _rows(ports: Ports, asked: Asked, found: Found) -> None:
    """From the row to the file."""
    after = ""
    while batch := await ports.db.read(partial(rows.kept, after=after, limit=BATCH), alone=True):
        after = batch[-1].id
        stamps = await ports.volume.stamps([key_of(row.id) for row in batch])
        found.rows += len(batch)
        gone = [row.id for row, stamp in zip(batch, stamps, strict=True) if stamp is None and row.state == "live"]
        await _miss(ports, asked, found, gone)
        there = [(row, stamp) for row, stamp in zip(batch, stamps, strict=True) if stamp is not None]
        await _there(ports, [row for row, _ in there if row.state == "live"])
        found.changed += sum(row.state == "live" and stamp != row.stamp for row, stamp in there)
        found.lost += sum(stamp is None and row.state == "missing" for row, stamp in zip(batch, stamps, strict=True))
        for row in (row for row, _ in there if row.state == "missing"):
            await _back(ports, asked, found, row)
        asked.tell(found.rows + found.files)
        await asyncio.sleep(0)


async def _miss(ports: Ports, asked: Asked, found: Found, gone: list[str]) -> None:
    if not gone:
        return
    ages = await ports.db.write(partial(rows.miss, ids=gone))  # fewer, where some were deleted in order since we looked
    found.missing += len(ages)
    found.young += sum(age < asked.apart for age in ages)
    found.note("missing", gone)


async def _there(ports: Ports, live: list[Kept]) -> None:
    """A file that was missed once and lies there now starts anew."""
    if missed := [row.id for row in live if row.missed is not None]:
        await ports.db.write(partial(rows.found, ids=missed))


async def _back(ports: Ports, asked: Asked, found: Found, row: Kept) -> None:
    """A missing file lies there again."""
    same = await reconcile.is_back(ports, row.id)
    revived = same and asked.repair and await reconcile.revive(ports, row.id) is not None
    if not revived and await ports.db.read(partial(rows.lost, media_id=row.id), alone=True) is None:
        return  # a reader, a send or a deletion was first
    found.back += same
    found.differs += not same
    found.note("back" if same else "differs", [row.id])
    found.revived += revived


async def _files(ports: Ports, asked: Asked, found: Found) -> None:
    """From the file to the row."""
    async with aclosing(ports.volume.entries("shared")) as batches:
        async for batch in batches:
            found.files += len(batch)
            odd = [entry.name for entry in batch if not entry.plain]
            found.odd += len(odd)
            found.note("odd", odd)
            strays = await _strays(ports, batch)
            found.strays += len(strays)
            found.stray_bytes += sum(entry.size for entry in strays)
            found.note("strays", [entry.name for entry in strays])
            asked.tell(found.rows + found.files)
            await asyncio.sleep(0)


async def _strays(ports: Ports, batch: list[Entry]) -> list[Entry]:
    return await strays_among(ports.db, [entry for entry in batch if entry.plain], rows.without_row)


async def _renditions(ports: Ports, asked: Asked, found: Found) -> None:
    after = ""
    while batch := await ports.db.read(partial(renditions.files, after=after, limit=BATCH), alone=True):
        after = batch[-1][0]
        stamps = await ports.volume.stamps([key_of_made(file) for _, file in batch])
        gone = [(id_, file) for (id_, file), stamp in zip(batch, stamps, strict=True) if stamp is None]
        dropped = set(await ports.db.read(partial(renditions.without_row, names=[file for _, file in gone]), alone=True))
        for id_, file in gone:
            if file in dropped:
                continue  # it went in order since we looked, or was made anew
            if asked.repair and await ports.db.write(partial(renditions.evict, rendition_id=id_)) is not None:
                continue  # it had not gone out: it is made again when somebody needs it
            found.renditions_missing += 1
            found.note("renditions missing", [file])
        asked.tell(found.rows + found.files)
        await asyncio.sleep(0)
    async with aclosing(ports.volume.entries("renditions")) as batches:
        async for entries in batches:
            plain = [entry for entry in entries if entry.plain]
            found.renditions_stray += len(await strays_among(ports.db, plain, renditions.without_row))


async def _mark(ports: Ports, asked: Asked, found: Found) -> None:
    """Mark what was missed twice, after one more look at each."""
    if not asked.many and (told := _too_many("media have no file", found.missing, found.rows)):
        found.held_back.append(told)
        return
    after = ""
    while names := await ports.db.read(partial(rows.missed, after=after, apart=asked.apart, limit=BATCH), alone=True):
        after = names[-1]
        stamps = await ports.volume.stamps([key_of(name) for name in names])
        gone = [name for name, stamp in zip(names, stamps, strict=True) if stamp is None]
        if gone:
            found.marked += await ports.db.write(partial(rows.lose, ids=gone, apart=asked.apart))
    if found.marked:
        log.warning("files_missing", count=found.marked, some=found.some.get("missing", []))


async def _remove_strays(ports: Ports, asked: Asked, found: Found) -> None:
    if not asked.many and (told := _too_many("files belong to no media", found.strays, found.files)):
        found.held_back.append(told)
        return
    async with aclosing(ports.volume.entries("shared")) as batches:
        async for batch in batches:
            for entry in await _strays(ports, batch):
                await ports.volume.delete(key_of(entry.name))
                found.strays_removed += 1
    log.warning("strays_removed", count=found.strays_removed, some=found.some.get("strays", []))


def _too_many(what: str, count: int, of: int) -> str:
    """Why a person should look first; nothing where they are few."""
    if count <= max(MANY_LEAST, MANY_SHARE * of):
        return ""
    return f"{count:,} of {of:,} {what}, more than 1 %: is this the right volume, the right database, all of it mounted?"
