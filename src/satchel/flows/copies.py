"""`ensure`: a rendition lies at the upstream, encrypted, for the full 14 days. One upload serves any number of recipients."""

import uuid
from collections.abc import Callable

from satchel.db import Tx, renditions, settings
from satchel.db import copies as rows
from satchel.db.copies import StoredCopy
from satchel.domain.errors import MEDIA_CHANGED, MEDIA_GONE, Fault, Later
from satchel.domain.limits import ENCRYPTED_BYTES, encrypted_size
from satchel.domain.media import Media, Rendition
from satchel.domain.plans import too_large
from satchel.flows import Lease, Ports
from satchel.flows.prepare import changed, key_of_rendition

SLACK = 60.0
"""Seconds by which a copy may be older than new and still count as new."""

Failed = Callable[[StoredCopy, float], bool]
"""Whether a copy is the one that somebody could not get, at this network time."""


def fresh(copy: StoredCopy | None, now_net: float) -> bool:
    """Whether a copy's 14 days have just begun."""
    return copy is not None and abs(now_net - copy.placed_net) <= SLACK


async def ensure(ports: Ports, rendition: Rendition, media: Media, lease: Lease) -> StoredCopy:
    """The live copy, if its 14 days have just begun; else one that the upstream confirms or stores now, once for all who ask meanwhile.

    Raises `Fault(TOO_LARGE_TO_SEND)` for a rendition over its ceiling, and what the volume and the upstream raise.
    """
    _check_ceiling(rendition)
    lease.check()
    key = key_of_rendition(rendition, media)
    return await ports.flights.once((rendition.id, key), lambda: _placed(ports, rendition, media, key))


async def _placed(ports: Ports, rendition: Rendition, media: Media, key: str, force: bool = False) -> StoredCopy:
    """Look only now: the one who was first may have ended just before. A copy put twice is one copy, so no lease is asked any more."""
    name = ports.upstream.name
    known, now_net = await ports.db.read(lambda tx: (rows.live(tx, rendition.id, name), settings.network_now(tx)))
    if known is not None and not force and fresh(known, now_net):
        return known
    async with ports.volume.local(key) as path:
        try:
            placed = await ports.upstream.put(rendition, path, known.address if known else None, force)
        except Fault as fault:
            if fault.situation is MEDIA_GONE and rendition.file is not None:  # evicted, or removed by hand, since we found it
                raise Later(MEDIA_GONE, "What had been made of the file is no longer on the media volume and is made again.") from fault
            if fault.situation is not MEDIA_CHANGED or rendition.file is None:
                raise await changed(ports, media, fault) from fault
            await ports.volume.delete(key)  # it is ours and damaged: made again at the next try
            raise Later(MEDIA_CHANGED, "What had been made of the file was damaged on the media volume and is made again.") from fault
    copy = StoredCopy(known.id if known else str(uuid.uuid4()), placed.address, placed.expires_net, now_net)
    return await ports.db.write(lambda tx: _saved(tx, copy, rendition, name), durable=False)  # lost in a crash, it costs a look


def _saved(tx: Tx, copy: StoredCopy, rendition: Rendition, name: str) -> StoredCopy:
    """Raises `Later` when the rendition was evicted while it went out: it is made again, with another key."""
    if not renditions.went_out(tx, rendition.id):
        raise Later(MEDIA_GONE, "What had been made of the file was evicted from the media volume and is made again.")
    return rows.save(tx, copy, rendition.id, name)


async def renew(ports: Ports, rendition: Rendition, media: Media, lease: Lease, failed: Failed) -> StoredCopy:
    """The copy that stands, for a phone that could not get one; put again if it is this one or its time is over. `failed`: whether it is.

    Raises as `ensure`, and `Later(MEDIA_CHANGED)` for what had been made of the file and was damaged.
    """
    lease.check()
    key = key_of_rendition(rendition, media)
    return await ports.flights.once(("renew", rendition.id, key), lambda: _renewed(ports, rendition, media, key, failed))


async def _renewed(ports: Ports, rendition: Rendition, media: Media, key: str, failed: Failed) -> StoredCopy:
    name = ports.upstream.name
    known, now_net = await ports.db.read(lambda tx: (rows.live(tx, rendition.id, name), settings.network_now(tx)))
    lives = known is not None and known.expires_net > now_net + SLACK
    if known is not None and lives and not failed(known, now_net):
        return known
    return await _placed(ports, rendition, media, key, force=lives)


async def expire(ports: Ports, copy: StoredCopy) -> None:
    """The upstream lost this copy."""
    await ports.db.write(lambda tx: rows.expire(tx, copy.id))


def _check_ceiling(rendition: Rendition) -> None:
    if encrypted_size(rendition.size) > ENCRYPTED_BYTES[rendition.media_type]:
        raise too_large(rendition.size, rendition.media_type)
