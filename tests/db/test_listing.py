"""Listing stays on the index of the newest media, however many there are."""

from typing import Any

import pytest

from satchel.db import Database, Row, Tx, listing
from satchel.db.listing import Place, Wanted

pytestmark = pytest.mark.anyio
MANY = 100_000
FILL = (
    'INSERT INTO media (id, direction, mime, size, sha256, stamp, state, "user", created_net, last_used_net) '
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) "
    "SELECT '00000000-0000-4000-8000-' || substr('000000000000' || i, length('' || i) + 1, 12), "
    "'up', CASE WHEN i = 3 THEN 'image/png' ELSE 'text/plain; charset=utf-8' END, 5, 'x', 's', 'live', 'admin', 1000.0 + i / 10, 1000.0 "
    "FROM n"
)


class Explaining(Tx):
    """The transaction behind it, and the plan of every statement."""

    def __init__(self, tx: Tx, explain: str) -> None:
        super().__init__()
        self._tx, self._explain = tx, explain
        self.plans: list[str] = []

    def all(self, sql: str, **values: Any) -> list[Row]:
        self.plans.append("\n".join(str(row) for row in self._tx.all(f"{self._explain} {sql}", **values)))
        return self._tx.all(sql, **values)

    def run(self, sql: str, **values: Any) -> int:
        raise NotImplementedError

    def script(self, sql: str) -> None:
        raise NotImplementedError

    def lock(self, key: int) -> None:
        raise NotImplementedError


@pytest.fixture
async def filled(db: Database) -> Database:
    await db.write(lambda tx: tx.run(FILL, many=MANY))
    await db.write(lambda tx: tx.script("ANALYZE media"))
    return db


async def plans(db: Database, wanted: Wanted, after: Place | None) -> list[str]:
    sqlite = "REAL" in db.dialect.values()

    def look(tx: Tx) -> list[str]:
        explaining = Explaining(tx, "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN")
        listing.page(explaining, wanted, after, 100)
        return explaining.plans

    return await db.read(look)


async def test_every_statement_of_a_page_walks_the_index(filled: Database) -> None:
    middle = Place(6000.0, "00000000-0000-4000-8000-000000050000")
    for wanted in (Wanted(), Wanted("up", "admin", "text/*"), Wanted(mime="image/png")):
        for after in (None, middle):
            for plan in await plans(filled, wanted, after):
                assert "media_recent" in plan
                assert "Seq Scan" not in plan
                assert ("Index Cond" in plan or "SEARCH" in plan) == (after is not None), plan


async def test_pages_join_without_gap_or_repetition_where_many_were_made_at_once(filled: Database) -> None:
    seen: list[str] = []
    after: Place | None = None
    for _ in range(7):
        page = await filled.read(lambda tx, after=after: listing.page(tx, Wanted(), after, 33))  # type: ignore[misc]
        seen += [media.id for media in page.media]
        after = page.end
    assert seen == [f"00000000-0000-4000-8000-{number:012}" for number in range(MANY, MANY - 7 * 33, -1)]


async def test_a_filter_that_fits_one_in_many_looks_at_a_bounded_number_a_page(filled: Database) -> None:
    found: list[str] = []
    page = await filled.read(lambda tx: listing.page(tx, Wanted(mime="image/png"), None, 10))
    pages = 1
    while page.end is not None:
        found += [media.id for media in page.media]
        page = await filled.read(lambda tx, after=page.end: listing.page(tx, Wanted(mime="image/png"), after, 10))  # type: ignore[misc]
        pages += 1
    found += [media.id for media in page.media]
    assert found == ["00000000-0000-4000-8000-000000000003"]
    assert pages == MANY // listing.SCAN + 1
