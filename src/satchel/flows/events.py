"""What the upstream reports: verified, kept once, and absorbed in the storing transaction."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from satchel.db import Tx, messages, reuploads, settings, steps
from satchel.db import upstream_events as rows
from satchel.db.reuploads import Asker
from satchel.domain.statuses import ORDER, Status
from satchel.domain.steps import Step
from satchel.flows import Ports, inbound, statuses, worlds
from satchel.upstream import Request, UpstreamEvent, UpstreamEvents

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
    requests: list[tuple[str, Request]] = []
    for event in posted.events:
        status = None if foreign else _status(tx, event)
        state = "dropped" if foreign else "unknown" if event.status and status is None else "absorbed"
        if event.offset is None and _take(tx, upstream, posted.world, event, state):
            taken += 1
            new += [status] if status else []
            if event.kind in INBOUND and not foreign:
                inbound.take(tx, upstream, posted.world, event)
            requests += [(f"{upstream}:{event.dedupe_key}", event.request)] if event.request and not foreign else []
    told = [*_put_in_line(tx, requests, ports.host), *((status.message_id, _step(status, ports.host)) for status in new)]
    statuses.record(tx, new)
    for message_id, step in sorted(told, key=lambda one: one[0]):  # in one order: two posts may tell of the same messages at once
        steps.write(tx, message_id, [step])
    return taken


def _put_in_line(tx: Tx, requests: list[tuple[str, Request]], host: str) -> list[tuple[str, Step]]:
    """Phones that ask for media again stand in the lane of what they need, lanes in name order; what to note of it."""
    sent = {request.message: messages.sent(tx, request.message) for _, request in requests}
    lanes = {name: reuploads.lane_of(found.rendition_id if found else None, name) for name, found in sent.items()}
    for key, asked in sorted(requests, key=lambda one: (lanes[one[1].message], one[0])):
        line = Asker(key, asked.message, asked.recipient, asked.world, asked.asked, asked.asked_net, 0, time.time())
        reuploads.add(tx, lanes[asked.message], line)
    known = [asked for _, asked in requests if sent[asked.message] is not None]
    return [(asked.message, Step("media_requested", time.time(), 0.0, host, reason=f"by {asked.recipient}")) for asked in known]


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
    """The status that an event carries; None for another kind, or a message that is not ours or went to somebody else."""
    if event.kind != "status" or event.status not in ORDER:
        return None
    recipient = messages.recipient(tx, event.message)
    if recipient is None or event.recipient not in ("", recipient):
        return None
    return Status(event.message, recipient, event.status, event.at_net)
