"""Runs of gc that somebody asked for, or the night: asked for at the door, worked on by a Coreapp, told by a callback."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import structlog

from satchel.db import Database, Tx, callbacks, hosts, locks, message_gc, settings
from satchel.db import gc_runs as rows
from satchel.db.callbacks import News
from satchel.db.gc_runs import Waiting, What
from satchel.domain.application import collects, webhook_url
from satchel.domain.errors import CORE_AWAY, DATABASE_DOWN, GC_RUNNING, Fault, Later
from satchel.domain.hosts import node_of
from satchel.domain.limits import DAY
from satchel.domain.retention import Rule
from satchel.flows import Lease, Ports, Settle, retention
from satchel.flows.retention import Deleted
from satchel.observe import metrics

log = structlog.get_logger("satchel.flows")
NIGHTLY = "gc_nightly"
"""The setting that holds, for each kind, the mark at which it last ran by itself; wall time."""
MOST_TRIES = 5
KINDS: tuple[What, What] = ("media", "messages")
Alone = Callable[[str, str], AbstractAsyncContextManager[Lease | None]]
"""Holds a lane of a kind for work that is none of its items; None while somebody else has it."""


async def ask(db: Database, what: What, by: str) -> None:
    """Ask for a run. Where one waits or runs, that one is the answer. Raises `Later(CORE_AWAY)` where nobody would do it."""

    def put(tx: Tx) -> None:
        if not hosts.living(tx, "core"):
            raise Later(CORE_AWAY, "No Coreapp can be reached, so nothing would be cleaned up: start one, then ask again.", 5.0)
        rows.ask(tx, what, by)

    await db.write(put)
    log.info("gc_asked_for", what=what, by=by)


async def nightly(ports: Ports, now_at: float) -> None:
    """Ask for the runs that the settings want each night, once over all hosts. `now_at`: wall time."""
    hour = ports.limits.retention.hour

    def put(tx: Tx) -> list[str]:
        tx.lock(locks.NIGHTLY_GC)
        application, last = settings.application(tx), dict(settings.get(tx, NIGHTLY) or {})
        due = [what for what in KINDS if collects(application, what) and _due(last, what, mark(now_at, hour), now_at)]
        fresh = {what for what in KINDS if what in due or what not in last}
        marks = {what: mark(now_at, hour) if what in fresh else last[what] for what in KINDS if collects(application, what)}
        if marks != last:
            settings.put(tx, NIGHTLY, marks)
        return [what for what in due if rows.ask(tx, what, "nightly")]

    if asked := await ports.db.write(put, durable=False):
        log.info("gc_asked_for", what=asked, by="nightly")


def mark(now_at: float, hour: int) -> float:
    """When that hour of the host's day last began."""
    local = time.localtime(now_at)
    began = time.mktime((local.tm_year, local.tm_mon, local.tm_mday, hour, 0, 0, 0, 0, -1))
    return began if began <= now_at else began - DAY


def _due(last: dict[str, float], what: str, mark_: float, now_at: float) -> bool:
    """Not at the moment at which it is switched on, but the next night. A mark of a clock that went wrong counts for nothing."""
    return what in last and (last[what] < mark_ or last[what] > now_at + DAY)


async def work(ports: Ports, item: Waiting, lease: Lease) -> Settle:
    """Do a run, or go on with one that broke off; what is left is one transaction that ends and tells it."""
    try:
        if item.what == "media":
            await retention.clean(ports, ports.limits.retention, lease, item.id)
        else:
            await _forget(ports, item, lease)
    except Fault as fault:
        return ended(ports, item, fault.details)
    except Later as later:
        if later.situation is DATABASE_DOWN:
            raise
        return ended(ports, item, later.details)
    return ended(ports, item)


async def by_hand(ports: Ports, rule: Rule, alone: Alone) -> Deleted:
    """Delete what a rule says now, as a person asks who waits for the end of it: no row, no callback.

    Raises `Fault(GC_RUNNING)` while another run is at work, `LeaseLost` when this one stood still for too long, and what
    `retention.clean` raises.
    """
    async with alone(rows.LANE, rows.KIND) as lease:
        if lease is None:
            raise Fault(GC_RUNNING, "Another gc is running: wait until it has ended, then run this again.")
        return await retention.clean(ports, rule, lease)


def broken(ports: Ports, item: Waiting) -> Settle:
    """A bug: tried a few times, then told."""
    if item.attempts + 1 < MOST_TRIES:
        return lambda tx: rows.again(tx, item.id, 60.0)
    return ended(ports, item, "Something went wrong inside the node; its log says what.")


def ended(ports: Ports, item: Waiting, why: str | None = None) -> Settle:
    """The end of a run with its callback; `why`: it failed."""

    def settle(tx: Tx) -> bool:
        deleted = rows.finish(tx, item.id, "failed" if why else "done")
        if deleted is None:
            return False
        application = settings.application(tx)
        news = News(f"gc:{item.id}", "", {"services": [told(item.what, deleted, ports.host, why)]})
        callbacks.put_down(tx, [news], webhook_url(application) is not None)
        return True

    log.log(logging.WARNING if why else logging.INFO, "gc_ended", what=item.what, run=item.id, why=why)
    return settle


def told(what: What, deleted: int, host: str, why: str | None) -> dict[str, Any]:
    """One entry of `services`. That of media is keyed `media` in any case, although a published sample has `message` there."""
    said: dict[str, Any] = {"items_deleted" if what == "media" else "messages_deleted": deleted, "status": "failed" if why else "complete"}
    if what == "messages":
        said["node"] = node_of(host)
    if why:
        said["errors"] = [{"code": CORE_AWAY.code, "title": CORE_AWAY.title, "details": why}]
    return {"media" if what == "media" else "message": {"gc": said}}


async def _forget(ports: Ports, item: Waiting, lease: Lease) -> None:
    """Finished messages as old as the rule says. Those whose file a phone may still ask for stay as long as it."""
    before = await ports.db.read(settings.network_now) - ports.limits.retention.unused_for
    after = 0
    while (page := await ports.db.read(partial(message_gc.look, before_net=before, after=after))) is not None and page.older:
        lease.check()
        after = page.end
        if page.ids:
            gone = await ports.db.write(partial(_gone, page=page, before=before, run=item.id))
            metrics.gc_deleted.labels("message").inc(gone)
        await asyncio.sleep(0)


def _gone(tx: Tx, page: message_gc.Page, before: float, run: str) -> int:
    gone = message_gc.forget(tx, page.ids, before)
    rows.count(tx, run, gone, 0)
    return gone
