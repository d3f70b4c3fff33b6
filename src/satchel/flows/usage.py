"""What fills the volume: kinds of files by their rows, and what has no rows by a look at the folder that does not read it to its end."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from satchel import mounts
from satchel.db import Database, media, usage
from satchel.flows.reconcile import SETTLED
from satchel.volume import Space, Volume, figures
from satchel.volume.figures import Found

LOOKED = 5_000
"""Files looked at in a folder: a million would take minutes on a network file system."""
KINDS = {"up": "outbound", "in": "inbound", "link": "links"}


@dataclass(frozen=True)
class Kind:
    """`source`: `rows` or `folder`; `looked`: how many files were looked at where that was not all of them."""

    name: str
    files: int
    bytes: int
    source: str
    looked: int | None = None


@dataclass(frozen=True)
class Usage:
    """Of one volume."""

    space: Space
    file_system: str
    kinds: list[Kind]


async def measure(db: Database, volume: Volume, root: Path) -> Usage:
    """The figures of a volume. Raises `Later(VOLUME_MISSING)` where the folder is not the volume of this database."""
    space = await volume.space()
    kinds = [Kind(name, *await db.read(partial(usage.media, direction=direction)), "rows") for direction, name in KINDS.items()]
    kinds.append(Kind("renditions", *await db.read(usage.renditions), "rows"))
    kinds.append(_kind("parts", *await asyncio.to_thread(figures.files, root / "parts", LOOKED)))
    kinds.append(await _strays(db, root))
    return Usage(space, mounts.kind_of(root), kinds)


async def _strays(db: Database, root: Path) -> Kind:
    """Files that belong to no media; young ones may still get their row."""
    found, complete = await asyncio.to_thread(figures.files, root / "shared", LOOKED)
    old = [file for file in found if file.changed_at < time.time() - SETTLED]
    strays = set(await db.read(lambda tx: media.without_row(tx, [file.name for file in old])))
    kind = _kind("strays", [file for file in old if file.name in strays], complete)
    return kind if complete else Kind(kind.name, kind.files, kind.bytes, kind.source, len(found))


def _kind(name: str, found: list[Found], complete: bool) -> Kind:
    return Kind(name, len(found), sum(file.size for file in found), "folder", None if complete else len(found))
