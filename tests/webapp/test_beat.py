"""A Webapp says that it lives, and takes it back when it stops in order."""

import pytest

from satchel.db import Database, hosts
from satchel.webapp.beat import beating

pytestmark = pytest.mark.anyio


async def living(db: Database) -> list[hosts.Host]:
    return await db.read(hosts.living)


async def test_a_webapp_beats_while_it_serves(db: Database) -> None:
    async with beating(db, "h.1f.web.0"):
        while not (found := await living(db)):
            await db.wait(1.0)
        (host,) = found
        assert (host.id, host.role) == ("h.1f.web.0", "web")
        assert "web_uptime" in host.stats["metrics"]
    assert await living(db) == []


async def test_a_beat_that_is_cut_short_leaves_nothing_behind(db: Database) -> None:
    async with beating(db, "h.1f.web.0"):
        pass
    assert await living(db) == []
