"""The room on the volume: each Coreapp looks, the worst that any of them sees is the node's level, and one that changes is told once.

Nothing is refused here. Who writes to the volume measures for himself, so that what is refused follows the disk and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from satchel.db import Tx, callbacks, hosts, locks, preps, settings
from satchel.db.callbacks import News
from satchel.domain import room
from satchel.domain.application import alerts, webhook_url
from satchel.domain.errors import VOLUME_FULL, VOLUME_MISSING, VOLUME_NOT_WRITABLE, Later, Situation
from satchel.domain.room import LEVELS, REFUSING, SHORT, STOPS, Level
from satchel.flows import Ports

log = structlog.get_logger("satchel.flows")
WOKEN = 500
"""Preparations that are woken at once; those behind them follow with the next look, or by themselves."""
STEP = 1 << 20
"""Bytes by which the room must have grown for anybody to be woken."""
SITUATIONS: dict[Level, Situation] = {"read_only": VOLUME_NOT_WRITABLE, "missing": VOLUME_MISSING}


@dataclass(frozen=True)
class Room:
    """What one Coreapp sees. `told`: how full, in words; `free`, `inodes_free`: what may be used."""

    level: Level
    told: str
    free: int
    inodes_free: int

    @property
    def is_short(self) -> bool:
        """Whether removing files would help."""
        return self.level in SHORT

    def has_grown_since(self, before: "Room") -> bool:
        """Whether somebody who waits for room might find some now."""
        if self.level in {"missing", "read_only"}:
            return False
        more = self.free >= before.free + STEP or self.inodes_free > before.inodes_free
        return more or before.level in {"missing", "read_only"}


UNSEEN = Room("ok", "", 0, 0)
MISSING = Room("missing", "not there", 0, 0)


async def look(ports: Ports, before: Room) -> Room:
    """The room as it is. `before`: as it was seen last."""
    try:
        space = await ports.volume.space()
    except Later:
        return MISSING
    level = room.level(space, ports.limits.high_water, before.level)
    return Room(level, room.told(space), space.free, space.inodes_free)


async def wake(ports: Ports) -> None:
    """Whoever waits for room tries again now. One transaction a lane."""
    for lane in await ports.db.read(partial(preps.roomless, limit=WOKEN)):
        await ports.db.write(partial(preps.nudge, lane=lane))


def said(seen: Room) -> dict[str, Any]:
    """What a Coreapp's beat says of it."""
    return {"volume": {"level": seen.level, "told": seen.told}} if seen is not UNSEEN else {}


async def tell(ports: Ports) -> None:
    """Tell a level that is not the one told last, once over all hosts: in the log, and in a callback where `webhooks.alerts` is on."""
    if await ports.db.read(_news) is None:
        return
    news = await ports.db.write(_cross)
    if news is not None:
        say = log.info if news.level == "ok" else log.warning
        say("volume_level", room=news.level, before=news.before, details=news.details)


@dataclass(frozen=True)
class _News:
    """A level that is to be told, `n`: for the how manieth time one is."""

    level: Level
    before: Level
    told: str
    n: int

    @property
    def details(self) -> str:
        """What happened, and what to do."""
        if self.level == "ok":
            return f"The media volume is {self.told}: everything goes on."
        return f"The media volume is {self.told}: {STOPS[self.level]}. To go on, {room.remedy(self.level)}."

    def body(self) -> dict[str, Any]:
        """The callback; `errors` only for what receivers must take for one."""
        body: dict[str, Any] = {"services": [{"media": {"volume": {"status": self.level, "before": self.before, "details": self.details}}}]}
        if LEVELS.index(self.level) >= REFUSING:
            situation = SITUATIONS.get(self.level, VOLUME_FULL)
            body["errors"] = [{"code": situation.code, "title": situation.title, "details": self.details}]
        return body


def _news(tx: Tx) -> _News | None:
    """The worst that a living Coreapp says, if that is not what was told last."""
    seen = [said for host in hosts.living(tx, "core") if (said := _said(host.stats)) is not None]
    if not seen:
        return None
    level, told = max(seen, key=lambda one: LEVELS.index(one[0]))
    known = settings.get(tx, settings.VOLUME_LEVEL) or {"level": "ok", "n": 0}
    return None if known["level"] == level else _News(level, known["level"], told, known["n"] + 1)


def _said(stats: Mapping[str, Any]) -> tuple[Level, str] | None:
    """What a beat said; of a Coreapp of another version it may be nothing that we know."""
    volume = stats.get("volume")
    if not isinstance(volume, dict) or volume.get("level") not in LEVELS:
        return None
    return volume["level"], str(volume.get("told"))


def _cross(tx: Tx) -> _News | None:
    tx.lock(locks.VOLUME_LEVEL)
    news = _news(tx)  # another Coreapp may have been first
    if news is None:
        return None
    settings.put(tx, settings.VOLUME_LEVEL, {"level": news.level, "n": news.n})
    application = settings.application(tx)
    if alerts(application):
        callbacks.put_down(tx, [News(f"volume:{news.n}", "", news.body())], webhook_url(application) is not None)
    return news
