"""Listing messages stays on an index, however many there are."""

import pytest

from satchel.db import Database, Tx, message_listing
from satchel.db.message_listing import Wanted

from .test_listing import Explaining

pytestmark = pytest.mark.anyio
MANY = 50_000
FILL = (
    "INSERT INTO message (id, direction, wa_id, type, body, upstream, state, accepted_net, accepted_at, lane, attempts) "
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) "
    "SELECT 'm' || i, 'out', '1202555' || (i % 10000), 'text', '{}', 'sandbox', 'handed', 1.0, 1.0, 'l', 0 FROM n"
)


@pytest.fixture
async def filled(db: Database) -> Database:
    await db.write(lambda tx: tx.run(FILL, many=MANY))
    await db.write(lambda tx: tx.script("ANALYZE message; ANALYZE status"))
    return db


WANTED = [Wanted(), Wanted(type="image"), Wanted(state="failed"), Wanted("120255542"), Wanted("120255542", "text")]


@pytest.mark.parametrize("before", [None, 20_000])
@pytest.mark.parametrize("wanted", WANTED)
async def test_a_page_never_reads_the_whole_table_nor_sorts_it(filled: Database, wanted: Wanted, before: int | None) -> None:
    sqlite = "REAL" in filled.dialect.values()

    def look(tx: Tx) -> list[str]:
        explaining = Explaining(tx, "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN")
        message_listing.page(explaining, wanted, before, 100)
        return explaining.plans

    for plan in await filled.read(look):
        assert "Seq Scan on message" not in plan
        assert "SEARCH" in plan or "Index Cond" in plan
        assert (wanted.to is None) == ("message_to" not in plan), plan


async def test_a_message_has_its_statuses_and_every_other_none(filled: Database) -> None:
    known = "INSERT INTO status (message_id, status, at_net) VALUES ('m7', 'sent', 5.0), ('m7', 'read', 6.0)"
    await filled.write(lambda tx: tx.run(known))
    page = await filled.read(lambda tx: message_listing.page(tx, Wanted(to="12025557"), None, 10))
    assert [sent.id for sent in page.messages] == ["m40007", "m30007", "m20007", "m10007", "m7"]
    assert [sent.state for sent in page.messages] == ["handed", "handed", "handed", "handed", "read"]


async def test_a_filter_that_fits_one_in_many_looks_at_a_bounded_number_a_page(filled: Database) -> None:
    await filled.write(lambda tx: tx.run("INSERT INTO status (message_id, status, at_net) VALUES ('m3', 'failed', 5.0)"))
    found, before, pages = list[str](), None, 0
    while pages == 0 or before is not None:
        page = await filled.read(lambda tx, before=before: message_listing.page(tx, Wanted(state="failed"), before, 10))  # type: ignore[misc]
        found, before, pages = found + [sent.id for sent in page.messages], page.end, pages + 1
    assert found == ["m3"]
    assert pages == MANY // message_listing.SCAN + 1
