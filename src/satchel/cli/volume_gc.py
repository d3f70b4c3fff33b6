"""`satchel volume gc`: what gc would delete and what that would mean for phones, then gc itself."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import rich_click as click

from satchel import build, observe
from satchel.cli import say
from satchel.cli.node import beside_dev
from satchel.cli.options import json_option, node_data_dir
from satchel.coreapp.leases import Leases
from satchel.db import retention as rows
from satchel.domain.errors import GC_RUNNING, Fault
from satchel.domain.limits import DAY
from satchel.domain.quantities import duration, listed, shown_duration, shown_size, size
from satchel.domain.retention import CLASSES, EFFECTS, HARMLESS, Rule
from satchel.flows import LeaseLost, Ports, gc_runs, retention
from satchel.flows.retention import Deleted, Judged, Plan
from satchel.settings import Settings, load

OPTIONS = {"unused_for": "--older-than", "directions": "--directions", "kinds": "--kinds", "classes": "--classes"}


@click.command(epilog="Example: satchel volume gc --dry-run --older-than 60d")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--older-than", metavar="TIME", help="Unused for so long, such as 60d; else retention.unused_for.")
@click.option("--classes", metavar="LIST", default=",".join(HARMLESS), show_default=True, help="Which classes of the plan to delete.")
@click.option("--directions", metavar="LIST", help="Of up, in, link; else retention.directions.")
@click.option("--kinds", metavar="LIST", help="Of audio, document, image, sticker, video; else retention.kinds.")
@click.option("--max-total", metavar="SIZE", help="Also delete what was not used for longest, down to this size; else retention.max_total.")
@click.option("--list", "as_list", is_flag=True, help="Also print each media with its class and the phones it went to.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@node_data_dir
@json_option
def gc(data_dir: Path, as_json: bool, dry_run: bool, as_list: bool, yes: bool, **given: str | None) -> None:
    """Delete media that nobody has used for a while, after a plan of what that means for phones. Works beside a running node.

    What an accepted message needs and what was used within a day is never deleted.
    """
    observe.set_up(logging.WARNING)
    with say.configuration_errors():
        settings = beside_dev(load(data_dir, os.environ))
        rule = _rule(settings.retention, given)
        try:
            _run(settings, rule, Manner(as_json, as_list, dry_run, yes))
        except Fault as fault:
            if fault.situation is not GC_RUNNING:
                raise
            say.stop(fault.details, say.REFUSED)
        except LeaseLost:
            say.stop("This command stood still for too long, and another gc may have begun: run it again.", say.UNEXPECTED)


@dataclass(frozen=True)
class Manner:
    """How the plan is shown and what follows it."""

    as_json: bool
    as_list: bool
    dry_run: bool
    yes: bool


def _rule(base: Rule, given: dict[str, str | None]) -> Rule:
    try:
        asked: dict[str, Any] = {name: listed(text) for name in ("classes", "directions", "kinds") if (text := given[name]) is not None}
        asked["classes"] = tuple(name.upper() for name in asked["classes"])
        if (text := given["older_than"]) is not None:
            asked["unused_for"] = duration(text)
        if (text := given["max_total"]) is not None:
            asked["max_total"] = size(text)
        return replace(base, **asked)
    except ValueError as error:
        raise click.UsageError(f"{_by_its_option(str(error))}.") from None


def _by_its_option(told: str) -> str:
    """What is wrong with a rule, named as it was typed and not as the setting."""
    name, _, rest = told.partition(" ")
    return f"{OPTIONS[name]} {rest}" if name in OPTIONS else told


def _run(settings: Settings, rule: Rule, manner: Manner) -> None:
    """People are asked outside of the event loop, which would keep Ctrl-C for itself until they have answered."""
    plan, deleted = asyncio.run(_plan(settings, rule, manner)), None
    if not manner.dry_run and _chosen(plan, rule) and _agreed(manner):
        deleted = asyncio.run(_clean(settings, rule))
    if manner.as_json:
        say.json(document(plan, rule, deleted))
    elif deleted is not None:
        click.echo(f"Deleted {deleted.files:,} media, {shown_size(deleted.bytes)}.")


async def _plan(settings: Settings, rule: Rule, manner: Manner) -> Plan:
    """What would go, told unless the answer is one document at the end."""
    async with build.at_work(settings) as ports:
        judged: list[Judged] = []
        plan = await retention.plan(ports, rule, judged.append if manner.as_list else lambda one: None)
        if not manner.as_json:
            click.echo("\n".join(lines(plan, rule)))
        await _list(ports, judged, manner.as_json)
        return plan


async def _clean(settings: Settings, rule: Rule) -> Deleted:
    """What may go by now: everything is judged anew."""
    async with build.at_work(settings) as ports:
        return await gc_runs.by_hand(ports, rule, Leases(ports.db, settings.coreapp.lease_ttl).alone)


def _agreed(manner: Manner) -> bool:
    """Where nobody can be asked, `--yes` has to say it."""
    if manner.yes:
        return True
    if not sys.stdin.isatty() or manner.as_json:
        say.stop("Nothing was deleted: there is no terminal to ask on. Add --yes to delete, or --dry-run to look only.", say.USAGE)
    return click.confirm("Delete them?", err=True)


def _chosen(plan: Plan, rule: Rule) -> int:
    return sum(share.files for name, share in plan.shares.items() if name in rule.classes)


def lines(plan: Plan, rule: Rule) -> Iterator[str]:
    """What people see."""
    wide = max(map(len, CLASSES.values()))
    yield f"{what(rule):<{wide + 8}} {'files':>11} {'size':>11} {'oldest':>8} {'phones':>9}   effect on phones"
    for name, share in plan.shares.items():
        box = "x" if name in rule.classes else " "
        oldest = "" if share.oldest_net is None else f"{(plan.now_net - share.oldest_net) / DAY:,.0f} d"
        files, bytes_, phones = f"{share.files:,}", shown_size(share.bytes), f"{share.phones:,}"
        yield f" [{box}] {name}  {CLASSES[name]:<{wide}} {files:>11} {bytes_:>11} {oldest:>8} {phones:>9}   {EFFECTS[name]}"
    freed = sum(share.bytes for name, share in plan.shares.items() if name in rule.classes)
    yield f"{', '.join(rule.classes) or 'nothing'} chosen: frees {shown_size(freed)}, {_chosen(plan, rule):,} media"
    if not plan.asked:
        yield "The network does not tell what phones have downloaded, and receipts do not prove it: what was sent is B or C."


def what(rule: Rule) -> str:
    """The rule in words."""
    kinds = f", {' and '.join(rule.kinds)}" if rule.kinds else ""
    room = f", or over {shown_size(rule.max_total)}" if rule.max_total else ""
    return f"Media ({', '.join(rule.directions)}{kinds}) unused for {shown_duration(rule.unused_for)}{room}"


def document(plan: Plan, rule: Rule, deleted: Deleted | None) -> dict[str, Any]:
    """Sizes in bytes, times in network time."""
    return {
        "unused_for_seconds": rule.unused_for,
        "directions": rule.directions,
        "kinds": rule.kinds,
        "max_total": rule.max_total,
        "downloads_known": plan.asked,
        "classes": {
            name: {
                "what": CLASSES[name],
                "effect": EFFECTS[name],
                "chosen": name in rule.classes,
                "files": share.files,
                "bytes": share.bytes,
                "messages": share.messages,
                "phones": share.phones,
                "oldest_at": None if share.oldest_net is None else _shown_time(share.oldest_net),
            }
            for name, share in plan.shares.items()
        },
        "deleted": None if deleted is None else {"files": deleted.files, "bytes": deleted.bytes},
    }


async def _list(ports: Ports, judged: list[Judged], as_json: bool) -> None:
    """A line for each media; with --json, one JSON object each before the document."""
    for one in judged:
        phones = await ports.db.read(partial(rows.phones_of, media_id=one.media.id))
        if as_json:
            used = _shown_time(one.media.used_net)
            say.json({"id": one.media.id, "class": one.name, "size": one.media.size, "last_used_at": used, "phones": phones})
        else:
            shown = ", ".join(phones[:5]) + (f" and {one.sent.phones - 5:,} more" if one.sent.phones > 5 else "")
            click.echo(f"{one.name}  {one.media.id}  {shown_size(one.media.size):>11}  {_shown_time(one.media.used_net)}  {shown}")


def _shown_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
