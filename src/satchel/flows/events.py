"""What the upstream reports: verified, kept once, and absorbed in the storing transaction."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from satchel.db import Tx, messages, settings, steps
from satchel.db import upstream_events as rows
from satchel.domain.statuses import ORDER, Status
from satchel.domain.steps import Step
from satchel.flows import Ports, inbound, statuses, worlds
from satchel.upstream import UpstreamEvent, UpstreamEvents

INBOUND = ("message", "media_retry_answer")
"""Kinds of events that come from those who send to the business."""


async def absorb(ports: Ports, headers: Mapping[str, str], body: bytes) -> int:
    """Take one POST; how many of its events were new. What it returns after is committed.

    Raises `Fault` for a bad signature or body, `Later` while the database is not there.
    """
    posted = ports.upstream.events(headers, body)
    return await ports.db.write(lambda tx: _absorb(tx, ports, posted))


def _absorb(tx: Tx, ports: Ports, posted: UpstreamEvents) -> int:
    upstream = ports.upstream.name
    states = [event for event in posted.events if event.offset is not None]
    taken = sum(_take_state(tx, ports, posted.world, event) for event in states)
    world, _ = settings.upstream(tx)
    foreign = world is not None and world != posted.world
    new: list[Status] = []
    if not foreign:
        inbound.wake(tx, posted.events)
    for event in posted.events:
        status = None if foreign else _status(tx, event)
        state = "dropped" if foreign else "unknown" if event.status and status is None else "absorbed"
        if event.offset is None and _take(tx, upstream, posted.world, event, state):
            taken += 1
            new += [status] if status else []
            if event.kind in INBOUND and not foreign:
                inbound.take(tx, upstream, posted.world, event)
    statuses.record(tx, new)
    for status in sorted(
        new, key=lambda status: status.message_id
    ):  # in one order: two posts that tell of the same messages may come at once
        steps.write(tx, status.message_id, [_step(status, ports.host)])
    return taken


def _step(status: Status, host: str) -> Step:
    name: Any = status.status  # the statuses are among the names of steps
    return Step(name, time.time(), 0.0, host, outcome="failed" if name == "failed" else "ok")


def _take_state(tx: Tx, ports: Ports, world: str, event: UpstreamEvent) -> bool:
    """The upstream's clock was moved, or its world is new; a repeated report changes nothing."""
    new = _take(tx, ports.upstream.name, world, event, "absorbed")
    if new and event.offset is not None:
        worlds.learn(tx, world, event.offset, ports.host)
    return new


def _take(tx: Tx, upstream: str, world: str, event: UpstreamEvent, state: str) -> bool:
    return rows.take(tx, upstream, event.dedupe_key, world, msgspec.json.encode(event.body).decode(), state)


def _status(tx: Tx, event: UpstreamEvent) -> Status | None:
    """The status that an event carries; None for another kind, or a message that is not ours."""
    if event.status not in ORDER:
        return None
    recipient = messages.recipient(tx, event.message)
    return None if recipient is None else Status(event.message, recipient, event.status, event.at_net)
