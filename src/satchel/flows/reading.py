"""Reading of /v1/media, and the second look at a file that was changed by hand: the file is the truth, the row its index."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from satchel.db import Tx
from satchel.db import media as rows
from satchel.domain.errors import MEDIA_CHANGED, MEDIA_GONE, Fault, Later
from satchel.domain.media import Media
from satchel.flows import Ports, reconcile
from satchel.flows.media_node import MEDIA_ID, key_of, sha256_of, unknown
from satchel.flows.tokens import Claims
from satchel.volume import Content

log = structlog.get_logger("satchel.flows")


@dataclass(frozen=True)
class Reading:
    """A media being read; close its content."""

    media: Media
    content: Content


def look_for(media_id: str) -> Callable[[Tx, Claims], tuple[bool, Media | None]]:
    """The look for the media that readers may see, and for whether the reader's token lives."""
    known = media_id if MEDIA_ID.fullmatch(media_id) else ""
    return lambda tx, claims: rows.live_and_bearer(tx, known, claims.sub, claims.epoch, claims.jti)


def open_now(ports: Ports, media_id: str, claims: Claims) -> Reading | None:
    """A media that its reader may see and whose file is as the row says, where nothing has to be waited for; None in any other case."""
    lives, media = ports.db.read_now(rows.live_and_bearer, media_id, claims.sub, claims.epoch, claims.jti) or (False, None)
    content = ports.volume.open_now(key_of(media_id)) if lives and media is not None else None
    if media is None or content is None:
        return None
    if content.stamp == media.stamp:
        return Reading(media, content)
    content.close()
    return None


async def open_media(ports: Ports, media_id: str, media: Media | None) -> Reading:
    """Open a media's own bytes; `media`: what `look_for` found. Raises `Fault(MEDIA_UNKNOWN)` when there is none, or no file."""
    if media is None:
        media = await reconcile.revive(ports, media_id) if MEDIA_ID.fullmatch(media_id) else None
    if media is None:
        raise unknown(media_id)
    try:
        content = await ports.volume.open(key_of(media_id))
    except Fault as fault:
        if fault.situation is MEDIA_GONE:
            raise unknown(media_id) from fault
        raise
    return await _as_it_lies(ports, media, content)


async def as_it_lies(ports: Ports, media: Media) -> Media:
    """The media as its file is now. Raises `Fault(MEDIA_GONE)`, and `Later` while somebody is writing to the file."""
    if await ports.volume.stat(key_of(media.id)) == media.stamp:
        return media
    reading = await _as_it_lies(ports, media, await ports.volume.open(key_of(media.id)))
    reading.content.close()
    return reading.media


async def _as_it_lies(ports: Ports, media: Media, content: Content) -> Reading:
    if content.stamp == media.stamp:
        return Reading(media, content)
    try:
        return Reading(await _looked_again(ports, media, content), content)
    except BaseException:
        content.close()
        raise


async def _looked_again(ports: Ports, media: Media, content: Content) -> Media:
    """Hash a file whose stamp is not the row's, and note what lies there. The same bytes under a new stamp change nothing else."""
    found = replace(media, size=content.size, sha256=await sha256_of(content), stamp=content.stamp)
    if await ports.volume.stat(key_of(media.id)) != content.stamp:
        raise Later(MEDIA_CHANGED, f"The file shared/{media.id} is being changed by hand: fetch it again in a moment.", 2.0)
    await ports.db.write(lambda tx: rows.looked_again(tx, media, found))
    log.warning("file_changed_by_hand", media_id=media.id, size=found.size, sha256=found.sha256, same_bytes=found.sha256 == media.sha256)
    return found
