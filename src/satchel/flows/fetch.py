"""Received media on its way onto the volume: fetched, checked while it comes, published under the id that its row has had from the start.

What may pass is put off; media that the network holds no more is asked of its sender's phone, which has a while to put it there again.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import structlog

from satchel.db import Tx, remotes
from satchel.db import media as media_rows
from satchel.db.remotes import Remote
from satchel.domain.errors import (
    RECEIVED_GONE,
    RECEIVED_NOT_FETCHED,
    RECEIVED_TOO_LARGE,
    UPSTREAM_DOWN,
    VOLUME_FULL,
    VOLUME_NOT_WRITABLE,
    Fault,
    Later,
)
from satchel.domain.limits import WAIT_FOR_SENDER
from satchel.domain.media import Media
from satchel.domain.quantities import shown_size
from satchel.domain.tries import wait_after
from satchel.flows import Lease, Ports, Settle, media_node
from satchel.flows.media_node import key_of
from satchel.upstream import Asking
from satchel.volume import Stored

log = structlog.get_logger("satchel.flows")
TRIES = 14
"""How often the network is asked for the bytes before it is told that they could not be had: about five minutes."""
LONGEST_WAIT, ROOM_WAIT = 30.0, 5.0
"""The most seconds between two tries, and those between two looks for room on the volume."""
BROKEN = Fault(RECEIVED_NOT_FETCHED, "The media could not be fetched through an error of Satchel: see its log, then ask for it again.")
NO_ROOM = (VOLUME_FULL, VOLUME_NOT_WRITABLE)
"""What only a person can mend: it is waited for, however long that takes."""


@dataclass(frozen=True)
class Brought:
    """The bytes are on the volume. `source`: where they were found."""

    stored: Stored
    source: str

    def media(self, media_id: str, mime: str) -> Media:
        """As its row is to be."""
        return Media(media_id, mime, self.stored.size, self.stored.sha256, self.stored.stamp)


@dataclass(frozen=True)
class Missed:
    """They cannot be had, unless somebody asks again."""

    fault: Fault


@dataclass(frozen=True)
class PutOff:
    """Another try in `after` seconds. `counts`: as one of `TRIES`; `asked`: the sender's phone has been asked just now."""

    after: float
    counts: bool = True
    asked: bool = False


Outcome = Brought | Missed | PutOff


async def bring(ports: Ports, remote: Remote, attempts: int, lease: Lease) -> Outcome:
    """Try once. `attempts`: how many tries there were before. A second run of the same overwrites what the first has left."""
    try:
        source = _source(ports, remote)
    except Fault as fault:
        return Missed(fault)
    try:
        return Brought(await _store(ports, remote, source, lease), source)
    except Fault as fault:
        if fault.situation in NO_ROOM:
            return _put_off(remote, fault, ROOM_WAIT, counts=False)
        return await _ask(ports, remote, fault, attempts, lease) if fault.situation is RECEIVED_GONE else Missed(fault)
    except Later as later:
        return _not_now(remote, later, attempts)


def settle(tx: Tx, remote: Remote, outcome: Outcome, mime: str) -> bool:
    """What an outcome means for the rows of the media; whether its bytes are there for readers. False also for one deleted meanwhile."""
    if isinstance(outcome, Brought):
        is_there = remotes.arrived(tx, outcome.media(remote.media_id, mime))
        remotes.moved(tx, remote.media_id, outcome.source)
        return is_there
    return False


class Rows(Protocol):
    """The table of an item: how it is put off for so many seconds, counted as a try or not."""

    def again(self, tx: Tx, item_id: str, after: float, /) -> bool: ...
    def wait(self, tx: Tx, item_id: str, after: float, /) -> bool: ...


def again(rows: Rows, item_id: str, remote: Remote, put_off: PutOff) -> Settle:
    """Put an item off. An answer of the phone that came since we looked lets it run at once."""

    def settle(tx: Tx) -> bool:
        after = put_off.after
        if put_off.asked:
            remotes.asked(tx, remote.media_id)
            now = remotes.find(tx, remote.media_id)
            if now is not None and now.answer is not None and now.answer != remote.answer:
                after = 0.0
            else:
                remotes.answered(tx, remote.media_id, None)
        return rows.again(tx, item_id, after) if put_off.counts else rows.wait(tx, item_id, after)

    return settle


async def bury(ports: Ports, media_id: str) -> None:
    """Media that was deleted while it came leaves nothing behind; accepted messages that send it on keep its bytes till they have left."""
    if (state := await _state(ports, media_id)) == "deleting":
        await media_node.bury(ports)
        state = await _state(ports, media_id)  # another may have buried it before its bytes came
    if state in (None, "deleted"):
        await ports.volume.delete(key_of(media_id))


async def _state(ports: Ports, media_id: str) -> str | None:
    return await ports.db.read(lambda tx: media_rows.state_of(tx, media_id), alone=True)


def _source(ports: Ports, remote: Remote) -> str:
    """Where the bytes are by what is known. That the phone cannot give them counts only where it was asked for this: `Fault`."""
    if remote.answer is None or not isinstance(ports.upstream, Asking):
        return remote.source
    try:
        return ports.upstream.sender_said(remote.message_id, remote.source, remote.answer)
    except Fault:
        if remote.asked_at is not None:
            raise
        return remote.source


async def _store(ports: Ports, remote: Remote, source: str, lease: Lease) -> Stored:
    if remote.size > ports.limits.upload:
        raise Fault(
            RECEIVED_TOO_LARGE,
            f"The media has {shown_size(remote.size)}, more than the limit of {shown_size(ports.limits.upload)}: raise volume.max_upload.",
        )
    lease.check()
    async with ports.upstream.fetch(source) as blocks:
        return await ports.volume.put(key_of(remote.media_id), _held_to_the_end(blocks, lease), remote.size, urgent=True)


async def _held_to_the_end(blocks: AsyncIterator[bytes], lease: Lease) -> AsyncIterator[bytes]:
    """While they came another may have brought and told them: theirs may be deleted, and ours must not take the name."""
    async for block in blocks:
        yield block
    lease.check()


async def _ask(ports: Ports, remote: Remote, gone: Fault, attempts: int, lease: Lease) -> Outcome:
    """The network holds it no more: ask its sender, and give the phone a while. What it has put there may be over in its turn."""
    again = remote.asked_at is not None and remote.answer is not None
    if not isinstance(ports.upstream, Asking) or (again and attempts + 1 >= TRIES):
        return Missed(gone)
    if remote.asked_at is not None and not again:
        left = remote.asked_at + WAIT_FOR_SENDER - time.time()
        return PutOff(left, counts=False) if 0 < left <= WAIT_FOR_SENDER else Missed(_no_answer(gone))
    lease.check()
    try:
        await ports.upstream.ask_sender(remote.message_id, remote.source)
    except Fault as fault:
        return Missed(fault)
    except Later as later:
        return _not_now(remote, later, attempts)
    log.info("sender_asked", message_id=remote.message_id, media_id=remote.media_id)
    return PutOff(WAIT_FOR_SENDER, counts=again, asked=True)


def _no_answer(gone: Fault) -> Fault:
    details = gone.details.rstrip(".")
    return Fault(RECEIVED_GONE, f"{details}, and its sender's phone did not answer within {WAIT_FOR_SENDER:.0f} s: ask for it again later.")


def _not_now(remote: Remote, later: Later, attempts: int) -> Outcome:
    if later.situation is not UPSTREAM_DOWN:
        return _put_off(remote, later, max(later.after, ROOM_WAIT), counts=False)
    if attempts + 1 >= TRIES:
        return Missed(Fault(RECEIVED_NOT_FETCHED, f"The media could not be fetched in {TRIES} tries; the last time: {later.details}"))
    return _put_off(remote, later, max(later.after, wait_after(attempts, LONGEST_WAIT)), counts=True)


def _put_off(remote: Remote, why: Fault | Later, after: float, counts: bool) -> PutOff:
    log.warning("fetch_put_off", media_id=remote.media_id, after=after, error=why.situation.slug, details=why.details)
    return PutOff(after, counts)
