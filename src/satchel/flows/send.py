"""The path of a message: accepted at the door, then prepared, copied and handed to the upstream in its recipient's lane."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from satchel.db import Tx, preps, providers, renditions, settings
from satchel.db import copies as copy_rows
from satchel.db import media as media_rows
from satchel.db import messages as rows
from satchel.db import statuses as status_rows
from satchel.db import steps as step_rows
from satchel.db.copies import StoredCopy
from satchel.db.idempotency import Request
from satchel.db.messages import Waiting
from satchel.domain.errors import (
    BUG,
    EXPIRED,
    MEDIA_GONE,
    MEDIA_UNKNOWN,
    NOT_DELIVERED,
    NOT_RETRIABLE,
    PARAMETER_INVALID,
    SITUATIONS,
    UPSTREAM_DOWN,
    Fault,
    Later,
)
from satchel.domain.limits import GIVE_UP_SENDING
from satchel.domain.media import Media, Refusal, Rendition
from satchel.domain.messages import Outgoing
from satchel.domain.statuses import Status
from satchel.domain.steps import Step
from satchel.domain.tries import wait_after
from satchel.flows import Lease, Ports, Settle, Settlement, copies, media_node, parking, prepare, reading, reconcile, statuses
from satchel.flows.idempotency import answer_once
from satchel.flows.parking import Rest
from satchel.flows.steps import Timeline
from satchel.observe import metrics
from satchel.upstream import Copy, Envelope, Placed, StaleCopy

log = structlog.get_logger("satchel.flows")
T = TypeVar("T")
TOLD_ATTEMPTS = 10
"""Attempts that failed for now and stand in the timeline; of the later ones each sixtieth does."""


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
        step_rows.write(tx, message_id, [Step("accepted", time.time(), 0.0, ports.host)])
        if message.media_id is not None and not (there and media_rows.use(tx, message.media_id, now_net)):
            details = "is no media of this node, or was removed: upload the file with POST /v1/media and send its id."
            raise Fault(MEDIA_UNKNOWN, f"{message.type}.id {message.media_id[:64]} {details}")
        if message.provider is not None and not providers.is_known(tx, message.provider):
            where = "POST it to /v1/settings/application/media/providers first."
            raise Fault(PARAMETER_INVALID, f"{message.type}.provider {message.provider[:64]} is not known here: {where}")
        return message_id

    stands = await _reviving(ports, promise, message.media_id if there else None)
    replayed = stands != message_id
    log.info("accepted", message_id=stands, media_id=message.media_id, type=message.type, replayed=replayed)
    return Accepted(stands, replayed)


async def _reviving(ports: Ports, promise: Callable[[Tx], T], media_id: str | None) -> T:
    """Write a promise; a media that was missing and whose file is back lives again for it."""
    try:
        return await ports.db.write(promise)
    except Fault as fault:
        if fault.situation is not MEDIA_UNKNOWN or media_id is None or not await reconcile.revive(ports, media_id):
            raise
    return await ports.db.write(promise)


async def _file_is_there(ports: Ports, media_id: str) -> bool:
    """One that was removed by hand is told now and not by a failed status. While the volume is away nobody knows, and the send waits."""
    if not media_node.MEDIA_ID.fullmatch(media_id):
        return False
    try:
        return await ports.volume.stat(media_node.key_of(media_id)) is not None
    except Later:
        return True


async def retry(ports: Ports, message_id: str) -> None:
    """Send a failed message again, under its id, behind what now waits for its recipient; its statuses begin anew.

    Raises `Fault(NOT_RETRIABLE)` for one that did not fail here, `Fault(MEDIA_UNKNOWN)` when its media is gone.
    """

    def promise(tx: Tx) -> None:
        if (recipient := rows.recipient(tx, message_id)) is not None:
            rows.wake(tx, recipient)  # its lane is locked before its rows
        if (failed := rows.take_back(tx, message_id)) is None:
            details = f"The message {message_id[:64]} did not fail before the network had it, so it cannot be tried again: send it anew."
            raise Fault(NOT_RETRIABLE, details)
        message, retries = failed
        now_net = settings.network_now(tx)
        if message.media_id is not None and not media_rows.use(tx, message.media_id, now_net):
            raise Fault(MEDIA_UNKNOWN, f"The media {message.media_id[:64]} was deleted: upload the file again and send its id.")
        status_rows.forget_failure(tx, message_id)
        rows.add(tx, message_id, message, ports.upstream.name, settings.upstream(tx)[0], now_net, retries + 1)
        step_rows.write(tx, message_id, [Step("accepted", time.time(), 0.0, ports.host, reason="tried again")])

    before = await ports.db.read(lambda tx: rows.sent(tx, message_id))
    await _reviving(ports, promise, before.media_id if before is not None else None)
    log.info("retried", message_id=message_id)


async def deliver(ports: Ports, item: Waiting, lease: Lease) -> Settle | Settlement:
    """Bring the head of a lane to the upstream; what is left is one transaction that says how it went, or parks it."""
    line = Timeline(ports.host, item.attempts + 1)
    try:
        found = await ports.db.read(partial(_look, ports=ports, item=item))
        if found.prep is not None and found.prep.outcome is not None:
            line.inherit(found.prep.steps)
        if item.reached:
            return _told(item, found, line)
        left = _time_left(item, found.now_net)
        if item.message.media_type is None:
            return await _without_media(ports, item, lease, line)
        ready = await _ready(ports, item, item.message.media_type, found, left, line)
        if not isinstance(ready, _Ready):
            return ready
        copy = await _hand_over(ports, item, ready, lease, line)
    except Fault as fault:
        if fault.situation is MEDIA_GONE and item.message.link is not None:
            return _fetched_anew(item, line)
        if time.time() - item.accepted_at < (parking.patience(ports.limits, fault.situation) or 0.0):
            return _not_now(item, Later(fault.situation, fault.details), line)
        return _over(item, fault, line)
    except Later as later:
        return _not_now(item, later, line)
    log.info("handed_over", message_id=item.id, media_id=ready.media.id, rendition_id=ready.rendition.id)
    return _handed(item, line, ready.rendition.id, copy.id)


def _over(item: Waiting, fault: Fault, line: Timeline) -> Settle:
    if item.message.media_type is not None:
        metrics.media_refused.labels(item.message.media_type, fault.situation.slug).inc()
    log.warning("failed", message_id=item.id, error=fault.situation.slug, details=fault.details)
    return failed(item, fault, line)


def failed(item: Waiting, fault: Fault, line: Timeline) -> Settle:
    """The message ends here; the business is told why. Unless the network has told of it meanwhile: then it is looked at once more."""
    line.mark("failed", "failed", fault.details)

    def settle(tx: Tx) -> bool:
        if status_rows.reached(tx, item.id):
            return rows.again(tx, item.id, 0.0)
        if not rows.failed(tx, item.id):
            return False
        statuses.record(tx, [Status(item.id, item.message.to, "failed", settings.network_now(tx), fault, item.retries + 1)])
        step_rows.write(tx, item.id, line.done)
        return True

    return settle


def put_off(item: Waiting, why: Later | Exception, line: Timeline) -> Settle:
    """Another try, 0.5 s later and then twice as long each time up to 15 s; after a day the message ends."""
    waited = time.time() - item.accepted_at
    if waited > GIVE_UP_SENDING:
        return failed(item, _given_up(why, waited), line)
    after = wait_after(item.attempts)
    told = line.done if item.attempts < TOLD_ATTEMPTS or item.attempts % 60 == 0 else []

    def settle(tx: Tx) -> bool:
        if not rows.again(tx, item.id, after):
            return False
        step_rows.write(tx, item.id, told)
        return True

    return settle


def _handed(item: Waiting, line: Timeline, rendition_id: str | None, copy_id: str | None) -> Settle:
    def settle(tx: Tx) -> bool:
        if not rows.handed(tx, item.id, rendition_id, copy_id):
            return False
        step_rows.write(tx, item.id, line.done)
        return True

    return settle


def _told(item: Waiting, found: "_Found", line: Timeline) -> Settle:
    """The network has it, and only its answer was lost: nothing that stands in its way now keeps it from having gone out."""
    log.info("handed_over", message_id=item.id, told=True)
    rendition = found.known.id if isinstance(found.known, Rendition) else None
    return _handed(item, line, rendition, found.copy.id if found.copy else None)


def _not_now(item: Waiting, later: Later, line: Timeline) -> Settle:
    log.warning("put_off", message_id=item.id, attempt=item.attempts + 1, error=later.situation.slug, details=later.details)
    return put_off(item, later, line)


def _fetched_anew(item: Waiting, line: Timeline) -> Settle:
    """What its link led to was a media of others too, and is deleted: the message has named nothing but the link."""
    settle = _not_now(item, Later(MEDIA_GONE, "The media that the link led to was deleted, and is fetched anew."), line)

    def both(tx: Tx) -> bool:
        rows.forget_media(tx, item.id)
        return settle(tx)

    return both


def _given_up(why: Later | Exception, waited: float) -> Fault:
    if not isinstance(why, Later):
        return Fault(BUG, f"Sending failed for {waited / 3600:.0f} hours through an error of ours: see the log.")
    situation = NOT_DELIVERED if why.situation is UPSTREAM_DOWN else why.situation
    return Fault(situation, f"Not sent within {waited / 3600:.0f} hours; the last reason: {why.details}")


@dataclass(frozen=True)
class _Found:
    """All that the database knows of a message's way, in one look. `open_`: the preparation of its bytes or link that is under way."""

    now_net: float
    prep: preps.Seen | None = None
    media: Media | None = None
    known: Rendition | Refusal | None = None
    copy: StoredCopy | None = None
    wanted: preps.Wanted | None = None
    open_: str | None = None


@dataclass(frozen=True)
class _Ready:
    """`copy`: a live one whose 14 days have just begun."""

    media: Media
    rendition: Rendition
    copy: StoredCopy | None


def _look(tx: Tx, ports: Ports, item: Waiting) -> _Found:
    now_net = settings.network_now(tx)
    prep = preps.seen(tx, item.prep) if item.prep else None
    if (media_type := item.message.media_type) is None:
        return _Found(now_net, prep)
    if item.media_id is None:
        if item.message.link is None:
            return _Found(now_net, prep)
        wanted = preps.of_link(item.message.link, item.message.provider)
        return _Found(now_net, prep, wanted=wanted, open_=preps.open_in(tx, wanted.lane))
    if (media := media_rows.needed(tx, item.media_id)) is None:
        return _Found(now_net, prep)
    known = renditions.find(tx, media.sha256, media_type, ports.limits.profile)
    copy = copy_rows.live(tx, known.id, ports.upstream.name) if isinstance(known, Rendition) else None
    wanted = preps.of_bytes(media.sha256, media.id, media_type, ports.limits.profile)
    return _Found(now_net, prep, media, known, copy, wanted, preps.open_in(tx, wanted.lane) if known is None else None)


async def _ready(ports: Ports, item: Waiting, media_type: str, found: _Found, left: float, line: Timeline) -> _Ready | Settle | Settlement:
    """What goes out, if it is there; else the message is parked until it is, or fails with what it waited for."""
    if found.media is not None and (
        found.known is not None or not prepare.is_work(ports, media_type)
    ):  # else it is looked at when prepared
        with line.step("media_resolved"):
            media = await reading.as_it_lies(ports, found.media)
        if media.sha256 != found.media.sha256:  # changed by hand: what was found was for other bytes
            found = await ports.db.read(partial(_look, ports=ports, item=item))
        if isinstance(found.known, Refusal):
            raise Fault(SITUATIONS[found.known.slug], found.known.details)
        copy = found.copy if copies.fresh(found.copy, found.now_net) else None
        if found.known is not None and (copy is not None or await prepare.stands(ports, found.known)):
            return _Ready(media, found.known, copy)
        if not prepare.is_work(ports, media_type):
            made = await prepare.ensure(ports, media, media_type, line)
            assert isinstance(made, Rendition), "nothing was looked into that could be refused"
            return _Ready(media, made, None)
    if found.wanted is None:
        raise Fault(MEDIA_GONE, f"The media {item.media_id} was deleted: upload the file again.")
    over = found.prep is not None and found.prep.outcome is not None
    try:
        return parking.wait(item, found.wanted, found.prep, found.open_, Rest(left, ports.limits), line.done if over else [])
    except Fault as fault:  # it has been waited for long enough
        line.inherit(found.prep.steps if found.prep is not None and not over else [])
        return _over(item, fault, line)


def _time_left(item: Waiting, now_net: float) -> float:
    """Seconds until the message is too old to be sent. Raises `Fault(EXPIRED)`."""
    if item.message.ttl is None:
        return GIVE_UP_SENDING
    left = item.accepted_net + item.message.ttl - now_net
    if left <= 0:
        raise Fault(EXPIRED, f"Not sent within its ttl of {item.message.ttl:g} seconds: send it anew, with a longer one if it should wait.")
    return left


async def _without_media(ports: Ports, item: Waiting, lease: Lease, line: Timeline) -> Settle:
    with line.step("dispatched"):
        lease.check()
        await ports.upstream.send(Envelope(item.id, item.world, item.message, None))
    log.info("handed_over", message_id=item.id)
    return _handed(item, line, None, None)


async def _hand_over(ports: Ports, item: Waiting, ready: _Ready, lease: Lease, line: Timeline) -> StoredCopy:
    """Send with a live copy; one that the upstream turns out to have lost is put there once more."""
    copy = ready.copy or await _uploaded(ports, ready, lease, line)
    try:
        await _dispatch(ports, item, ready, copy, lease, line)
        return copy
    except StaleCopy:
        await copies.expire(ports, copy)
    copy = await _uploaded(ports, ready, lease, line)
    try:
        await _dispatch(ports, item, ready, copy, lease, line)
    except StaleCopy as stale:
        raise Later(UPSTREAM_DOWN, "The network loses what was just stored there.") from stale
    return copy


async def _uploaded(ports: Ports, ready: _Ready, lease: Lease, line: Timeline) -> StoredCopy:
    """Encryption and upload are one stream, so both steps take as long."""
    with line.step("encrypted"), line.step("uploaded"):
        return await copies.ensure(ports, ready.rendition, ready.media, lease)


async def _dispatch(ports: Ports, item: Waiting, ready: _Ready, copy: StoredCopy, lease: Lease, line: Timeline) -> None:
    with line.step("dispatched"):
        lease.check()
        placed = Placed(prepare.mime_of(ready.rendition, ready.media), ready.rendition, Copy(copy.address, copy.expires_net))
        await ports.upstream.send(Envelope(item.id, item.world, item.message, placed))
