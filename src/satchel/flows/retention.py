"""gc: media deleted by a rule. Off unless somebody asks: the business decides what it keeps.

What may go is marked by a conditional update, a few hundred rows at a time, then its bytes go as after a DELETE. A send that is accepted
meanwhile wins; what an accepted send needs, or was used within a day, never goes. Renditions that have not gone out are evicted first.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from satchel.db import Tx, gc_runs, renditions, settings
from satchel.db import retention as rows
from satchel.db.retention import FIRST, Place, Sends, Unused, Wanted
from satchel.domain.errors import Fault, Later
from satchel.domain.quantities import shown_duration, shown_size
from satchel.domain.retention import CLASSES, SHORTEST, Rule, Sent, risk
from satchel.flows import Lease, Ports, media_node
from satchel.observe import metrics
from satchel.upstream import Downloads

log = structlog.get_logger("satchel.flows")
MOST_ASKED = 1000
"""A media that was sent to more is not asked about: somebody among so many will not have fetched it."""
BATCH = 500
"""Rows of one transaction."""
SPARE_AGE = 3600.0
"""Seconds for which a rendition that has not gone out is kept in any case."""
ENDLESS = Place(float("inf"))


@dataclass
class Share:
    """What of a plan is of one class. `bytes`: of the media; `oldest_net`: network time of the earliest last use."""

    files: int = 0
    bytes: int = 0
    oldest_net: float | None = None
    messages: int = 0
    phones: int = 0

    def add(self, media: Unused, sent: Sends) -> None:
        """Count one media, and what was sent of it."""
        self.files += 1
        self.bytes += media.size
        self.oldest_net = media.used_net if self.oldest_net is None else min(self.oldest_net, media.used_net)
        self.messages += sent.messages
        self.phones += sent.phones


@dataclass
class Plan:
    """What a rule would delete, by class. `asked`: whether the network told what phones have fetched."""

    now_net: float
    shares: dict[str, Share] = field(default_factory=lambda: {name: Share() for name in CLASSES})
    asked: bool = True


@dataclass(frozen=True)
class Judged:
    """A media that a rule is about, with its class."""

    media: Unused
    name: str
    sent: Sends


@dataclass(frozen=True)
class By:
    """Who deletes: the gc_run that counts it, if one does, and the rule in words, which media remember."""

    run: str | None
    words: str


@dataclass(frozen=True)
class Deleted:
    """How many media, and their bytes."""

    files: int = 0
    bytes: int = 0


class Knowledge:
    """Asks the network what phones have fetched, where it is one that knows; once it does not answer, it is not asked again."""

    def __init__(self, ports: Ports) -> None:
        self._db = ports.db
        self._network = ports.upstream if isinstance(ports.upstream, Downloads) else None

    @property
    def asked(self) -> bool:
        """Whether the network has told so far."""
        return self._network is not None

    async def classes(self, batch: Sequence[Unused]) -> dict[str, tuple[str, Sends]]:
        """The class of each media, and what was sent of it."""
        sent = await self._db.read(partial(rows.sends, ids=[media.id for media in batch]), alone=False)
        return {media.id: (await self._class(media, found), found) for media in batch for found in [sent.get(media.id, Sends())]}

    async def _class(self, media: Unused, sent: Sends) -> str:
        known = media.direction == "in" or not sent.messages or self._network is None or sent.messages > MOST_ASKED
        if not known:
            messages = await self._db.read(partial(rows.messages_of, media_id=media.id))
            fetched = await self._fetched([id_ for id_, _ in messages])
            return risk(media.direction, [Sent(alive, id_ in fetched) for id_, alive in messages])
        return risk(media.direction, [Sent(sent.expired == 0, downloaded=False)] if sent.messages else [])

    async def _fetched(self, messages: list[str]) -> set[str]:
        if self._network is None:
            return set()
        try:
            return await self._network.downloaded(messages)
        except (Later, Fault) as error:
            log.warning("downloads_not_told", details=error.details)
            self._network = None
            return set()


async def wanted(ports: Ports, rule: Rule) -> Wanted:
    """What a rule is about now.

    The end in the order of last use is where the age begins, or where what is used more recently takes up the room that the rule gives;
    but never within a day.
    """
    now_net = await ports.db.read(settings.network_now)
    aged = Wanted(Place(now_net - rule.unused_for), rule.directions, rule.kinds)
    if not rule.max_total:
        return aged
    before = max(aged.before, await _full_at(ports, aged, rule.max_total), key=_order)
    return replace(aged, before=min(before, Place(now_net - SHORTEST), key=_order))


async def plan(ports: Ports, rule: Rule, tell: Callable[[Judged], None] = lambda one: None) -> Plan:
    """What a run would delete now, and what that would mean for phones. Changes nothing. `tell`: called with each media."""
    knowledge, what = Knowledge(ports), await wanted(ports, rule)
    result = Plan(await ports.db.read(settings.network_now))
    after: Place | None = FIRST
    while after is not None:
        looked = await ports.db.read(partial(rows.look, wanted=what, after=after, limit=BATCH))
        classes = await knowledge.classes(looked.media)
        for media in looked.media:
            name, sent = classes[media.id]
            result.shares[name].add(media, sent)
            tell(Judged(media, name, sent))
        after = looked.end
        await asyncio.sleep(0)  # on SQLite nothing above waits: the others have their turn
    result.asked = knowledge.asked
    return result


async def clean(ports: Ports, rule: Rule, lease: Lease, run: str | None = None) -> Deleted:
    """Delete what the rule says. `run`: the gc_run that counts it.

    Raises `Later` where the volume is away and `Fault` where nothing can be removed on it, before anything more is marked.
    """
    await evict(ports, rule.spare_renditions)
    knowledge, what = Knowledge(ports), await wanted(ports, rule)
    total = Deleted()
    after: Place | None = FIRST
    while after is not None:
        lease.check()
        looked = await ports.db.read(partial(rows.look, wanted=what, after=after, limit=BATCH))
        classes = {id_: name for id_, (name, _) in (await knowledge.classes(looked.media)).items()}
        chosen = [media for media in looked.media if classes[media.id] in rule.classes]
        gone = await _delete(ports, what, chosen, By(run, _words(rule))) if chosen else []
        for media in gone:
            metrics.gc_deleted.labels(classes[media.id]).inc()
        total = Deleted(total.files + len(gone), total.bytes + sum(media.size for media in gone))
        after = looked.end
        await asyncio.sleep(0)
    log.info("cleaned", files=total.files, bytes=total.bytes)
    return total


async def evict(ports: Ports, room: int) -> int:
    """Remove renditions that have not gone out and that fit no more into `room` bytes, the oldest first; how many."""
    evicted, size, before = 0, 0, float("inf")
    while batch := await ports.db.read(partial(renditions.spares, before=before)):
        before = batch[-1].spare_at
        for spare in batch:
            size += spare.size
            if size <= room or spare.age < SPARE_AGE:
                continue
            if file := await ports.db.write(partial(renditions.evict, rendition_id=spare.id)):
                await ports.volume.delete(media_node.key_of_made(file))
                evicted += 1
    if evicted:
        log.info("renditions_evicted", count=evicted)
        metrics.gc_deleted.labels("rendition").inc(evicted)
    return evicted


async def _delete(ports: Ports, what: Wanted, chosen: list[Unused], by: By) -> list[Unused]:
    await ports.volume.require_removal()
    hidden = set(await ports.db.write(partial(_hide, what=what, chosen=chosen, by=by)))
    while await media_node.bury(ports):
        pass
    return [media for media in chosen if media.id in hidden]


def _words(rule: Rule) -> str:
    room = f", or over {shown_size(rule.max_total)} in all" if rule.max_total else ""
    return f"gc of what was unused for {shown_duration(rule.unused_for)}{room}"


def _hide(tx: Tx, what: Wanted, chosen: list[Unused], by: By) -> list[str]:
    hidden = rows.hide(tx, what, sorted(media.id for media in chosen), by.words, settings.network_now(tx))
    if by.run is not None:
        known = set(hidden)
        gc_runs.count(tx, by.run, len(hidden), sum(media.size for media in chosen if media.id in known))
    return hidden


async def _full_at(ports: Ports, what: Wanted, room: int) -> Place:
    """The place in the order of last use from which on the media fit into `room` bytes."""
    size, end = 0, ENDLESS
    while batch := await ports.db.read(partial(rows.sizes, wanted=what, until=end)):
        for place, bytes_ in batch:
            size += bytes_
            if size > room:
                return end
            end = place
        await asyncio.sleep(0)
    return FIRST


def _order(place: Place) -> tuple[float, str]:
    return place.used_net, place.id
