"""`satchel volume fsck`: holds rows against files and files against rows, while the node runs."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import rich_click as click

from satchel import build, observe
from satchel.cli import say
from satchel.cli.node import beside_dev
from satchel.cli.options import json_option, node_data_dir
from satchel.cli.progress import Count
from satchel.domain.quantities import shown_size
from satchel.flows import fsck as flow
from satchel.flows.fsck import APART, Asked, Found
from satchel.settings import Settings, load


@click.command(epilog="Example: satchel volume fsck --repair")
@click.option("--repair", is_flag=True, help="Mark what is missing, take back what is there again, sweep renditions and parts of nobody.")
@click.option("--remove-strays", is_flag=True, help="With --repair: also remove files that belong to no media.")
@click.option("--many", is_flag=True, help="With --repair: also where more than 1 % are missing or belong to no media.")
@click.option("--yes", is_flag=True, help="Do not ask before files are removed.")
@node_data_dir
@json_option
def fsck(data_dir: Path, as_json: bool, repair: bool, remove_strays: bool, many: bool, yes: bool) -> None:
    """Hold the rows of the database against the files of the volume, in both directions. Works beside a running node.

    A file is marked missing when two runs, ten minutes apart or more, do not find it. Exit code 10 tells that something is not in order.
    """
    if (remove_strays or many) and not repair:
        raise click.UsageError("--remove-strays and --many go with --repair.")
    if remove_strays and not yes:
        _agree()
    observe.set_up(logging.WARNING)
    with say.configuration_errors():
        found = asyncio.run(_run(beside_dev(load(data_dir, os.environ)), Asked(repair, remove_strays, many)))
    if as_json:
        say.json({**asdict(found), "problems": found.problems})
    else:
        click.echo("\n".join(lines(found, repair)))
    for told in found.held_back:
        click.echo(f"satchel: not repaired: {told} If so, repeat with --many.", err=True)
    if found.problems:
        sys.exit(say.PROBLEMS)


async def _run(settings: Settings, asked: Asked) -> Found:
    async with build.at_work(settings) as ports:
        count = Count("looked at")
        try:
            return await flow.check(ports, replace(asked, tell=count.at))
        finally:
            count.over()


def _agree() -> None:
    told = "Files without a row may belong to a newer database than this one"
    if not sys.stdin.isatty():
        say.stop(f"{told}: add --yes to remove them all the same.", say.USAGE)
    if not click.confirm(f"{told}. Remove them?", err=True):
        raise click.Abort


def lines(found: Found, repair: bool) -> Iterator[str]:
    """What people see: what was found, and what became of it."""
    yield f"{found.rows:,} rows and {found.files:,} files looked at"
    yield from _line("media without a file", found.missing, _missing(found, repair), found.some.get("missing"))
    yield from _line("media still missing, as marked before", found.lost, "readers get 404; put the file back, and they live again", None)
    yield from _line(
        "missing media whose file is back", found.back, _done(found.revived, "they live again", "--repair"), found.some.get("back")
    )
    yield from _line("missing media under whose name other bytes lie", found.differs, "left as they are", found.some.get("differs"))
    yield from _line("files touched or changed by hand", found.changed, "looked into when they are next opened", None)
    strays = f"{shown_size(found.stray_bytes)}; {_done(found.strays_removed, 'removed', '--repair --remove-strays')}"
    yield from _line("files without a row", found.strays, strays, found.some.get("strays"))
    yield from _line("links, folders and the like in shared/", found.odd, "never followed, never removed", found.some.get("odd"))
    gone = 'phones that ask again are told "unavailable" unless the same can be made again'
    yield from _line("renditions without a file", found.renditions_missing, gone, found.some.get("renditions missing"))
    yield from _line("renditions without a row", found.renditions_stray, _done(found.swept, "removed", "--repair"), None)
    if not found.problems:
        yield "All is in order."


def _missing(found: Found, repair: bool) -> str:
    if found.marked:
        return f"{found.marked:,} marked missing"
    if found.young:
        return f"{found.young:,} of them first missed less than {APART / 60:.0f} minutes ago: run fsck --repair again after that"
    return "left to you" if repair else "--repair marks them missing"


def _done(count: int, done: str, how: str) -> str:
    return f"{count:,} {done}" if count else how


def _line(what: str, count: int, then: str, some: list[str] | None) -> Iterator[str]:
    if count:
        yield f"  {count:>11,}  {what}: {then}"
        for name in some or []:
            yield f"{'':15}{_shown(name)}"


def _shown(name: str) -> str:
    """What anybody may have called a file, on one line: what a terminal would obey or could not write is escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)
