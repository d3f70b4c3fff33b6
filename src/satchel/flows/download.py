"""Received media that the business wants fetched once more: asked for at the door, done in a lane, told of in a callback."""

from functools import partial
from typing import Any

import structlog

from satchel.db import Tx, callbacks, remotes, settings
from satchel.db import downloads as rows
from satchel.db import media as media_rows
from satchel.db.callbacks import News
from satchel.db.downloads import Waiting
from satchel.db.remotes import Remote
from satchel.domain.application import webhook_url
from satchel.domain.errors import NOT_FOUND, Fault
from satchel.domain.incoming import items_body
from satchel.domain.media import Media
from satchel.flows import Lease, Ports, Settle, fetch, reconcile
from satchel.flows.fetch import Missed, Outcome, PutOff
from satchel.flows.media_node import MEDIA_ID, key_of

log = structlog.get_logger("satchel.flows")


async def ask(ports: Ports, media_id: str) -> None:
    """Have a received media fetched; what came of it is told in a callback. Raises `Fault(NOT_FOUND)` for one that nobody sent."""
    if not MEDIA_ID.fullmatch(media_id) or not await ports.db.write(partial(_ask, media_id=media_id)):
        raise Fault(
            NOT_FOUND, f"/v1/media/{media_id[:64]}/download leads to no received media: give the id of a callback of a message with media."
        )
    log.info("download_asked", media_id=media_id)


def _ask(tx: Tx, media_id: str) -> bool:
    remote = remotes.find(tx, media_id)
    if remote is None or media_rows.received(tx, media_id) is None:
        return False
    rows.add(tx, media_id, remote.wa_id)
    remotes.ask_anew(tx, media_id)
    return True


async def work(ports: Ports, item: Waiting, lease: Lease) -> Settle:
    """Fetch the head of a lane, unless its bytes are there."""

    def look(tx: Tx) -> tuple[Remote | None, tuple[Media, str] | None]:
        return remotes.find(tx, item.media_id), media_rows.received(tx, item.media_id)

    remote, found = await ports.db.read(look)
    if remote is None or found is None:
        return lambda tx: rows.finish(tx, item.id)  # deleted meanwhile: there is nothing to tell of
    media, state = found
    if state == "live" and await _is_there(ports, media):
        return partial(_tell, item=item, remote=remote, media=media)
    outcome = await fetch.bring(ports, remote, item.attempts, lease)
    if isinstance(outcome, PutOff):
        return fetch.again(rows, item.id, remote, outcome)
    return _ended(item, remote, media, outcome)


async def _is_there(ports: Ports, media: Media) -> bool:
    """Whether its file has the bytes of its row. A file that nobody touched since need not be read for that."""
    stamp = await ports.volume.stat(key_of(media.id))
    return stamp == media.stamp or (stamp is not None and await reconcile.stamp_of_same(ports, media) is not None)


def broken(item: Waiting) -> Settle:
    """An error of ours: tried a few times."""
    if item.attempts + 1 < fetch.TRIES:
        return lambda tx: rows.again(tx, item.id, fetch.LONGEST_WAIT)

    def settle(tx: Tx) -> bool:
        remote, found = remotes.find(tx, item.media_id), media_rows.received(tx, item.media_id)
        return rows.finish(tx, item.id) if remote is None or found is None else _tell(tx, item, remote, found[0], fetch.BROKEN)

    return settle


async def bury(ports: Ports, item: Waiting) -> None:
    """It may have been deleted while it came."""
    await fetch.bury(ports, item.media_id)


def _ended(item: Waiting, remote: Remote, media: Media, outcome: Outcome) -> Settle:
    fault = outcome.fault if isinstance(outcome, Missed) else None
    log.info("downloaded", media_id=media.id, error=None if fault is None else fault.situation.slug)

    def settle(tx: Tx) -> bool:
        if fault is None and not fetch.settle(tx, remote, outcome, media.mime):
            return rows.finish(tx, item.id)  # deleted meanwhile
        return _tell(tx, item, remote, media, fault)

    return settle


def _tell(tx: Tx, item: Waiting, remote: Remote, media: Media, fault: Fault | None = None) -> bool:
    """Put the callback down, once for each download that was asked for."""
    if not rows.finish(tx, item.id):
        return False
    application = settings.application(tx)
    body: dict[str, Any] = items_body(remote.type, media.id, media.mime, media.sha256, fault)
    news = News(f"download:{item.id}", item.wa_id, body)
    callbacks.put_down(tx, [news], webhook_url(application) is not None)
    return True
