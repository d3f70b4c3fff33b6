"""PostgreSQL that takes the connection and then says nothing: callers are told in time, and what they were refused never happens."""

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from satchel.db import postgres, schema
from satchel.db import settings as rows
from satchel.domain.errors import Later

from .. import engines

pytestmark = pytest.mark.anyio


def processes(cluster: engines.Cluster) -> list[int]:
    """The server and everything it started."""
    children = Path(f"/proc/{cluster.pid}/task/{cluster.pid}/children").read_text()
    return [cluster.pid, *map(int, children.split())]


async def test_what_was_refused_is_not_done_afterwards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    request.getfixturevalue("postgres_url")  # skips or fails where there is no server to have
    found = engines.binaries()
    if found is None:
        pytest.skip("SATCHEL_TEST_PG names a server that this test may not freeze, and there are no server programs here")
    monkeypatch.setattr(postgres, "DEADLINE", 1.5)
    cluster = engines.Cluster(found)
    db = postgres.Postgres(engines.fresh_database(cluster.url))
    await schema.migrate(db)

    try:
        frozen = processes(cluster)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        outcomes = await asyncio.gather(*(db.write(partial(rows.put, key=f"n{n}", value=n)) for n in range(40)), return_exceptions=True)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        assert all(isinstance(outcome, Later) for outcome in outcomes)
        unknown = sum("unknown" in outcome.details for outcome in outcomes if isinstance(outcome, Later))
        await db.write(lambda tx: rows.put(tx, "after", True))
        stored = await db.read(lambda tx: tx.all("SELECT key FROM setting WHERE key LIKE 'n%'"))
        assert len(stored) <= unknown
    finally:
        await db.close()
        cluster.stop()
