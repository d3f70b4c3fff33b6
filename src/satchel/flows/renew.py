"""Re-upload: phones ask for media whose copy is over, and get a new address for the same bytes, or are told why not.

All who need the same bytes stand in one lane and are answered together: one re-upload serves any number. What each is told depends on the
media of its own message: one that was deleted, removed or changed is gone for its phones even where other media hold the same bytes.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from satchel.db import Tx, messages, renditions, reuploads
from satchel.db import media as media_rows
from satchel.db import steps as step_rows
from satchel.db.copies import StoredCopy
from satchel.db.reuploads import Asker, Waiting
from satchel.domain.errors import (
    MEDIA_CHANGED,
    MEDIA_GONE,
    NOT_READY,
    UPSTREAM_DOWN,
    VOLUME_MISSING,
    VOLUME_UNREADABLE,
    Fault,
    Later,
)
from satchel.domain.limits import GIVE_UP_SENDING
from satchel.domain.media import Media, Rendition
from satchel.domain.steps import Outcome, Step
from satchel.domain.tries import wait_after
from satchel.flows import Lease, Ports, Settle, copies, prepare, reading
from satchel.observe import metrics
from satchel.upstream import Copy, Renewing, Request, Unrenewed

log = structlog.get_logger("satchel.flows")
UNSETTLED = 30.0
"""Seconds that a phone waits for a message whose sending has not been put down yet."""
GONE = {MEDIA_GONE, MEDIA_CHANGED}
FOR_NOW = {VOLUME_MISSING, VOLUME_UNREADABLE, MEDIA_CHANGED, MEDIA_GONE, NOT_READY}
"""What a phone is told to ask again for: a volume that is away is never taken for a file that is gone."""
OUTCOMES: dict[str, Outcome] = {"success": "ok", "later": "later"}


@dataclass(frozen=True)
class _Said:
    """What a phone is told. `result`: as the row and the figures name it; `reason`: for the timeline."""

    result: str
    answer: Copy | Unrenewed
    reason: str | None = None


@dataclass(frozen=True)
class _Case:
    """An asker and what we know of what it asks for. `known`: its message is one of ours.

    `unsettled`: it is being handed over, or was when we were killed.
    """

    asker: Asker
    request: Request
    known: bool = False
    unsettled: bool = False
    media: Media | None = None
    rendition: Rendition | None = None


@dataclass(frozen=True)
class _Answered:
    """`result`: None for one that is to be tried again."""

    case: _Case
    result: str | None
    step: Step | None = None


async def work(ports: Ports, item: Waiting, lease: Lease) -> Settle:
    """Answer the heads of a lane. Every step may run twice: a copy that stands is answered again, and a phone takes one answer."""
    upstream = ports.upstream
    assert isinstance(upstream, Renewing), "nobody else reports such requests"
    cases = await ports.db.read(partial(_look, item=item))
    renewal = _Renewal(ports, upstream, lease)
    outcomes = await asyncio.gather(*(_answer(renewal, case) for case in cases), return_exceptions=True)
    if (unforeseen := next((one for one in outcomes if isinstance(one, BaseException)), None)) is not None:
        raise unforeseen
    return partial(_settled, answered=[one for one in outcomes if isinstance(one, _Answered)])


def put_off(item: Waiting) -> Settle:
    """Another try, 0.5 s later and then twice as long each time up to 15 s; after a day nobody is answered any more."""

    def settle(tx: Tx) -> bool:
        for asker in item.askers:
            _again(tx, asker)
        return True

    return settle


def _again(tx: Tx, asker: Asker) -> None:
    if time.time() - asker.taken_at > GIVE_UP_SENDING:
        reuploads.done(tx, asker.id, "given_up")
    else:
        reuploads.again(tx, asker.id, wait_after(asker.attempts))


def hopeless(item: Waiting, fault: Fault) -> Settle:
    """It ended its worker again and again: its phones hear nothing, and show the media as unavailable."""

    def settle(tx: Tx) -> bool:
        for asker in item.askers:
            reuploads.done(tx, asker.id, fault.situation.slug)
        return True

    return settle


class _Renewal:
    """One go: media are looked at and bytes uploaded once for all who ask in it."""

    def __init__(self, ports: Ports, upstream: Renewing, lease: Lease) -> None:
        self.ports, self.upstream, self.lease = ports, upstream, lease
        self._looks: dict[tuple[str, str], asyncio.Task[Media]] = {}
        self._placed = asyncio.Lock()

    async def said(self, case: _Case) -> _Said:
        """What to tell this phone. Raises `Later(UPSTREAM_DOWN)`."""
        if case.unsettled:
            return _Said("later", Unrenewed.LATER, "The message is still being handed over.")
        if case.media is None or case.rendition is None:
            return _Said("not_found", Unrenewed.GONE, "The media was deleted.")
        if not self.upstream.opens(case.request, case.rendition.media_key):
            return _Said("undecryptable", Unrenewed.UNDECRYPTABLE, "The request was not sealed with the key of this message's media.")
        try:
            return _Said("success", await self._renewed(case.request, case.media, case.rendition))
        except Fault as fault:
            if fault.situation in GONE:
                return _Said("not_found", Unrenewed.GONE, fault.details)
            return _Said("later", Unrenewed.LATER, fault.details)
        except Later as later:
            if later.situation not in FOR_NOW:
                raise
            return _Said("later", Unrenewed.LATER, later.details)

    async def _renewed(self, request: Request, known: Media, rendition: Rendition) -> Copy:
        media = await self._as_it_lies(known)
        if media.sha256 != rendition.source_sha256:
            raise Fault(MEDIA_CHANGED, f"The file shared/{media.id} was changed after the message had been sent.")
        async with self._placed:  # the second finds what the first has placed
            copy = await self._ensured(request, media, rendition)
        return Copy(copy.address, copy.expires_net)

    async def _as_it_lies(self, media: Media) -> Media:
        """One look at a file for all who ask for it."""
        key = (media.id, media.stamp)
        task = self._looks.get(key)
        if task is None:
            task = self._looks[key] = asyncio.ensure_future(reading.as_it_lies(self.ports, media))
        return await task

    async def _ensured(self, request: Request, media: Media, rendition: Rendition) -> StoredCopy:
        def failed(copy: StoredCopy, now_net: float) -> bool:
            since = request.asked_net < copy.placed_net <= now_net  # not where a clock has jumped back
            return not since and self.upstream.names(request, copy.address)

        try:
            return await copies.renew(self.ports, rendition, media, self.lease, failed)
        except Fault as fault:
            if fault.situation is not MEDIA_GONE or rendition.file is None:
                raise
        except Later as later:  # what had been made of the file was damaged, and is removed, or was not there
            if later.situation not in GONE or rendition.file is None:
                raise
        made = await prepare.restore(self.ports, rendition, media)
        return await copies.renew(self.ports, made, media, self.lease, failed)


def _look(tx: Tx, item: Waiting) -> list[_Case]:
    return [_case(tx, asker) for asker in item.askers]


def _case(tx: Tx, asker: Asker) -> _Case:
    request = Request(asker.message_id, asker.recipient, asker.world, asker.asked_net, asker.asked)
    sent = messages.sent(tx, asker.message_id)
    if sent is None or sent.media_id is None:
        return _Case(asker, request, sent is not None)
    rendition = renditions.by_id(tx, sent.rendition_id) if sent.rendition_id is not None else None
    return _Case(asker, request, True, sent.state == "waiting", media_rows.promised(tx, sent.media_id), rendition)


async def _answer(renewal: _Renewal, case: _Case) -> _Answered:
    """Raises what nobody foresaw."""
    if case.unsettled and time.time() - case.asker.taken_at < UNSETTLED:
        return _Answered(case, None)
    at, began = time.time(), time.perf_counter()
    try:
        said = await renewal.said(case)
        renewal.lease.check()
        await renewal.upstream.renew(case.request, case.rendition.media_key if case.rendition is not None else None, said.answer)
    except Fault as fault:  # the phone or its world is gone
        log.info("reupload_unheard", message_id=case.asker.message_id, details=fault.details)
        return _Answered(case, "unheard")
    except Later as later:
        if later.situation is not UPSTREAM_DOWN:
            raise
        log.warning("put_off", message_id=case.asker.message_id, attempt=case.asker.attempts + 1, details=later.details)
        return _Answered(case, None)
    _count(case.asker, said)
    ms = round((time.perf_counter() - began) * 1000, 1)
    outcome = OUTCOMES.get(said.result, "failed")
    return _Answered(case, said.result, Step("media_reuploaded", at, ms, renewal.ports.host, case.asker.attempts + 1, outcome, said.reason))


def _count(asker: Asker, said: _Said) -> None:
    metrics.reuploads.labels(said.result).inc()
    if said.answer in (Unrenewed.GONE, Unrenewed.UNDECRYPTABLE):
        metrics.media_unavailable.inc()
    log.info("reupload", message_id=asker.message_id, recipient=asker.recipient, result=said.result, details=said.reason)


def _settled(tx: Tx, answered: Sequence[_Answered]) -> bool:
    for one in sorted(answered, key=lambda one: one.case.asker.message_id):
        if one.result is None:
            _again(tx, one.case.asker)
        elif reuploads.done(tx, one.case.asker.id, one.result) and one.step is not None and one.case.known:
            step_rows.write(tx, one.case.asker.message_id, [one.step])
    return True
