"""The paths of /v1/media: upload, read, delete. Bytes, row, promise when creating; promise, row, bytes when destroying."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from satchel.db import CommitUnknown, Tx, renditions, settings
from satchel.db import media as rows
from satchel.domain.errors import EMPTY_UPLOAD, MEDIA_GONE, MEDIA_UNKNOWN, UPLOAD_TOO_LARGE, Fault, Later
from satchel.domain.limits import MB
from satchel.domain.media import Media
from satchel.flows import Ports
from satchel.volume import Content

log = structlog.get_logger("satchel.flows")
MEDIA_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True)
class Reading:
    """A media being read."""

    media: Media
    content: Content


def key_of(media_id: str) -> str:
    """The volume key of a media's own bytes."""
    return f"shared/{media_id}"


async def upload(ports: Ports, body: AsyncIterator[bytes], mime: str, user: str, declared: int | None = None) -> Media:
    """Store a body on the volume and publish it. Never post-processes: the type is judged when sending.

    Raises `Fault` for an empty body or one over the ceiling (`declared`: its length in bytes where known, judged before a byte is read).
    """
    _check_size(declared or 0, ports.limits.upload)
    media_id = str(uuid.uuid4())
    stored = await ports.volume.put(key_of(media_id), _capped(body, ports.limits.upload))
    media = Media(media_id, mime, stored.size, stored.sha256)
    try:
        await ports.db.write(lambda tx: rows.add(tx, media, stored.stamp, user, settings.network_now(tx)))
    except (CommitUnknown, asyncio.CancelledError):
        raise  # the row may stand: its file must stay
    except BaseException:
        await ports.volume.delete(key_of(media_id))
        raise
    return media


@asynccontextmanager
async def read(ports: Ports, media_id: str) -> AsyncIterator[Reading]:
    """Open a media's own bytes. Raises `Fault(MEDIA_UNKNOWN)` when there is no such media, or its file was removed by hand."""
    media = await ports.db.read(lambda tx: rows.live(tx, media_id)) if MEDIA_ID.fullmatch(media_id) else None
    if media is None:
        raise unknown(media_id)
    async with _opened(ports, media) as content:
        yield Reading(media, content)


async def delete(ports: Ports, media_id: str) -> None:
    """Gone for every reader at once; the bytes go when the last accepted message that needs them has left."""
    hidden = await ports.db.write(lambda tx: rows.hide(tx, media_id)) if MEDIA_ID.fullmatch(media_id) else False
    if not hidden:
        raise unknown(media_id)
    await bury(ports)


async def bury(ports: Ports) -> None:
    """Remove the bytes of deleted media that no accepted message needs. Safe to run at any time, any number of times."""
    for media in await ports.db.read(rows.unneeded) if await ports.volume.present() else []:
        try:
            await ports.volume.delete(key_of(media.id))
            for file in await ports.db.write(partial(_buried, media=media)):
                await ports.volume.delete(f"renditions/{file}")
        except (Later, Fault, OSError) as error:
            log.warning("not_buried", media_id=media.id, error=str(error))  # the row stays `deleting`, and we come again


def unknown(media_id: str) -> Fault:
    """No media of this id for anybody who asks."""
    return Fault(MEDIA_UNKNOWN, f"There is no media {media_id[:64]}: it was never uploaded here, or it was deleted. Upload the file again.")


def _buried(tx: Tx, media: Media) -> list[str]:
    """The id is used up. With the last media of these bytes go their renditions, rows first: the files that are nobody's any more.

    One at a time for the same bytes, or two that go at once would each take the other for a holder.
    """
    tx.lock(int(media.sha256[:15], 16))
    rows.buried(tx, media.id)
    if rows.others_hold(tx, media):
        return []
    files = renditions.of_source(tx, media.sha256)
    renditions.forget(tx, media.sha256)
    return files


@asynccontextmanager
async def _opened(ports: Ports, media: Media) -> AsyncIterator[Content]:
    try:
        async with ports.volume.open(key_of(media.id)) as content:
            yield content
    except Fault as fault:
        if fault.situation is MEDIA_GONE:
            raise unknown(media.id) from fault
        raise


async def _capped(body: AsyncIterator[bytes], ceiling: int) -> AsyncIterator[bytes]:
    size = 0
    async for block in body:
        size += len(block)
        _check_size(size, ceiling)
        yield block
    if not size:
        raise Fault(EMPTY_UPLOAD, "The body is empty: send the bytes of the file as the body (curl --data-binary @file).")


def _check_size(size: int, ceiling: int) -> None:
    if size > ceiling:
        raise Fault(UPLOAD_TOO_LARGE, f"The upload has {size / MB:.1f} MiB or more; the limit is {ceiling / MB:g} MiB.")
