"""What fills the volume: kinds of files by their rows, and what has no rows by a look at the folder that does not read it to its end."""

from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from satchel.db import Database, media, usage
from satchel.flows.reconcile import strays_among
from satchel.volume import Entry, Space, Volume

LOOKED = 5_000
"""Files looked at in a folder: a million would take minutes on a network file system."""
KINDS = {"up": "uploaded", "in": "received", "link": "linked"}
"""The words that rows and the listing's API have for where a media came from, and what people read."""


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
    kinds: list[Kind]


async def measure(db: Database, volume: Volume) -> Usage:
    """The figures of a volume. Raises `Later(VOLUME_MISSING)` where it is not the one of this database."""
    space = await volume.space()
    kinds = [Kind(name, *await db.read(partial(usage.media, direction=direction)), "rows") for direction, name in KINDS.items()]
    kinds.append(Kind("renditions", *await db.read(usage.renditions), "rows"))
    kinds.append(_kind("parts", *await _first(volume, "parts")))
    kinds.append(await _strays(db, volume))
    return Usage(space, kinds)


async def _strays(db: Database, volume: Volume) -> Kind:
    """Files that belong to no media."""
    found, looked = await _first(volume, "shared")
    return _kind("strays", await strays_among(db, found, media.without_row), looked)


async def _first(volume: Volume, folder: str) -> tuple[list[Entry], int | None]:
    """The first `LOOKED` files of a folder, and their number where there are more."""
    found: list[Entry] = []
    async with aclosing(volume.entries(folder)) as batches:
        async for batch in batches:
            found += batch
            if len(found) > LOOKED:
                return found[:LOOKED], LOOKED
    return found, None


def _kind(name: str, found: list[Entry], looked: int | None) -> Kind:
    return Kind(name, len(found), sum(entry.size for entry in found), "folder", looked)
