"""The path of a message: accepted at the door, then prepared, copied and handed to the upstream in its recipient's lane."""

import secrets
import time
from dataclasses import dataclass

import structlog

from satchel.db import Tx, providers, settings
from satchel.db import media as media_rows
from satchel.db import messages as rows
from satchel.db.copies import StoredCopy
from satchel.db.idempotency import Request
from satchel.db.messages import Waiting
from satchel.domain.errors import (
    BUG,
    MEDIA_GONE,
    MEDIA_TOO_HEAVY,
    MEDIA_UNKNOWN,
    NOT_DELIVERED,
    PARAMETER_INVALID,
    SITUATIONS,
    UPSTREAM_DOWN,
    VOLUME_FULL,
    VOLUME_NOT_WRITABLE,
    Fault,
    Later,
)
from satchel.domain.limits import GIVE_UP_SENDING, WAIT_FOR_RENDITION, WAIT_FOR_ROOM
from satchel.domain.media import Media, Refusal, Rendition
from satchel.domain.messages import Outgoing
from satchel.domain.statuses import Status
from satchel.flows import Lease, Ports, Settle, copies, media_node, prepare, reading, statuses
from satchel.flows.idempotency import answer_once
from satchel.observe import metrics
from satchel.upstream import Copy, Envelope, Placed, StaleCopy

log = structlog.get_logger("satchel.flows")
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Seconds."""
PATIENT = {VOLUME_FULL: WAIT_FOR_ROOM, VOLUME_NOT_WRITABLE: WAIT_FOR_ROOM, MEDIA_TOO_HEAVY: WAIT_FOR_RENDITION}
"""What may pass while a message waits, and for how many seconds it does."""


@dataclass(frozen=True)
class Accepted:
    """`replayed`: the same request had been answered before, with this message id."""

    id: str
    replayed: bool


async def accept(ports: Ports, message: Outgoing, request: Request | None = None) -> Accepted:
    """Promise to send: what it names is there, it is stored, its lane is awake. `request`: one with an Idempotency-Key, done once."""
    there = message.media_id is None or await _file_is_there(ports, message.media_id)
    message_id = f"gBEG{secrets.token_urlsafe(20)}"

    def promise(tx: Tx) -> str:
        if request is not None and (first := answer_once(tx, request, message_id)) != message_id:
            return first
        now_net = settings.network_now(tx)
        world, _ = settings.upstream(tx)
        rows.add(tx, message_id, message, ports.upstream.name, world, now_net)
        if message.media_id is not None and not (there and media_rows.use(tx, message.media_id, now_net)):
            details = "is no media of this node, or was removed: upload the file with POST /v1/media and send its id."
            raise Fault(MEDIA_UNKNOWN, f"{message.type}.id {message.media_id[:64]} {details}")
        if message.provider is not None and not providers.is_known(tx, message.provider):
            where = "POST it to /v1/settings/application/media/providers first."
            raise Fault(PARAMETER_INVALID, f"{message.type}.provider {message.provider[:64]} is not known here: {where}")
        return message_id

    stands = await ports.db.write(promise)
    replayed = stands != message_id
    log.info("accepted", message_id=stands, media_id=message.media_id, type=message.type, replayed=replayed)
    return Accepted(stands, replayed)


async def _file_is_there(ports: Ports, media_id: str) -> bool:
    """One that was removed by hand is told now and not by a failed status. While the volume is away nobody knows, and the send waits."""
    if not media_node.MEDIA_ID.fullmatch(media_id):
        return False
    try:
        return await ports.volume.stat(media_node.key_of(media_id)) is not None
    except Later:
        return True


async def deliver(ports: Ports, item: Waiting, lease: Lease) -> Settle:
    """Bring the head of a lane to the upstream; what is left is one transaction that says how it went."""
    try:
        media = await _media(ports, item)
        rendition = await prepare.ensure(ports, media, item.message.type)
        if isinstance(rendition, Refusal):
            raise Fault(SITUATIONS[rendition.slug], rendition.details)
        copy = await _hand_over(ports, item, media, rendition, lease)
    except Fault as fault:
        if time.time() - item.accepted_at < PATIENT.get(fault.situation, 0.0):
            return _not_now(item, Later(fault.situation, fault.details))
        metrics.media_refused.labels(item.message.type, fault.situation.slug).inc()
        log.info("failed", message_id=item.id, error=fault.situation.slug, details=fault.details)
        return failed(item, fault)
    except Later as later:
        return _not_now(item, later)
    log.info("handed_over", message_id=item.id, media_id=media.id, rendition_id=rendition.id)
    return lambda tx: rows.handed(tx, item.id, rendition.id, copy.id)


def failed(item: Waiting, fault: Fault) -> Settle:
    """The message ends here; the business is told why."""

    def settle(tx: Tx) -> bool:
        if not rows.failed(tx, item.id):
            return False
        statuses.record(tx, [Status(item.id, item.message.to, "failed", settings.network_now(tx), fault)])
        return True

    return settle


def put_off(item: Waiting, why: Later | Exception) -> Settle:
    """Another try, 0.5 s later and then twice as long each time up to 15 s; after a day the message ends."""
    waited = time.time() - item.accepted_at
    if waited > GIVE_UP_SENDING:
        return failed(item, _given_up(why, waited))
    after = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(item.attempts, 10))
    return lambda tx: rows.again(tx, item.id, after)


def _not_now(item: Waiting, later: Later) -> Settle:
    log.warning("put_off", message_id=item.id, attempt=item.attempts + 1, error=later.situation.slug, details=later.details)
    return put_off(item, later)


def _given_up(why: Later | Exception, waited: float) -> Fault:
    if not isinstance(why, Later):
        return Fault(BUG, f"Sending failed for {waited / 3600:.0f} hours through an error of ours: see the log.")
    situation = NOT_DELIVERED if why.situation is UPSTREAM_DOWN else why.situation
    return Fault(situation, f"Not sent within {waited / 3600:.0f} hours; the last reason: {why.details}")


async def _media(ports: Ports, item: Waiting) -> Media:
    media = await ports.db.read(lambda tx: media_rows.needed(tx, str(item.message.media_id)))
    if media is None:
        raise Fault(MEDIA_GONE, f"The media {item.message.media_id} was deleted: upload the file again.")
    return await reading.as_it_lies(ports, media)


async def _hand_over(ports: Ports, item: Waiting, media: Media, rendition: Rendition, lease: Lease) -> StoredCopy:
    """Send with a live copy; one that the upstream turns out to have lost is put there once more."""
    copy = await copies.ensure(ports, rendition, media, lease)
    try:
        lease.check()
        await ports.upstream.send(_envelope(item, media, rendition, copy))
        return copy
    except StaleCopy:
        await copies.expire(ports, copy)
    copy = await copies.ensure(ports, rendition, media, lease)
    try:
        lease.check()
        await ports.upstream.send(_envelope(item, media, rendition, copy))
    except StaleCopy as stale:
        raise Later(UPSTREAM_DOWN, "The network loses what was just stored there.") from stale
    return copy


def _envelope(item: Waiting, media: Media, rendition: Rendition, copy: StoredCopy) -> Envelope:
    mime = media.mime if rendition.file is None else rendition.mime
    return Envelope(item.id, item.world, item.message, Placed(mime, rendition, Copy(copy.address, copy.expires_net)))
