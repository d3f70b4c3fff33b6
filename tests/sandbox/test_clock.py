"""The movable clock: what is due happens in order and as of its time; and what the clock does not do."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from satchel_sandbox import delivery, messages, phone, world
from satchel_sandbox.envelope import parse
from satchel_sandbox.store import Store, Tx

from .crypt import seal
from .node import Node
from .running import PHONE, Sandbox, envelope, running

pytestmark = pytest.mark.anyio
SLOW, LATE = "12025550107", "12025550105"


async def test_what_is_due_runs_in_the_order_of_its_time(sandbox: Sandbox, node: Node) -> None:
    await sandbox.deliver("late", to=LATE)
    await sandbox.deliver("one", seal(b"1"), to=SLOW)
    await sandbox.advance("10s")
    await sandbox.deliver("two", seal(b"2"), to=SLOW)
    ran = await sandbox.advance("30d")
    steps = [("delivered", "one"), ("delivered", "two"), ("download", "one"), ("download", "two"), ("download", "late")]
    assert ran == steps
    # As of their time the copies of one and two were alive, and late's was not.
    assert [await sandbox.state(name, SLOW) for name in ("one", "two")] == ["downloaded", "downloaded"]
    assert await sandbox.state("late", LATE) == "requesting"
    # The answer came after the node had everything.
    at = {event["message"]: event["at"] for event in node.events if event.get("status") == "delivered" and event["message"] != "late"}
    sent = {event["message"]: event["at"] for event in node.events if event.get("status") == "sent"}
    assert {name: at[name] - sent[name] for name in at} == {"one": pytest.approx(30), "two": pytest.approx(30)}
    assert [event["kind"] for event in node.events if event.get("message") == "late"] == ["status", "status", "media_retry"]
    assert [event["kind"] for event in node.events if event["kind"] == "state"] == ["state"] * 3


async def test_messages_to_a_slow_phone_keep_their_order(sandbox: Sandbox) -> None:
    for n in range(20):
        await sandbox.text(f"m{n}", to=SLOW)
    await sandbox.advance("30s")
    assert [message["id"] for message in await sandbox.messages(number=SLOW)] == [f"m{n}" for n in range(20)]


async def test_a_slow_phone_that_goes_offline_gets_the_rest_when_it_is_back(sandbox: Sandbox) -> None:
    await sandbox.deliver("m", to=SLOW)
    await sandbox.advance("30s")
    await sandbox.deliver("n", seal(b"n"), to=SLOW)
    await sandbox.act("offline", number=SLOW)
    assert await sandbox.advance("1h") == [("held", "m")]
    assert await sandbox.state("m", SLOW) == "queued"
    await sandbox.act("online", number=SLOW)
    await sandbox.messages(number=SLOW)
    await sandbox.advance("1m")
    assert [await sandbox.state(name, SLOW) for name in "mn"] == ["downloaded", "downloaded"]


async def test_the_clock_runs_by_itself_too(sandbox: Sandbox) -> None:
    await sandbox.text("m", to=SLOW)
    await sandbox.advance("29900ms")
    assert [message["id"] for message in await sandbox.messages("8s", number=SLOW)] == ["m"]


async def test_due_times_survive_a_restart(node: Node, tmp_path: Path) -> None:
    async with running(node.url, tmp_path) as sandbox:
        await sandbox.deliver("m", to=SLOW)
        await sandbox.advance("20s")
    async with running(node.url, tmp_path) as sandbox:
        assert await sandbox.advance("10s") == [("delivered", "m")]
        assert await sandbox.advance("30s") == [("download", "m")]
        assert await sandbox.state("m", SLOW) == "downloaded"


async def test_set_the_time(sandbox: Sandbox) -> None:
    noon = (datetime.now(UTC) + timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)
    status, moved = await sandbox.call("PUT", "/sandbox/clock", json={"now": noon.isoformat()})
    assert status == 200
    assert moved["now"][:16] == noon.strftime("%Y-%m-%dT%H:%M")
    for wrong in (
        {"now": "2020-01-01T00:00:00Z"},
        {"now": "tomorrow"},
        {"now": "2099-01-01T00:00:00"},
        {"now": noon.isoformat(), "advance": "1d"},
    ):
        status, refusal = await sandbox.call("PUT", "/sandbox/clock", json=wrong)
        assert (status, refusal["error"]) == (400, "invalid"), wrong


async def test_the_pace_cannot_be_changed(sandbox: Sandbox) -> None:
    for wrong in ({"rate": 60}, {"frozen": True}, {"advance": "1d", "rate": 1}):
        status, refusal = await sandbox.call("PUT", "/sandbox/clock", json=wrong)
        assert (status, "not supported" in refusal["details"]) == (400, True)
    assert (await sandbox.call("GET", "/sandbox/clock"))[1]["offset"] == 0.0


async def test_the_answer_waits_for_the_node_but_not_for_ever(sandbox: Sandbox, node: Node) -> None:
    node.gate.clear()
    began = asyncio.get_running_loop().time()
    await sandbox.advance("1s")
    assert 1.9 < asyncio.get_running_loop().time() - began < 4
    node.gate.set()
    await sandbox.advance("1s")
    assert [event["offset"] for event in node.events if event["kind"] == "state"][-2:] == [1.0, 2.0]


async def test_what_comes_while_others_are_due_waits_behind_them() -> None:
    store = Store(None)

    def run(tx: Tx) -> list[str]:
        world.load(tx)
        phone.change(tx, PHONE, {"online": False})
        _accept(tx, "first")
        phone.change(tx, PHONE, {"online": True})
        delivery.release(tx, PHONE, 10.0)
        _accept(tx, "second")
        return [message.id for message in messages.of_state(tx, PHONE, "server")]

    assert await store.write(run) == ["first", "second"]
    await store.close()


def _accept(tx: Tx, message_id: str) -> None:
    delivery.accept(tx, parse(json.dumps(envelope(message_id, None)).encode()), 10.0)
