"""Messages that somebody sent to the business: kept with the event that brought them, their media stored first, announced second.

One lane for each sender: what one person sent is told of in its order, so a message waits for the media of those before it.
"""

import uuid
from collections.abc import Iterable
from functools import partial
from typing import Any

import structlog

from satchel.db import Tx, callbacks, downloads, lanes, remotes, settings
from satchel.db import inbound as rows
from satchel.db.callbacks import News
from satchel.db.inbound import Waiting
from satchel.db.remotes import Remote
from satchel.domain.application import fetches, webhook_url
from satchel.domain.errors import Fault
from satchel.domain.incoming import Incoming, body_of
from satchel.flows import Lease, Ports, Settle, fetch
from satchel.flows.fetch import Missed, Outcome, PutOff
from satchel.flows.media_node import key_of
from satchel.observe import metrics
from satchel.upstream import UpstreamEvent

log = structlog.get_logger("satchel.flows")


def wake(tx: Tx, events: Iterable[UpstreamEvent]) -> None:
    """Wake the lanes that these events concern, before a row of theirs is touched and in one order."""
    names: dict[str, str] = {}
    for event in events:
        if event.received is not None:
            names[rows.lane_of(event.received.sender)] = rows.KIND
        elif event.answer is not None and (remote := remotes.of_message(tx, event.message)) is not None:
            names |= {rows.lane_of(remote.wa_id): rows.KIND, downloads.lane_of(remote.wa_id): downloads.KIND}
    for name in sorted(names):
        lanes.wake(tx, name, names[name])


def take(tx: Tx, upstream: str, world: str, event: UpstreamEvent) -> None:
    """Keep what an event brings, in the transaction that keeps the event. What cannot be told of anybody is dropped."""
    message = event.received
    if message is None and event.answer is not None:
        _take_answer(tx, event)
    elif message is None:
        log.warning("received_nonsense", event_id=event.dedupe_key[:128])
    else:
        _take_message(tx, upstream, world, message, event.source)


def _take_message(tx: Tx, upstream: str, world: str, message: Incoming, source: str | None) -> None:
    media_id = str(uuid.uuid4()) if message.media is not None else None
    if not rows.add(tx, message, media_id, upstream, world):
        log.warning("received_twice", message_id=message.id)
    elif message.media is not None and media_id is not None and source is not None:
        remote = Remote(media_id, message.id, message.sender, message.type, message.media.size, source)
        remotes.add(tx, remote, message.media.mime, message.media.sha256, settings.network_now(tx))


def _take_answer(tx: Tx, event: UpstreamEvent) -> None:
    """What a sender's phone says of its media: whoever waits for it goes on."""
    remote = remotes.of_message(tx, event.message)
    if remote is not None:
        remotes.answered(tx, remote.media_id, event.answer)
        rows.nudge(tx, remote.message_id)
        downloads.nudge(tx, remote.media_id)


async def announce(ports: Ports, item: Waiting, lease: Lease) -> Settle:
    """Bring the head of a sender's lane to the business, its media before it."""
    message = item.message
    if message.media is None or item.media_id is None:
        return partial(_tell, message=message, body=body_of(message))
    application, remote = await ports.db.read(lambda tx: (settings.application(tx), remotes.find(tx, str(item.media_id))))
    undownloaded = body_of(message, item.media_id)
    if remote is None or not fetches(application, message.type):
        return partial(_tell, message=message, body=undownloaded)
    outcome = await fetch.bring(ports, remote, item.attempts, lease)
    if isinstance(outcome, PutOff):
        return fetch.again(rows, item.id, remote, outcome)
    return _ended(ports, message, remote, outcome)


def broken(item: Waiting) -> Settle:
    """An error of ours: tried a few times, then told without its media. A message without one can be told as it is."""
    if item.attempts + 1 < fetch.TRIES:
        return lambda tx: rows.again(tx, item.id, fetch.LONGEST_WAIT)
    body = body_of(item.message, item.media_id, fault=fetch.BROKEN if item.media_id else None)
    return partial(_tell, message=item.message, body=body)


async def bury(ports: Ports, item: Waiting) -> None:
    """Its media may have been deleted while it came: until now its message has held it."""
    if item.media_id is not None:
        await fetch.bury(ports, item.media_id)


def _ended(ports: Ports, message: Incoming, remote: Remote, outcome: Outcome) -> Settle:
    assert message.media is not None
    media, fault = message.media, outcome.fault if isinstance(outcome, Missed) else None
    log.info("received", message_id=message.id, media_id=remote.media_id, type=message.type, size=media.size, error=_slug(fault))
    metrics.media_received.labels(message.type, _slug(fault) or "fetched").inc()
    file = ports.volume.path(key_of(remote.media_id))

    def settle(tx: Tx) -> bool:
        is_there = fetch.settle(tx, remote, outcome, media.mime)
        return _tell(tx, message, body_of(message, remote.media_id, file if is_there else None, fault))

    return settle


def _slug(fault: Fault | None) -> str | None:
    return None if fault is None else fault.situation.slug


def _tell(tx: Tx, message: Incoming, body: dict[str, Any]) -> bool:
    """Put the callback down, once."""
    if not rows.told(tx, message.id):
        return False
    application = settings.application(tx)
    news = News(message.cause, message.sender, body)
    callbacks.put_down(tx, [news], webhook_url(application) is not None)
    return True
