"""Phones in line for a re-upload: the order, what is answered in one go, and media as their phones see them."""

from dataclasses import replace

import pytest

from satchel.db import Database, Tx, media, reuploads
from satchel.db.reuploads import BATCH, Asker, lane_of
from satchel.domain.media import Media

pytestmark = pytest.mark.anyio
ASKER = Asker("e", "m", "12025550111", "w1", "{}", 5.0, 0, 100.0)
LANE = lane_of("r", "m")


def results(tx: Tx) -> list[str | None]:
    return [row[0] for row in tx.all("SELECT result FROM reupload ORDER BY seq")]


def test_all_who_need_the_same_bytes_share_a_lane() -> None:
    assert lane_of("r", "m1") == lane_of("r", "m2") != lane_of("s", "m1")
    assert lane_of(None, "m1") != lane_of(None, "m2")


async def test_heads_come_in_order_and_in_batches(db: Database) -> None:
    def line_up(tx: Tx) -> None:
        for n in range(BATCH + 5):
            reuploads.add(tx, LANE, replace(ASKER, id=f"e{n}"))

    await db.write(line_up)
    head = await db.read(lambda tx: reuploads.head(tx, LANE))
    assert head is not None
    assert (head.id, head.attempts, head.due_in) == ("e0", 0, 0)
    assert [asker.id for asker in head.askers] == [f"e{n}" for n in range(BATCH)]
    for n in range(BATCH):
        assert await db.write(lambda tx, n=n: reuploads.done(tx, f"e{n}", "success"))  # type: ignore[misc]
    assert not await db.write(lambda tx: reuploads.done(tx, "e0", "later"))
    left = await db.read(lambda tx: reuploads.head(tx, LANE))
    assert left is not None
    assert len(left.askers) == 5
    assert (await db.read(results))[:1] == ["success"]
    await db.write(lambda tx: reuploads.prune(tx, keep=0.0, limit=10))
    assert len(await db.read(results)) == BATCH - 5


async def test_one_that_is_put_off_holds_the_line_and_others_do_not_wait_for_it_in_it(db: Database) -> None:
    def line_up(tx: Tx) -> None:
        for name in ("a", "b", "c"):
            reuploads.add(tx, LANE, replace(ASKER, id=name))

    await db.write(line_up)
    await db.write(lambda tx: reuploads.again(tx, "b", 60.0))
    head = await db.read(lambda tx: reuploads.head(tx, LANE))
    assert head is not None
    assert [asker.id for asker in head.askers] == ["a", "c"]
    await db.write(lambda tx: reuploads.again(tx, "a", 60.0))
    head = await db.read(lambda tx: reuploads.head(tx, LANE))
    assert head is not None
    assert (head.due_in > 50, head.attempts) == (True, 1)
    assert await db.read(reuploads.asleep) == []


async def test_a_media_that_is_being_deleted_is_gone_for_its_phones(db: Database) -> None:
    known = Media("m", "image/png", 1, "00", "stamp")
    await db.write(lambda tx: media.add(tx, known, None, 1.0))
    assert await db.read(lambda tx: media.promised(tx, "m")) == known
    await db.write(lambda tx: media.hide(tx, "m"))
    assert await db.read(lambda tx: media.needed(tx, "m")) == known
    assert await db.read(lambda tx: media.promised(tx, "m")) is None
