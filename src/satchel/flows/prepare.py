"""From a media to what goes out for it: probe, judge, render, keep. Once per bytes, media type and profile; safe to run twice."""

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from satchel.db import CommitUnknown, Tx, renditions
from satchel.domain.errors import (
    CONTENT_MISMATCH,
    MEDIA_CHANGED,
    MEDIA_GONE,
    MEDIA_UNREADABLE,
    NOT_READY,
    TOO_LARGE_TO_SEND,
    TYPE_NOT_ACCEPTED,
    Fault,
    Later,
    storage_fault,
)
from satchel.domain.media import Facts, Media, Refusal, Rendition
from satchel.domain.plans import Plan, plan, takes_long
from satchel.flows import Ports
from satchel.flows.media_node import key_of, key_of_made, sha256_of
from satchel.flows.steps import Timeline
from satchel.observe.metrics import process_seconds
from satchel.postprocess import Processed
from satchel.volume import Scratch

LASTING = {CONTENT_MISMATCH, MEDIA_UNREADABLE, TOO_LARGE_TO_SEND, TYPE_NOT_ACCEPTED}
"""Situations that lie in the bytes themselves: kept, so that ten thousand sends of one bad file probe it once."""
Made = TypeVar("Made", bound=Rendition | Refusal)


class Lengthy(Later):
    """What is to be done takes long, and was asked of somebody who has no time."""

    def __init__(self) -> None:
        super().__init__(NOT_READY, "It takes long, and waits for its turn.")


async def ensure(ports: Ports, media: Media, media_type: str, line: Timeline, *, lengthy: bool = True) -> Rendition | Refusal:
    """What goes out for this media as this media type, or why nothing can. `lengthy`: False to raise `Lengthy` where that takes long.

    Raises `Fault(MEDIA_GONE)` when the file is not there, `Fault(MEDIA_CHANGED)` when it is damaged, `Later(MEDIA_CHANGED)` when it is
    another, `Later` while the volume or a child process is not.
    """
    known = await ports.db.read(lambda tx: renditions.find(tx, media.sha256, media_type, ports.limits.profile))
    if known is not None and await stands(ports, known):
        return known
    made, facts = await _make(ports, media, media_type, line, lengthy)
    if isinstance(known, Rendition):
        return await _replaced(ports, known, made, facts, media) or await ensure(ports, media, media_type, line)
    return await _kept(ports, made, facts)


async def restore(ports: Ports, known: Rendition, media: Media) -> Rendition:
    """What messages were sent with and has vanished, made again as the settings are today: it counts only when its bytes are the same.

    Raises `Fault(MEDIA_GONE)` when they are not, and as `ensure`.
    """
    if await stands(ports, known):
        return known
    made, _ = await _make(ports, media, known.media_type, Timeline(ports.host), lengthy=True)
    if not isinstance(made, Rendition):
        raise _not_again(media)
    if (restored := await _restored(ports, known, made, media)) is not None:
        return restored
    found = await ports.db.read(lambda tx: renditions.by_id(tx, known.id))  # another Coreapp was first
    if found is None:
        raise _not_again(media)
    return found


def key_of_rendition(rendition: Rendition, media: Media) -> str:
    """The volume key of a rendition's bytes: its own file, or the media itself."""
    return key_of(media.id) if rendition.file is None else key_of_made(rendition.file)


def mime_of(rendition: Rendition, media: Media) -> str:
    """What the phone is told: of a document, and of what nobody has looked into, what the upload said."""
    return media.mime if rendition.media_type == "document" or not rendition.mime else rendition.mime


def is_work(ports: Ports, media_type: str) -> bool:
    """Whether a media of this type has to be looked into; else what goes out is itself."""
    return ports.limits.rules.of(media_type) != "off"


async def stands(ports: Ports, known: Rendition | Refusal) -> bool:
    """Whether the file of a known result is still there."""
    return isinstance(known, Refusal) or known.file is None or await ports.volume.stat(key_of_made(known.file)) is not None


async def _make(ports: Ports, media: Media, media_type: str, line: Timeline, lengthy: bool) -> tuple[Rendition | Refusal, Facts]:
    blank = Rendition(str(uuid.uuid4()), media.sha256, media_type, ports.limits.profile, None, "", media.size, media.sha256, b"")
    if not is_work(ports, media_type):
        return replace(blank, media_key=secrets.token_bytes(32)), Facts("document", media.mime)
    async with ports.volume.local(key_of(media.id)) as path, ports.volume.scratch() as scratch:
        try:
            done = await _processed(ports, path, scratch, media_type, line, lengthy)
            made: Rendition | Refusal = await _written(ports, blank, done, scratch)
        except Fault as fault:
            if fault.situation not in LASTING:
                raise await changed(ports, media, fault) from fault
            refusal = Refusal(blank.id, media.sha256, media_type, blank.profile, fault.situation.slug, fault.details)
            return await _unchanged(ports, media, refusal, ""), Facts("", "")
    return await _unchanged(ports, media, made, done.sha256), done.facts


async def _processed(ports: Ports, path: Path, scratch: Scratch, media_type: str, line: Timeline, lengthy: bool) -> Processed:
    """Look into the file and make of it what goes out, written to `scratch` unless it is the file itself."""
    seconds = [time.perf_counter()]
    with line.steps("sniffed", "processed") as turn:

        def decide(facts: Facts) -> Plan:
            todo = plan(facts, media_type, ports.limits.rules)
            if not lengthy and takes_long(facts, todo):
                raise Lengthy
            if todo.action != "keep":
                scratch.begin()
            if len(seconds) == 1:  # a second child is asked the same
                seconds.append(time.perf_counter())
                process_seconds.labels(media_type, "probe").observe(seconds[1] - seconds[0])
                if todo.action != "keep":
                    turn()
            return todo

        try:
            done = await ports.transcoder.process(path, decide, scratch.path, lengthy=lengthy)
        except OSError as error:
            if error.filename == str(path):
                raise
            raise storage_fault(error, "what is made of the file") from error
    if done.rendered is not None:
        process_seconds.labels(media_type, "render").observe(time.perf_counter() - seconds[1])
    return done


async def _written(ports: Ports, blank: Rendition, done: Processed, scratch: Scratch) -> Rendition:
    key = secrets.token_bytes(32)
    if done.rendered is None:
        return replace(blank, mime=done.plan.mime or "", media_key=key)
    await ports.volume.take(key_of_made(blank.id), scratch)
    made = done.rendered
    return replace(blank, file=blank.id, mime=made.mime, size=made.size, sha256=made.sha256, media_key=key)


async def _unchanged(ports: Ports, media: Media, made: Made, sha256: str) -> Made:
    """What was found is true of the uploaded bytes only: a file changed by hand must not speak for every other media that holds them.

    `sha256`: of the bytes that were looked into; empty where not all were, and the file is read again.
    """
    try:
        if not sha256:
            with closing(await ports.volume.open(key_of(media.id))) as content:
                sha256 = await sha256_of(content)
        if sha256 != media.sha256:
            fault = Fault(MEDIA_CHANGED, f"The file shared/{media.id} was changed after it had been uploaded: upload it again.")
            raise await changed(ports, media, fault)
    except BaseException:
        await _discard(ports, made)
        raise
    return made


async def _kept(ports: Ports, made: Rendition | Refusal, facts: Facts) -> Rendition | Refusal:
    """Publish a result; where another Coreapp was first, its result stands."""
    try:
        stands = await ports.db.write(lambda tx: renditions.add(tx, made, facts))
    except (CommitUnknown, asyncio.CancelledError):
        raise  # the row may stand: its file must stay
    except BaseException:
        await _discard(ports, made)
        raise
    if stands.id != made.id:
        await _discard(ports, made)
    return stands


def _not_again(media: Media) -> Fault:
    return Fault(MEDIA_GONE, f"What was made of {media.id} is no longer on the media volume and cannot be made again: upload it again.")


async def changed(ports: Ports, media: Media, fault: Fault) -> Fault | Later:
    """What to raise for a fault of a media's file: one that was changed since we looked is looked at again, and goes out as it is then."""
    if fault.situation is not MEDIA_CHANGED or await ports.volume.stat(key_of(media.id)) in (media.stamp, None):
        return fault
    return Later(MEDIA_CHANGED, f"The file shared/{media.id} was changed by hand while it was being sent: it is looked at again.")


async def _replaced(ports: Ports, known: Rendition, made: Rendition | Refusal, facts: Facts, media: Media) -> Rendition | Refusal | None:
    """The rendition's file had vanished: the same bytes take its place, others are for new sends, under a key of their own.

    What was lost then stays lost for the phones that it was sent to. None when somebody was first.
    """
    if isinstance(made, Rendition) and made.sha256 == known.sha256:
        return await _restored(ports, known, made, media)
    stands = await _published(ports, made, lambda tx: renditions.set_aside(tx, known) and renditions.add(tx, made, facts).id == made.id)
    return made if stands else None


async def _restored(ports: Ports, known: Rendition, made: Rendition, media: Media) -> Rendition | None:
    """The rendition's file had vanished and was made again: the same bytes keep their row and key. None when somebody was first."""
    if made.sha256 != known.sha256:
        await _discard(ports, made)
        raise _not_again(media)
    moved = await _published(ports, made, lambda tx: renditions.move(tx, known, made.file))
    return replace(known, file=made.file) if moved else None


async def _published(ports: Ports, made: Rendition | Refusal, put: Callable[[Tx], bool]) -> bool:
    """Whether a result stands now; it is discarded where another Coreapp was first."""
    try:
        stands = await ports.db.write(put)
    except (CommitUnknown, asyncio.CancelledError):
        raise  # the row may name the new file: it must stay
    except BaseException:
        await _discard(ports, made)
        raise
    if not stands:
        await _discard(ports, made)
    return stands


async def _discard(ports: Ports, made: Rendition | Refusal) -> None:
    if isinstance(made, Rendition) and made.file:
        await ports.volume.delete(key_of_made(made.file))
