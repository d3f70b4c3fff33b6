"""Preparations: messages wait for one without holding a slot, and each is done once in a lane of its own, however many wait.

A parked message is looked at again after five minutes at the latest; the preparation's settle wakes its lane before that. Both lock the
preparation's lane first, so a preparation that ends between a message's look and its parking is seen, and the message is looked at
again at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from satchel.db import Tx, hosts, lanes, messages, preps
from satchel.db import media as media_rows
from satchel.db import steps as step_rows
from satchel.db.messages import Waiting
from satchel.db.preps import Said, Seen, Wanted
from satchel.domain.errors import (
    BUG,
    MEDIA_GONE,
    MEDIA_TOO_HEAVY,
    NOT_READY,
    PREPARATION_TOO_SLOW,
    SITUATIONS,
    VOLUME_FULL,
    VOLUME_MISSING,
    VOLUME_NOT_WRITABLE,
    VOLUME_UNREADABLE,
    Fault,
    Later,
    Situation,
)
from satchel.domain.limits import GIVE_UP_SENDING, WAIT_FOR_RENDITION
from satchel.domain.quantities import shown_duration
from satchel.domain.steps import Step
from satchel.domain.tries import wait_after
from satchel.flows import Lease, Limits, Ports, Settle, Settlement, links, prepare, reading
from satchel.flows.steps import MOST, Timeline

log = structlog.get_logger("satchel.flows")
BATCH = 500
"""Lanes that one transaction wakes."""
ROOMLESS = {VOLUME_FULL, VOLUME_NOT_WRITABLE}
"""Faults that last until there is room again, or a setting says that it has been waited for long enough."""
AWAY = {VOLUME_MISSING: GIVE_UP_SENDING, VOLUME_UNREADABLE: GIVE_UP_SENDING}
"""What only a person can mend: messages wait as long as for the network."""


def patience(limits: Limits, situation: Situation | None) -> float | None:
    """For how many seconds a message waits for a fault to pass; None for one that lasts."""
    if situation in ROOMLESS:
        return limits.wait_for_room
    return WAIT_FOR_RENDITION if situation is MEDIA_TOO_HEAVY else None


@dataclass(frozen=True)
class Rest:
    """How long a message may wait: seconds until its ttl is over, and what the settings say."""

    ttl: float
    limits: Limits


def wait(item: Waiting, wanted: Wanted, before: Seen | None, open_: str | None, rest: Rest, inherited: Sequence[Step]) -> Settlement:
    """Park a message on what it needs. `before`: what it waited for last; `open_`: the preparation under way.

    Raises the `Fault` with which the preparation ended, or that of having waited for too long.
    """
    same = before if before is not None and before.lane == wanted.lane else None
    if same is not None and same.outcome is not None:
        _raise_outcome(item, wanted, same, same.outcome)
    waited, limit = (0.0, WAIT_FOR_RENDITION) if same is None or same.outcome is not None else _clock(item, same, rest.limits)
    if same is not None and waited >= limit:
        raise _too_slow(rest.limits, same, limit)
    after = min(limit - waited, WAIT_FOR_RENDITION, rest.limits.wait_for_room, rest.ttl)
    return _Parking(item, wanted, open_, after, inherited).settlement()


def _clock(item: Waiting, prep: Seen, limits: Limits) -> tuple[float, float]:
    """Seconds that a message has waited for an open preparation, and for how many it does.

    What counts is the work, not the time before its turn; for room, those without any: what went before had its own patience.
    """
    if prep.begun is None:
        return item.parked, GIVE_UP_SENDING
    since = prep.troubled if _situation(prep.why) in ROOMLESS else prep.begun
    return min(item.parked, since), _limit(limits, prep.why)


@dataclass
class _Parking:
    """One transaction: the preparation is asked for or joined, then the lane is locked and the message parked."""

    item: Waiting
    wanted: Wanted
    open_: str | None
    after: float
    inherited: Sequence[Step]
    prep: str | None = None

    def settlement(self) -> Settlement:
        return Settlement(self.park, self.ahead, durable=False)

    def ahead(self, tx: Tx) -> None:
        if self.open_ is None:
            self.prep = preps.ask(tx, self.wanted)
        else:
            self.prep = self.open_ if preps.join(tx, self.open_, self.wanted.lane) else None

    def park(self, tx: Tx) -> bool:
        if self.prep is None:
            return True  # it ended just now: the message is due, and looked at again
        if not messages.park(tx, self.item.id, self.prep, max(0.0, self.after)):
            return False
        lanes.park(tx, self.item.lane, self.prep)
        step_rows.write(tx, self.item.id, self.inherited)
        return True


async def work(ports: Ports, item: preps.Waiting, lease: Lease, *, lengthy: bool = False) -> Settle | Settlement:
    """Do a preparation; what is left is one transaction that tells those who wait for it, or some of them.

    `lengthy`: also one that takes long; else it is left to those who do.
    """
    if item.ended:
        return partial(_tell, item=item)
    line = Timeline(ports.host, item.attempts + 1)
    upto = await ports.db.read(messages.last, alone=True) if item.wanted.link is not None else None
    try:
        lease.check()
        outcome = replace(await _outcome(ports, item, line, lengthy), upto=upto)
    except prepare.Lengthy:
        return Settlement(lambda tx: preps.queue_again(tx, item.wanted.lane, item.id), durable=False, lets_go=True)
    except Fault as fault:
        if patience(ports.limits, fault.situation) is not None:
            return _again(item, fault, line)
        outcome = Said(fault.situation.slug, fault.details, upto=upto)
    except Later as later:
        return _again(item, later, line)
    log.info("prepared", lane=item.wanted.lane, media_id=outcome.media_id or item.wanted.media_id, error=outcome.slug)
    return Settlement(_ended(item, outcome, line), durable=False)  # what was made is kept already, and found at the next try


def put_off(ports: Ports, item: preps.Waiting) -> Settle:
    """An error of ours: tried again, for as long as somebody waits."""
    return _again(item, Later(BUG, "It failed through an error of ours: see the log."), Timeline(ports.host, item.attempts + 1))


def hopeless(ports: Ports, item: preps.Waiting, fault: Fault) -> Settle:
    """It ended its worker again and again: those who wait for it fail with this fault."""
    outcome = Said(fault.situation.slug, fault.details, upto=1 << 62)
    return partial(_tell, item=item) if item.ended else _ended(item, outcome, Timeline(ports.host, item.attempts + 1))


async def _outcome(ports: Ports, item: preps.Waiting, line: Timeline, lengthy: bool) -> Said:
    wanted = item.wanted
    if not is_ours(ports, wanted):
        await _leave_to_another(ports, wanted)
        return Said()  # whoever waits asks anew, under the settings of today
    if wanted.link is not None:
        with line.step("link_fetched"):
            media = await links.fetch(ports, wanted.link, wanted.provider)
        return Said(media_id=media.id)
    found = await ports.db.read(lambda tx: media_rows.needed(tx, str(wanted.media_id)), alone=True)
    if found is None:
        raise Fault(MEDIA_GONE, f"The media {wanted.media_id} was deleted: upload the file again.")
    media = await reading.as_it_lies(ports, found)
    if media.sha256 == wanted.source_sha256:  # else it was changed by hand, and the message asks for what lies there now
        await prepare.ensure(ports, media, str(wanted.media_type), line, lengthy=lengthy)
    return Said()


def is_ours(ports: Ports, wanted: preps.Wanted) -> bool:
    """Whether it is to be done under the post-processing settings that we have."""
    return wanted.profile in (None, ports.limits.profile)


async def _leave_to_another(ports: Ports, wanted: Wanted) -> None:
    """Raises `Later` while another Coreapp lives that may have the post-processing settings with which this was asked for."""
    living = await ports.db.read(lambda tx: hosts.living(tx, "core"), alone=True)
    if any(host.stats.get("profile", wanted.profile) == wanted.profile for host in living if host.id != ports.host):
        raise Later(NOT_READY, "It was asked for by a Coreapp with other post-processing settings, which is to do it.")


def _ended(item: preps.Waiting, outcome: Said, line: Timeline) -> Settle:
    done = [*item.steps, *line.done][-MOST:]

    def settle(tx: Tx) -> bool:
        return preps.end(tx, item.id, outcome, done) and _tell(tx, replace(item, ended=True, outcome=outcome))

    return settle


def wake_all(tx: Tx, prep_id: str, said: Said | None = None) -> list[str]:
    """Wake lanes that are parked on an ended preparation, `BATCH` of them at the most."""
    said = said or Said()
    names = lanes.unpark(tx, prep_id, BATCH)
    for name in names:
        messages.unpark(tx, name, prep_id, said.media_id, said.upto)
    return names


def _tell(tx: Tx, item: preps.Waiting) -> bool:
    """The item stays the head of its lane until nobody waits for it."""
    if len(wake_all(tx, item.id, item.outcome)) < BATCH:
        preps.finish(tx, item.id)
    return True


def _again(item: preps.Waiting, why: Fault | Later, line: Timeline) -> Settle:
    """Another try, unless everybody who waited for it has given up."""
    log.warning("put_off", lane=item.wanted.lane, attempt=item.attempts + 1, error=why.situation.slug, details=why.details)
    said = Said(why.situation.slug, why.details)
    anew = item.why is None or item.why.slug != said.slug
    done = [*item.steps, *line.done][-MOST:]
    after = max(wait_after(item.attempts), why.after if isinstance(why, Later) else 0.0)

    def settle(tx: Tx) -> bool:
        if lanes.parked(tx, item.id):
            return preps.again(tx, item.id, after, said, done, anew)
        return preps.end(tx, item.id, said, done) and _tell(tx, replace(item, ended=True, outcome=said))

    return settle


def _raise_outcome(item: Waiting, wanted: Wanted, prep: Seen, outcome: Said) -> None:
    """A fault counts for the messages it was found for: of the same media, or accepted before the link was fetched."""
    mine = prep.media_id == wanted.media_id if wanted.link is None else item.seq <= (outcome.upto or 0)
    if mine and outcome.slug is not None:
        raise Fault(SITUATIONS[outcome.slug], outcome.details)
    if mine:
        raise Later(NOT_READY, "What had been prepared is not there any more, and is prepared again.")


def _limit(limits: Limits, why: Said | None) -> float:
    """Seconds that a message waits for a preparation in work."""
    situation = _situation(why)
    return patience(limits, situation) or AWAY.get(situation, WAIT_FOR_RENDITION) if situation else WAIT_FOR_RENDITION


def _too_slow(limits: Limits, prep: Seen, limit: float) -> Fault:
    why = prep.why
    situation = _situation(why)
    if prep.begun is None:
        details = f"Preparing the media did not come to its turn within {limit / 3600:.0f} hours: give Coreapp more hosts or fewer files."
        return Fault(PREPARATION_TOO_SLOW, details)
    if why is None or situation is None:
        details = f"Preparing the media took more than {limit / 60:.0f} minutes: send a smaller or simpler file, or try again later."
        return Fault(PREPARATION_TOO_SLOW, details)
    if situation in ROOMLESS:
        return Fault(situation, f"{why.details} Waited for {shown_duration(limit)}; send it again once there is room.")
    if patience(limits, situation) is not None:
        return Fault(situation, why.details)
    return Fault(situation, f"The media could not be prepared within {limit / 60:.0f} minutes; the last reason: {why.details}")


def _situation(why: Said | None) -> Situation | None:
    return None if why is None or why.slug is None else SITUATIONS[why.slug]
