"""The lane protocol, step by step, on both engines."""

from functools import partial

import pytest

from satchel.db import Database, Tx, lanes
from satchel.db.lanes import Asked, Claimed, Line

pytestmark = pytest.mark.anyio


async def claim(db: Database, token: str, ttl: float = 30.0, alone: bool = False) -> Claimed | None:
    return await db.write(lambda tx: lanes.claim(tx, "k", token, ttl, alone), durable=False)


async def claimed(db: Database, token: str, ttl: float = 30.0, alone: bool = False) -> Claimed:
    lane = await claim(db, token, ttl, alone)
    assert lane is not None
    return lane


async def look(db: Database, asked: Asked) -> Line:
    (line,) = await db.read(lambda tx: lanes.survey(tx, [asked]), alone=True)
    return line


async def lane_row(db: Database) -> tuple[float | None, str | None, int]:
    row = await db.read(lambda tx: tx.one("SELECT run_at - :now, lease, claims FROM lane WHERE name = 'a'"))
    assert row is not None
    return row[0], row[1], row[2]


async def test_a_woken_lane_is_claimed_once(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    assert (await claimed(db, "one")).name == "a"
    assert await claim(db, "two") is None


async def test_waking_a_leased_lane_changes_nothing(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    await claimed(db, "one")
    before = await lane_row(db)
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    after = await lane_row(db)
    assert after[1] == "one"
    assert after[0] == pytest.approx(before[0], abs=5)


async def test_waking_a_lane_that_waits_makes_it_due(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    lane = await claimed(db, "one")
    await db.write(lambda tx: lanes.release(tx, lane, 900.0))
    assert await claim(db, "two") is None
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    assert await claim(db, "two") is not None


async def test_the_token_is_the_fence(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    old = await claimed(db, "old", ttl=-1.0)  # its lease has run out already
    new = await claimed(db, "new")

    def both(tx: Tx) -> tuple[bool, bool, bool]:
        return lanes.fence(tx, old), lanes.extend(tx, old, 30.0), lanes.fence(tx, new)

    assert await db.write(both) == (False, False, True)
    await db.write(lambda tx: lanes.release(tx, old, None))
    assert (await lane_row(db))[1] == "new"


async def test_a_restarted_worker_frees_its_own_lanes_and_only_those(db: Database) -> None:
    await db.write(lambda tx: lanes.wake_all(tx, ["a", "b"], "k"))
    await claimed(db, "host.core.0/x")
    await claimed(db, "host.core.01/y")
    assert await db.read(lambda tx: lanes.left_by(tx, "host.core.0")) == ["a"]
    await db.write(lambda tx: lanes.free(tx, "a", "host.core.0"))
    assert (await claimed(db, "z")).name == "a"


async def test_a_lane_that_kills_its_workers_is_leased_for_longer_each_time(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    lanes_ = [await claimed(db, f"w/{n}", ttl=-1.0, alone=n >= 2) for n in range(9)]
    ttls = [lane.ttl(30.0) for lane in lanes_]
    assert [lane.hopeless for lane in lanes_] == [False] * 7 + [True] * 2
    assert ttls[:2] == [30.0, 30.0]
    assert ttls[2:4] == [60.0, 120.0]
    assert max(ttls) == lanes.LONGEST_LEASE
    assert await db.read(lambda tx: lanes.left_by(tx, "w")) == []  # not freed at a restart either


async def test_a_lane_that_was_claimed_twice_in_vain_is_claimed_alone_only(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    for n in range(2):
        await claimed(db, f"w/{n}", ttl=-1.0)
    line = await look(db, Asked("k", 9, risky=True))
    assert (line.due, line.suspect) == (0, True)
    line = await look(db, Asked("k", 9))
    assert (line.due, line.suspect) == (1, False)
    assert await claim(db, "with others") is None
    assert (await claimed(db, "alone", alone=True)).claims == 3


async def test_a_claim_that_its_worker_survived_does_not_count(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    for n in range(2):
        await claimed(db, f"w/{n}", ttl=-1.0)
    await db.write(lambda tx: lanes.survived(tx, "a"))
    lane = await claimed(db, "w/2")
    assert lane.claims == 2
    await db.write(lambda tx: lanes.hand_back(tx, lane))
    assert (await claimed(db, "w/3")).claims == 2


async def test_a_settled_item_forgets_earlier_claims(db: Database) -> None:
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    for n in range(3):
        lane = await claimed(db, f"w/{n}", ttl=-1.0, alone=n == 2)
    await db.write(lambda tx: lanes.settled(tx, lane))
    assert (await lane_row(db))[2] == 1  # the one that goes on with the next item
    await db.write(lambda tx: lanes.release(tx, lane, None))
    assert (await lane_row(db))[2] == 0


async def test_the_lane_that_has_been_due_longest_comes_first(db: Database) -> None:
    for name in ("c", "a", "b"):
        await db.write(partial(lanes.wake, name=name, kind="k"))
    assert [(await claimed(db, name)).name for name in "123"] == ["c", "a", "b"]


async def test_next_due_is_seconds_from_now(db: Database) -> None:
    assert (await look(db, Asked("k", 9))).after is None
    await db.write(lambda tx: lanes.wake(tx, "a", "k"))
    lane = await claimed(db, "w")
    await db.write(lambda tx: lanes.release(tx, lane, 100.0))
    after = (await look(db, Asked("k", 9))).after
    assert after is not None and 0 < after <= 100.0
    assert (await look(db, Asked("other", 9))).after is None


async def test_a_survey_tells_of_each_kind_in_the_order_asked(db: Database) -> None:
    for name, kind in (("a", "k"), ("b", "k"), ("c", "k"), ("d", "j")):
        await db.write(partial(lanes.wake, name=name, kind=kind))
    asked = [Asked("k", 2), Asked("none", 9), Asked("j", 9, risky=True), Asked("k", 0)]
    found = await db.read(lambda tx: lanes.survey(tx, asked))
    assert [line.due for line in found] == [2, 0, 1, 0]


async def test_parked_lanes_are_woken_by_what_they_wait_for_and_by_nothing_else(db: Database) -> None:
    for name in ("a", "b", "c"):
        await db.write(partial(lanes.wake, name=name, kind="k"))
        lane = await claimed(db, name)
        await db.write(partial(lanes.park, name=name, on="x" if name < "c" else "y"))
        await db.write(partial(lanes.release, lane=lane, after=900.0))
    assert await db.write(lambda tx: lanes.unpark(tx, "x", 1)) == ["a"]
    assert await db.write(lambda tx: lanes.unpark(tx, "x", 500)) == ["b"]
    assert [(await claimed(db, name)).name for name in "12"] == ["a", "b"]
    assert await claim(db, "3") is None
    assert await db.read(lambda tx: (lanes.parked(tx, "x"), lanes.parked(tx, "y"))) == (False, True)


async def test_lanes_of_a_crowded_group_are_left_where_they_are(db: Database) -> None:
    for name in ("k:slow:1", "k:slow:2", "k:slower:1"):
        await db.write(lambda tx, name=name: lanes.wake(tx, name, "k"))  # type: ignore[misc]
    crowds: list[list[str]] = [[], ["k:slow"], ["k:slow", "k:slower"]]
    assert [(await look(db, Asked("k", 9, crowded=crowd))).due for crowd in crowds] == [3, 1, 0]
    taken = await db.write(lambda tx: lanes.claim(tx, "k", "w/1", 30.0, crowded=["k:slow"]))
    assert taken is not None and lanes.group_of(taken.name) == "k:slower"
    assert await db.write(lambda tx: lanes.claim(tx, "k", "w/2", 30.0, crowded=["k:slow"])) is None
