"""Comparing files with rows. A media file without a row is told and never deleted, since it may be a restored database."""

import time
from functools import partial

import structlog

from satchel.db import media as rows
from satchel.db import renditions
from satchel.flows import Ports

log = structlog.get_logger("satchel.flows")
SETTLED = 3600.0
"""Seconds after which a published file must have its row: uploads put the file first."""
SHOWN = 5


async def report_strays(ports: Ports) -> int:
    """How many files under `shared/` belong to no media. Left by a kill between rename and commit, by hand, or by a restored database."""
    strays: list[str] = []
    async for batch in ports.volume.entries("shared"):
        old = [name for name, changed_at in batch if changed_at < time.time() - SETTLED]
        strays += await ports.db.read(partial(rows.without_row, names=old))
    if strays:
        log.warning("files_without_rows", count=len(strays), some=strays[:SHOWN])
    return len(strays)


async def sweep_renditions(ports: Ports) -> int:
    """Remove renditions whose row is gone: with it went their key, so they are of use to nobody. How many there were."""
    strays: list[str] = []
    async for batch in ports.volume.entries("renditions"):
        old = [name for name, changed_at in batch if changed_at < time.time() - SETTLED]
        strays += await ports.db.read(partial(renditions.without_row, names=old))
    for name in strays:
        await ports.volume.delete(f"renditions/{name}")
    if strays:
        log.info("renditions_swept", count=len(strays), some=strays[:SHOWN])
    return len(strays)
