"""Runs of gc: asked for, worked on one at a time, told; and the messages that one forgets."""

import time
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from satchel.coreapp.kinds import GcRuns
from satchel.coreapp.leases import Leases
from satchel.db import Tx, callbacks, gc_runs, hosts, messages, settings
from satchel.db.gc_runs import What
from satchel.domain.errors import CORE_AWAY, Fault, Later
from satchel.domain.limits import DAY
from satchel.domain.messages import Outgoing
from satchel.domain.retention import Rule
from satchel.flows import Ports, media_node, retention
from satchel.flows import gc_runs as flow
from satchel.volume import Volume

from ..conftest import Place
from .conftest import Held
from .test_retention import handed, old, state
from .test_send import upload

pytestmark = pytest.mark.anyio


async def enable(ports: Ports, **what: bool) -> None:
    await ports.db.write(lambda tx: settings.put(tx, settings.APPLICATION, {"garbagecollector_enable": what}))


async def living(ports: Ports) -> None:
    await ports.db.write(lambda tx: hosts.beat(tx, "vm.1.core.0", "core", "v", {}))


async def head(ports: Ports) -> gc_runs.Waiting | None:
    return await ports.db.read(lambda tx: gc_runs.head(tx, gc_runs.LANE))


async def run(ports: Ports, what: What) -> Any:
    """Ask, work, settle; the callback."""
    await living(ports)
    await flow.ask(ports.db, what, "admin")
    item = await head(ports)
    assert item is not None
    settle = await flow.work(ports, item, Held())
    assert await ports.db.write(settle)
    assert not await ports.db.write(settle)  # twice is once
    return await told(ports)


async def told(ports: Ports) -> Any:
    row = await ports.db.read(lambda tx: tx.one("SELECT body FROM callback ORDER BY seq DESC LIMIT 1"))
    return msgspec.json.decode(row[0]) if row else None


async def test_a_run_deletes_and_is_told_by_a_callback(ports: Ports) -> None:
    for number in range(5):
        await old(ports, f"{number}".encode())
    await upload(ports, b"young")
    assert await run(ports, "media") == {"services": [{"media": {"gc": {"items_deleted": 5, "status": "complete"}}}]}
    assert await head(ports) is None


async def test_a_run_that_broke_off_goes_on_and_counts_what_it_had_deleted(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(5):
        await old(ports, f"{number}".encode(), days=40 - number)
    await living(ports)
    await flow.ask(ports.db, "media", "admin")
    item = await head(ports)
    assert item is not None

    class Killed(Held):
        left = 2

        def check(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await flow.work(ports, item, Killed())
    item = await head(ports)
    assert item is not None and item.deleted == 4
    assert await ports.db.write(await flow.work(ports, item, Held()))
    assert (await told(ports))["services"][0]["media"]["gc"]["items_deleted"] == 5


async def test_a_second_request_joins_the_run_that_waits(ports: Ports) -> None:
    await living(ports)
    for what in ("media", "messages", "media"):
        await flow.ask(ports.db, what, "admin")
    assert await ports.db.read(lambda tx: tx.all("SELECT what FROM gc_run ORDER BY seq")) == [("media",), ("messages",)]


async def test_nothing_is_promised_while_no_coreapp_lives(ports: Ports) -> None:
    with pytest.raises(Later) as put_off:
        await flow.ask(ports.db, "media", "admin")
    assert (put_off.value.situation, await head(ports)) == (CORE_AWAY, None)


async def test_a_run_that_cannot_go_on_says_so_and_how_far_it_came(ports: Ports, place: Place) -> None:
    await old(ports, b"1")
    (place.data_dir / "media" / ".satchel-volume").unlink()
    (service,) = (await run(ports, "media"))["services"]
    said = service["media"]["gc"]
    assert (said["items_deleted"], said["status"], said["errors"][0]["code"]) == (0, "failed", 1014)
    assert "media volume is not at" in said["errors"][0]["details"]


async def test_one_at_a_time_over_all_hosts_a_persons_included(ports: Ports) -> None:
    await living(ports)
    await flow.ask(ports.db, "media", "admin")
    here, there = Leases(ports.db, 30.0), Leases(ports.db, 30.0)
    kind = GcRuns(ports)

    async def claim() -> bool:
        return await there.claim(kind.kind, "there", lambda tx, lane: kind.head(tx, lane.name), kind.room, None) is not None

    async with here.alone(gc_runs.LANE, gc_runs.KIND) as lease:
        assert lease is not None
        assert not await claim()
        with pytest.raises(Fault, match="wait until it has ended"):
            await flow.by_hand(ports, Rule(), there.alone)
    assert await claim()  # what waited meanwhile is due at once
    with pytest.raises(Fault, match="wait until it has ended"):
        await flow.by_hand(ports, Rule(), here.alone)


async def test_no_lane_need_be_there_for_a_person(ports: Ports) -> None:
    leases = Leases(ports.db, 30.0)
    for number in range(2):
        media = await old(ports, f"{number}".encode())
        assert (await flow.by_hand(ports, Rule(), leases.alone)).files == 1
        assert await state(ports, media) == "deleted"


# By night


def at(day: int, hour: int, minute: int = 0) -> float:
    return time.mktime((2026, 3, day, hour, minute, 0, 0, 0, -1))


async def asked(ports: Ports, now_at: float) -> list[str]:
    await flow.nightly(ports, now_at)
    return sorted(row[0] for row in await ports.db.write(lambda tx: tx.all("DELETE FROM gc_run RETURNING what")))


async def test_p18_off_by_default_messages_too(ports: Ports) -> None:
    for day in range(1, 4):
        assert await asked(ports, at(day, 4)) == []


async def test_when_switched_on_it_runs_once_each_night(ports: Ports) -> None:
    await enable(ports, media=True)
    assert await asked(ports, at(1, 12)) == []
    assert await asked(ports, at(2, 2, 59)) == []
    assert await asked(ports, at(2, 3)) == ["media"]
    assert await asked(ports, at(2, 3, 1)) == []
    await enable(ports, media=True, messages=True)
    assert await asked(ports, at(2, 20)) == []
    assert await asked(ports, at(5, 9)) == ["media", "messages"]  # nobody was up for some nights
    await enable(ports, media=False)
    assert await asked(ports, at(6, 9)) == []


async def test_a_wall_clock_that_was_ahead_does_not_keep_it_from_running(ports: Ports) -> None:
    await enable(ports, media=True)
    await asked(ports, at(1, 12))
    assert await asked(ports, at(25, 4)) == ["media"]
    assert await asked(ports, at(2, 4)) == ["media"]
    assert await asked(ports, at(2, 5)) == []
    assert await asked(ports, at(1, 5)) == []  # back by a day: not again


# Messages


async def finished(ports: Ports, to: str, days: float, state: str = "handed") -> str:
    message_id = f"gBEG{to}"

    def put(tx: Tx) -> None:
        messages.add(tx, message_id, Outgoing(to, "text", None), ports.upstream.name, None, settings.network_now(tx) - days * DAY)
        tx.run("UPDATE message SET state = :state WHERE id = :id", state=state, id=message_id)
        tx.run("INSERT INTO status (message_id, status, at_net) VALUES (:id, 'read', 0)", id=message_id)
        tx.run("INSERT INTO step (message_id, n, json) VALUES (:id, 1, '[]')", id=message_id)
        callbacks.put_down(tx, [callbacks.News(f"status:{message_id}:read", to, {})], url_set=True)
        tx.run("UPDATE callback SET state = 'done' WHERE wa_id = :to", to=to)
        tx.run(
            "INSERT INTO attempt (callback_id, n, tried_at, result, ms) SELECT id, 1, 0, '200', 1 FROM callback WHERE wa_id = :to", to=to
        )

    await ports.db.write(put)
    return message_id


async def left(ports: Ports, table: str, column: str) -> set[str]:
    return {row[0] for row in await ports.db.read(lambda tx: tx.all(f"SELECT {column} FROM {table}"))}


async def test_finished_messages_go_with_what_belongs_to_them(ports: Ports) -> None:
    await finished(ports, "1", 31)
    await finished(ports, "2", 31, "failed")
    young, waits, untold = await finished(ports, "3", 29), await finished(ports, "4", 31, "waiting"), await finished(ports, "5", 31)
    await ports.db.write(lambda tx: tx.run("UPDATE callback SET state = 'waiting' WHERE wa_id = '5'"))
    (service,) = (await run(ports, "messages"))["services"]
    assert {**service["message"]["gc"], "node": ""} == {"messages_deleted": 2, "status": "complete", "node": ""}
    assert service["message"]["gc"]["node"].count(":") == 1
    kept = {young, waits, untold}
    assert await left(ports, "message", "id") == kept
    assert await left(ports, "status", "message_id") == kept
    assert await left(ports, "step", "message_id") == kept
    assert len(await left(ports, "attempt", "callback_id")) == 3
    assert {cause for cause in await left(ports, "callback", "cause") if cause.startswith("status:")} == {
        f"status:{id_}:read" for id_ in kept
    }


async def test_p15_a_message_whose_file_a_phone_may_still_ask_for_stays_as_long_as_it(ports: Ports) -> None:
    media = await old(ports, b"1")
    message = await handed(ports, media)
    await run(ports, "messages")
    assert message in await left(ports, "message", "id")
    await media_node.delete(ports, media.id)
    await run(ports, "messages")
    assert message not in await left(ports, "message", "id")


async def test_a_read_only_volume_fails_the_run(ports: Ports) -> None:
    media = await old(ports, b"1")

    class ReadOnly:
        def __init__(self, volume: Volume) -> None:
            self._volume = volume

        def __getattr__(self, name: str) -> Any:
            return getattr(self._volume, name)

        async def require_removal(self) -> None:
            from satchel.domain.errors import VOLUME_NOT_WRITABLE, Fault

            raise Fault(VOLUME_NOT_WRITABLE, "read-only")

    (service,) = (await run(replace(ports, volume=ReadOnly(ports.volume)), "media"))["services"]
    assert (service["media"]["gc"]["status"], await state(ports, media)) == ("failed", "live")
