"""The room on the volume as the node tells it: once over all hosts, in words that say what to do; and those who wait for room are woken."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from satchel.db import Tx, callbacks, hosts, preps
from satchel.db.preps import Said
from satchel.domain.errors import VOLUME_FULL, Fault
from satchel.domain.room import LEVELS, Level
from satchel.flows import Ports, application, parking, room
from satchel.flows.room import MISSING, UNSEEN, Room

from .conftest import Network
from .lanes import claim, due
from .parked import NUMBERS, Slow, accept, fault_of, later, picture, state

pytestmark = pytest.mark.anyio


async def beat(ports: Ports, core: str, level: Level, told: str = "99 % full") -> None:
    said = room.said(Room(level, told, 0, 0))
    await ports.db.write(lambda tx: hosts.beat(tx, core, "core", "1", {"upstream": "connected", **said}))


async def told(ports: Ports) -> list[dict[str, Any]]:
    def look(tx: Tx) -> list[str]:
        return [one.body for one in reversed(callbacks.newest(tx, None, None, 100))]

    return [json.loads(body) for body in await ports.db.read(look)]


async def test_p17_nothing_is_told_to_the_business_unless_it_is_switched_on(ports: Ports) -> None:
    await beat(ports, "a.core.0", "full")
    await room.tell(ports)
    assert await told(ports) == []
    await application.change(ports.db, {"webhooks": {"alerts": True}}, "admin")
    await room.tell(ports)
    assert await told(ports) == []  # it was crossed before, and is told once


async def test_p17_each_crossing_is_one_callback_however_many_coreapps_see_it(ports: Ports) -> None:
    await application.change(ports.db, {"webhooks": {"alerts": True}}, "admin")
    seen: list[Level] = ["high_water", "uploads_refused", "full", "uploads_refused", "ok"]
    with capture_logs() as said:
        for level in seen:
            for core in ("a.core.0", "b.core.0"):
                await beat(ports, core, level)
            await asyncio.gather(*(room.tell(ports) for _ in range(8)))
    assert [line["room"] for line in said if line["event"] == "volume_level"] == seen
    bodies = await told(ports)
    assert [body["services"][0]["media"]["volume"]["status"] for body in bodies] == seen
    assert [body["services"][0]["media"]["volume"]["before"] for body in bodies] == ["ok", *seen[:-1]]
    assert [body["errors"][0]["code"] if "errors" in body else None for body in bodies] == [None, 1005, 1005, 1005, None]
    assert bodies[1]["errors"][0] == {
        "code": 1005,
        "title": "Access denied",
        "details": "The media volume is 99 % full: uploads are refused. "
        "To go on, delete media that is no longer needed, or enlarge the volume.",
    }


async def test_p17_hosts_that_see_different_things_do_not_take_turns(ports: Ports) -> None:
    await application.change(ports.db, {"webhooks": {"alerts": True}}, "admin")
    await beat(ports, "a.core.0", "ok")
    await beat(ports, "b.core.0", "missing", "not there")
    for _ in range(3):
        await room.tell(ports)
    assert [body["errors"][0]["details"][:33] for body in await told(ports)] == ["The media volume is not there: up"]
    await ports.db.write(lambda tx: hosts.gone(tx, "b.core.0"))
    await room.tell(ports)
    assert (await told(ports))[-1]["services"][0]["media"]["volume"]["status"] == "ok"


@pytest.mark.parametrize("said", [None, "full", {"level": "of tomorrow"}, {}])
async def test_a_beat_of_another_version_counts_for_nothing(ports: Ports, said: Any) -> None:
    await ports.db.write(lambda tx: hosts.beat(tx, "a.core.0", "core", "2", {"volume": said}))
    await room.tell(ports)
    assert await told(ports) == []


def test_who_waits_is_woken_when_there_is_more_room_and_not_each_time() -> None:
    now = Room("full", "", 5_000_000, 10)
    assert now.has_grown_since(UNSEEN)
    assert not now.has_grown_since(now)
    assert not now.has_grown_since(replace(now, free=now.free - 1000))
    assert now.has_grown_since(replace(now, free=now.free - room.STEP))
    assert now.has_grown_since(replace(now, inodes_free=9))
    for away in (MISSING, replace(now, level="read_only")):
        assert now.has_grown_since(away)
        assert not away.has_grown_since(now)


async def test_the_room_is_what_the_volume_says(ports: Ports) -> None:
    seen = await room.look(ports, UNSEEN)
    assert (seen.level in LEVELS, seen.free > 0, "% full" in seen.told) == (True, True, True)
    Path(ports.volume.path(".satchel-volume")).unlink()
    assert await room.look(ports, seen) == MISSING


async def test_p17_a_send_that_waits_for_room_goes_out_as_soon_as_it_is_woken(node: Ports, network: Network, photo: Any) -> None:
    full = replace(node, transcoder=Slow(node.transcoder, *[Fault(VOLUME_FULL, "The volume is full.")] * 5))
    message = await accept(full, NUMBERS[0], await picture(full, photo))
    await (await due(full, "msg")).run()
    await (await due(full, "prep")).run()
    assert await node.db.read(preps.waiting_for_room) == 1
    assert await claim(node, "prep") is None  # put off
    await room.wake(node)
    await (await due(node, "prep")).run()
    await (await due(node, "msg")).run()
    assert await state(node, message) == "handed"
    assert await node.db.read(preps.waiting_for_room) == 0


async def test_what_is_put_off_for_something_else_is_not_woken(node: Ports, photo: Any) -> None:
    slow = replace(node, transcoder=Slow(node.transcoder, ValueError("ours")))
    await accept(slow, NUMBERS[0], await picture(slow, photo))
    await (await due(slow, "msg")).run()
    prep = await due(slow, "prep")
    item: Any = prep.item
    await node.db.write(lambda tx: preps.again(tx, item.id, 60.0, Said("unexpected", "ours"), [], anew=True))
    await room.wake(node)
    assert await node.db.read(lambda tx: preps.roomless(tx, 10)) == []


async def test_p17_how_long_is_waited_for_room_is_a_setting_and_counts_from_when_there_was_none(node: Ports, photo: Any) -> None:
    node = replace(node, limits=replace(node.limits, wait_for_room=60.0))
    full = replace(node, transcoder=Slow(node.transcoder, ValueError("ours"), *[Fault(VOLUME_FULL, "99 % full.")] * 5))
    message = await accept(full, NUMBERS[0], await picture(full, photo))
    await (await due(full, "msg")).run()
    await (await due(full, "prep")).settle(parking.put_off(full, await _item(full)))
    await later(full, 100)
    full.transcoder._errors.pop(0)  # type: ignore[attr-defined]
    await (await due(full, "prep")).run()  # no room from now on
    await later(full, 50)
    if (lane := await claim(full, "msg")) is not None:
        await lane.run()
    assert await state(full, message) == "waiting"
    await later(full, 61)
    while (lane := await claim(full, "msg")) is not None:
        await lane.run()
    assert "99 % full. Waited for 1m; send it again once there is room." in (await fault_of(full, message) or "")


async def _item(ports: Ports) -> preps.Waiting:
    row = await ports.db.read(lambda tx: tx.one("SELECT lane FROM prep"))
    assert row is not None
    found = await ports.db.read(lambda tx: preps.head(tx, row[0]))
    assert found is not None
    return found
