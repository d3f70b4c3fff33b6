"""`satchel volume`: the media volume of this host."""

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from satchel import build, mounts
from satchel.cli import say
from satchel.cli.options import json_option, node_data_dir
from satchel.cli.volume_fsck import fsck
from satchel.cli.volume_gc import gc
from satchel.domain import room
from satchel.domain.errors import VOLUME_MISSING, Later
from satchel.domain.limits import reserve
from satchel.domain.quantities import shown_share, shown_size
from satchel.flows import usage
from satchel.flows.usage import Kind, Usage
from satchel.settings import Settings, SettingsError, load

WIDTH = 32


@click.group()
def volume() -> None:
    """The media volume of this host."""


volume.add_command(gc)
volume.add_command(fsck)


@volume.command(epilog="Example: satchel volume df --data-dir /var/lib/satchel")
@node_data_dir
@json_option
def df(data_dir: Path, as_json: bool) -> None:
    """Show what fills the volume. Figures of media and renditions are those of their rows; parts and strays are looked up in the folder."""
    with say.configuration_errors():
        settings = load(data_dir, os.environ)
        measured = asyncio.run(_measure(settings))
    if as_json:
        say.json(document(settings, measured))
        return
    click.echo("\n".join(lines(settings, measured)))
    for warning in warnings(settings, measured):
        click.echo(f"satchel: {warning}", err=True)


async def _measure(settings: Settings) -> Usage:
    async with build.looked_at(settings) as looked:
        if looked.pending:
            raise SettingsError(f"The database lacks {', '.join(looked.pending)}: run satchel migrate.")
        if not await looked.volume.present():
            lacking = f"The media volume is not at {settings.volume_path} (its .satchel-volume is absent or another's)"
            raise Later(VOLUME_MISSING, f"{lacking}: mount it{path_hint(settings)}.")
        return await usage.measure(looked.db, looked.volume)


def path_hint(settings: Settings) -> str:
    """What else to do about a volume that is not there: the node may have been told where it is, and this command not."""
    return "" if "volume.path" in settings.origins else ", or run this with the node's SATCHEL_VOLUME__PATH"


def document(settings: Settings, measured: Usage) -> dict[str, Any]:
    """Everything in bytes."""
    space = measured.space
    return {
        "path": str(settings.volume_path),
        "file_system": mounts.kind_of(settings.volume_path),
        **asdict(space),
        "used": space.used,
        "high_water": int(space.total * settings.volume.high_water),
        "reserve": reserve(space.total),
        "level": room.level(space, settings.volume.high_water),
        "kinds": {kind.name: {name: value for name, value in asdict(kind).items() if name != "name"} for kind in measured.kinds},
        "warnings": warnings(settings, measured),
    }


def lines(settings: Settings, measured: Usage) -> Iterator[str]:
    """What people see."""
    space, share = measured.space, measured.space.used_share
    marks = f"high-water {shown_share(settings.volume.high_water)}, uploads refused below {shown_size(reserve(space.total))} free"
    yield f"Volume {settings.volume_path}  ({mounts.kind_of(settings.volume_path)})   {marks}"
    level, half = room.level(space, settings.volume.high_water), room.kept(space, urgent=True)[0]
    yield f"Level {level}   what accepted messages need waits below {shown_size(half)} free"
    yield f"[{bar(share, settings.volume.high_water)}]  {share:.0%} used   {shown_size(space.free)} of {shown_size(space.total)} free"
    yield from map(_line, measured.kinds)


def bar(share: float, mark: float) -> str:
    """How full it is, and where the high-water mark stands."""
    full, empty, stop = "■□|" if (sys.stdout.encoding or "").lower().startswith("utf") else "#.|"
    cells = [full if number < round(share * WIDTH) else empty for number in range(WIDTH)]
    cells.insert(round(mark * WIDTH), stop)
    return "".join(cells)


def warnings(settings: Settings, measured: Usage) -> list[str]:
    """What is above a mark."""
    space = measured.space
    tight = room.sentence(space, settings.volume.high_water)
    return [f"{settings.volume_path}: {tight}."] if tight else []


def _line(kind: Kind) -> str:
    source = f"by the {kind.source}" if kind.looked is None else f"among the first {kind.looked:,} files of the folder"
    return f"{kind.name:<11} {shown_size(kind.bytes):>11}   {kind.files:>11,} files   {source}"
