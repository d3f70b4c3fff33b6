"""What would become of a file, found out by doing it: probed, planned and rendered as for a send, and nothing of it kept.

No media, no rendition and no row come of it: whoever sends the file afterwards uploads it.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from satchel.domain.errors import MEDIA_TOO_HEAVY, TOO_LARGE_TO_SEND, Fault, storage_fault
from satchel.domain.media import Facts, Rendered
from satchel.domain.plans import Plan, plan
from satchel.domain.reports import Report, report, type_of
from satchel.flows import Ports
from satchel.flows.media_node import capped, check_size
from satchel.flows.prepare import LASTING
from satchel.postprocess.sniff import HEAD_BYTES, sniff

VERDICTS = LASTING | {MEDIA_TOO_HEAVY, TOO_LARGE_TO_SEND}
"""Situations that lie in the file: they are the answer, where any other hinders us from giving one."""


@dataclass(frozen=True)
class Asked:
    """`mime`: of the request; `media_type`: what the file would be sent as, None for what its content says.

    `declared`: bytes, where known.
    """

    mime: str
    media_type: str | None
    declared: int | None = None


async def check(ports: Ports, body: AsyncIterator[bytes], asked: Asked) -> Report:
    """The report on a body. Raises `Fault` for an empty one or one over the ceiling of uploads, and what the volume raises."""
    check_size(asked.declared or 0, ports.limits.upload)
    async with ports.volume.aside(capped(body, ports.limits.upload), asked.declared) as path:
        facts, broken = await _looked_into(ports, path)
        upload = (await asyncio.to_thread(path.stat)).st_size
        media_type = asked.media_type or type_of(facts)
        try:
            if broken is not None and ports.limits.rules.of(media_type) != "off":
                raise broken
            todo = plan(facts, media_type, ports.limits.rules)
            return report(facts, todo, upload, await _rendered(ports, path, todo), asked.mime)
        except Fault as fault:
            if fault.situation not in VERDICTS:
                raise
            return Report("refused", asked.mime, media_type, facts, upload, problem=fault)


async def _looked_into(ports: Ports, path: Path) -> tuple[Facts, Fault | None]:
    """What a probe found; of a file that it cannot read to the end what the first bytes say, and why."""
    try:
        return await ports.transcoder.probe(path), None
    except Fault as fault:
        if fault.situation not in VERDICTS:
            raise
        return await asyncio.to_thread(_named, path), fault


def _named(path: Path) -> Facts:
    with path.open("rb") as file:
        form, mime = sniff(file.read(HEAD_BYTES))
    return Facts(form, mime, size=path.stat().st_size)


async def _rendered(ports: Ports, path: Path, todo: Plan) -> Rendered | None:
    """What a send would make of it; None where it would go out as it is."""
    if todo.action == "keep":
        return None
    async with ports.volume.scratch() as scratch:
        try:
            return await ports.transcoder.render(path, todo, await asyncio.to_thread(scratch.begin))
        except OSError as error:
            raise storage_fault(error, "what is made of the file") from error
