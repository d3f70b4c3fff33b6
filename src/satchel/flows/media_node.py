"""Upload and delete of /v1/media. Bytes, row, promise when creating; promise, row, bytes when destroying."""

import asyncio
import hashlib
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

import structlog

from satchel.db import CommitUnknown, Tx, idempotency, remotes, renditions, settings
from satchel.db import media as rows
from satchel.db.idempotency import Request
from satchel.domain.errors import DIGEST_MISMATCH, EMPTY_UPLOAD, MEDIA_UNKNOWN, UPLOAD_TOO_LARGE, Fault, Later
from satchel.domain.media import Media
from satchel.domain.quantities import shown_bytes, shown_size
from satchel.flows import Ports
from satchel.flows.idempotency import answer_once
from satchel.observe import metrics
from satchel.volume import Content, Stored

log = structlog.get_logger("satchel.flows")
MEDIA_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True)
class Upload:
    """What a client says of the bytes it sends. `declared`: their number where known; `sha256`: hexadecimal, to hold them against.

    `key`: its Idempotency-Key.
    """

    mime: str
    user: str
    declared: int | None = None
    sha256: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Uploaded:
    """`replayed`: the same request had been answered before, with this id."""

    id: str
    replayed: bool = False


def key_of(media_id: str) -> str:
    """The volume key of a media's own bytes."""
    return f"shared/{media_id}"


def key_of_made(file: str) -> str:
    """The volume key of what post-processing made."""
    return f"renditions/{file}"


async def sha256_of(content: Content) -> str:
    """Of all that lies in an open file, in hexadecimal; hashed in a thread."""
    sha256 = hashlib.sha256()
    async for block in content.blocks():
        await asyncio.to_thread(sha256.update, block)
    return sha256.hexdigest()


async def upload(ports: Ports, body: AsyncIterator[bytes], said: Upload) -> Uploaded:
    """Store a body on the volume and publish it. Never post-processes: the type is judged when sending.

    Raises `Fault` for an empty body, one over the ceiling, one that does not fit on the volume (both judged before a byte is read
    where the length is known), one that is not what was said of it.
    """
    check_size(said.declared or 0, ports.limits.upload)
    media_id = str(uuid.uuid4())
    stored = await ports.volume.put(key_of(media_id), capped(body, ports.limits.upload), said.declared)
    media = Media(media_id, said.mime, stored.size, stored.sha256, stored.stamp)
    try:
        _check_digest(said, stored)
        first = await ports.db.write(partial(_publish, media=media, said=said), ports.limits.durable)
    except (CommitUnknown, asyncio.CancelledError):
        raise  # the row may stand: its file must stay
    except BaseException:
        await ports.volume.delete(key_of(media_id))
        raise
    if first != media_id:
        await ports.volume.delete(key_of(media_id))
    else:
        metrics.media_upload_bytes.observe(media.size)
    log.info("uploaded", media_id=first, mime=media.mime, size=media.size, user=said.user, replayed=first != media_id)
    return Uploaded(first, replayed=first != media_id)


async def delete(ports: Ports, media_id: str, user: str | None = None) -> None:
    """Gone for every reader at once; the bytes go when the last accepted message that needs them has left."""

    def hide(tx: Tx) -> bool:
        return rows.hide(tx, media_id, user, settings.network_now(tx))

    if not MEDIA_ID.fullmatch(media_id) or not await ports.db.write(hide):
        raise unknown(media_id)
    log.info("deleted", media_id=media_id, user=user)
    await bury(ports)


async def bury(ports: Ports) -> int:
    """Remove the bytes of deleted media that no accepted message needs; how many. Safe to run at any time, any number of times."""
    unneeded = await ports.db.read(rows.unneeded)
    left = await _removed(ports, [key_of(media.id) for media in unneeded]) if unneeded else set()
    gone = [media for media in unneeded if key_of(media.id) not in left]  # the other rows stay `deleting`, and we come again
    # Not durable: what a crash of the machine undoes here is done again.
    files = await ports.db.write(partial(_buried, gone=gone), durable=False) if gone else []
    if files:
        await _removed(ports, [key_of_made(file) for file in files])  # their rows are gone: what stays is swept
    return len(gone)


async def _removed(ports: Ports, keys: list[str]) -> set[str]:
    """Remove files; those that could not be."""
    try:
        left = await ports.volume.remove(keys)
    except Later as later:
        left = dict.fromkeys(keys, later.details)
    if left:
        log.warning("not_buried", count=len(left), some=list(left)[:5], error=next(iter(left.values())))
    return set(left)


async def capped(body: AsyncIterator[bytes], ceiling: int) -> AsyncIterator[bytes]:
    """The body, which may have so many bytes. Raises `Fault(UPLOAD_TOO_LARGE | EMPTY_UPLOAD)`."""
    size = 0
    async for block in body:
        size += len(block)
        check_size(size, ceiling)
        yield block
    if not size:
        raise Fault(EMPTY_UPLOAD, "The body is empty: send the bytes of the file as the body (curl --data-binary @file).")


def check_size(size: int, ceiling: int) -> None:
    """Raise `Fault(UPLOAD_TOO_LARGE)` for more bytes than an upload may have."""
    if size > ceiling:
        raise Fault(
            UPLOAD_TOO_LARGE, f"The upload has more than the limit of {shown_size(ceiling)} ({ceiling} bytes): send a smaller file."
        )


def unknown(media_id: str) -> Fault:
    """No media of this id for anybody who asks."""
    return Fault(MEDIA_UNKNOWN, f"There is no media {media_id[:64]}: it was never uploaded here, or it was deleted. Upload the file again.")


def _publish(tx: Tx, media: Media, said: Upload) -> str:
    """The id that stands: of this upload, or of an earlier one with the same key. Raises `Fault` when the key was for something else."""
    if said.key is not None:
        request = hashlib.sha256(f"media\0{media.mime}\0{media.sha256}".encode()).hexdigest()
        asked = Request(said.user, said.key, request)
        first = answer_once(tx, asked, media.id)
        if first != media.id and rows.live(tx, first) is not None:
            return first
        idempotency.answer_anew(tx, asked, media.id)  # what was answered first has been deleted since
    rows.add(tx, media, said.user, settings.network_now(tx))
    return media.id


def _buried(tx: Tx, gone: list[Media]) -> list[str]:
    """The ids are used up. With the last media of some bytes go their renditions, rows first: the files that are nobody's any more."""
    held = {media.id: rows.all_held(tx, media) for media in gone}
    rows.lock_bytes(tx, chain.from_iterable(held.values()))
    files: list[str] = []
    for media in gone:
        rows.buried(tx, media.id)
        remotes.forget(tx, media.id)
        for sha256 in held[media.id]:
            if not rows.is_held(tx, sha256):
                files += renditions.of_source(tx, sha256)
                renditions.forget(tx, sha256)
    return files


def _check_digest(said: Upload, stored: Stored) -> None:
    if said.sha256 not in (None, stored.sha256):
        raise Fault(
            DIGEST_MISMATCH, f"What came, {shown_bytes(stored.size)}, has the sha256 {stored.sha256}, not {said.sha256}: send it again."
        )
