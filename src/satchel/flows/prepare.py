"""From a media to what goes out for it: probe, judge, render, keep. Once per bytes, media type and profile; safe to run twice."""

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from satchel.db import renditions
from satchel.domain.errors import CONTENT_MISMATCH, MEDIA_UNREADABLE, TYPE_NOT_ACCEPTED, Fault
from satchel.domain.media import Facts, Media, Refusal, Rendition, judge_image
from satchel.flows import Ports
from satchel.flows.media_node import key_of

LASTING = {CONTENT_MISMATCH, MEDIA_UNREADABLE, TYPE_NOT_ACCEPTED}
"""Situations that lie in the bytes themselves: kept, so that ten thousand sends of one bad file probe it once."""
BLOCK = 256 * 1024


async def ensure(ports: Ports, media: Media, media_type: str) -> Rendition | Refusal:
    """What goes out for this media as this media type, or why nothing can.

    Raises `Fault(MEDIA_GONE)` when the file is not there, `Later` while the volume or a child process is not.
    """
    known = await ports.db.read(lambda tx: renditions.find(tx, media.sha256, media_type, ports.limits.profile))
    if known is not None and await _stands(ports, known):
        return known
    try:
        made: Rendition | Refusal
        made, facts = await _make(ports, media, media_type)
    except Fault as fault:
        if fault.situation not in LASTING:
            raise
        made, facts = _refusal(ports, media, media_type, fault), Facts("", "")
    if isinstance(known, Rendition) and isinstance(made, Rendition):
        return await _restored(ports, known, made, media)
    stands = await ports.db.write(lambda tx: renditions.add(tx, made, facts))
    if isinstance(made, Rendition) and made.file and stands.id != made.id:
        await ports.volume.delete(f"renditions/{made.file}")  # another Coreapp was first
    return stands


def key_of_rendition(rendition: Rendition, media: Media) -> str:
    """The volume key of a rendition's bytes: its own file, or the media itself."""
    return key_of(media.id) if rendition.file is None else f"renditions/{rendition.file}"


async def _stands(ports: Ports, known: Rendition | Refusal) -> bool:
    """Whether the file of a known result is still there."""
    return isinstance(known, Refusal) or known.file is None or await ports.volume.stat(f"renditions/{known.file}") is not None


async def _make(ports: Ports, media: Media, media_type: str) -> tuple[Rendition, Facts]:
    blank = Rendition(str(uuid.uuid4()), media.sha256, media_type, ports.limits.profile, None, media.mime, media.size, media.sha256, b"")
    if media_type == "document":
        return replace(blank, media_key=secrets.token_bytes(32)), Facts("document", media.mime)
    with ports.volume.local(key_of(media.id)) as path:
        facts = await ports.transcoder.probe(path)
        judge_image(facts)
        return await _render(ports, replace(blank, file=blank.id), path), facts


async def _render(ports: Ports, rendition: Rendition, path: Path) -> Rendition:
    with ports.volume.scratch() as scratch:
        rendered = await ports.transcoder.render(path, rendition.media_type, scratch)
        stored = await ports.volume.put(f"renditions/{rendition.file}", _blocks(scratch))
    return replace(rendition, mime=rendered.mime, size=stored.size, sha256=stored.sha256, media_key=secrets.token_bytes(32))


async def _restored(ports: Ports, known: Rendition, made: Rendition, media: Media) -> Rendition | Refusal:
    """The rendition's file had vanished and was made again: the same bytes keep their row and key, others get their own."""
    moved = replace(known, file=made.file) if made.sha256 == known.sha256 else made
    if await ports.db.write(lambda tx: renditions.replace(tx, known, moved)):
        return moved
    await ports.volume.delete(f"renditions/{made.file}")  # another Coreapp was first
    return await ensure(ports, media, known.media_type)


def _refusal(ports: Ports, media: Media, media_type: str, fault: Fault) -> Refusal:
    return Refusal(str(uuid.uuid4()), media.sha256, media_type, ports.limits.profile, fault.situation.slug, fault.details)


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := await asyncio.to_thread(file.read, BLOCK):
            yield block
