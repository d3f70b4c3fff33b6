"""A reset of the network: nothing of the world that is gone comes later, and nobody waits behind it."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from satchel.db import Tx, callbacks, endpoints, lanes, messages, settings, steps
from satchel.db.callbacks import News
from satchel.domain.messages import Outgoing
from satchel.flows import Ports, Settlement, application, worlds
from satchel.flows import callbacks as telling

from .conftest import Held

pytestmark = pytest.mark.anyio
TO = "12025550111"
URL = {"webhooks": {"url": "http://127.0.0.1:9/"}}


async def waiting(ports: Ports, world: str, message_id: str) -> None:
    def accept(tx: Tx) -> None:
        messages.add(tx, message_id, Outgoing(TO, "text", text="hello"), "sandbox", world, 0.0)
        messages.again(tx, message_id, 3600.0)

    await ports.db.write(accept)


async def begin(ports: Ports, world: str) -> None:
    await ports.db.write(lambda tx: worlds.learn(tx, world, 0.0, "here"))


async def state(ports: Ports, table: str) -> list[str]:
    return [row[0] for row in await ports.db.read(lambda tx: tx.all(f"SELECT state FROM {table} ORDER BY seq"))]


async def test_a_new_world_ends_what_waited_for_the_old_one_and_tells_nobody(ports: Ports) -> None:
    await begin(ports, "w1")
    await application.change(ports.db, URL, "test")
    await ports.db.write(lambda tx: callbacks.put_down(tx, [News("told", TO, {"statuses": []})], url_set=True))
    await waiting(ports, "w1", "old")
    await begin(ports, "w2")
    await waiting(ports, "w2", "new")
    assert await state(ports, "message") == ["failed", "waiting"]
    assert await state(ports, "callback") == ["unsent"]
    assert await ports.db.read(lambda tx: tx.all("SELECT message_id, status FROM status")) == [("old", "failed")]
    (step,) = await ports.db.read(lambda tx: steps.of_message(tx, "old"))
    assert "was reset" in str(step.reason)
    head = await ports.db.read(lambda tx: messages.head(tx, messages.lane_of(TO)))
    assert head is not None
    assert head.id == "new"


async def test_a_callback_that_nobody_answers_does_not_hold_up_those_of_the_new_world(ports: Ports) -> None:
    await begin(ports, "w1")
    await ports.db.write(lambda tx: callbacks.put_down(tx, [News("hangs", TO, {"statuses": []})], url_set=True))
    first = await ports.db.write(lambda tx: lanes.claim(tx, callbacks.KIND, "one", 60.0))
    await begin(ports, "w2")
    await ports.db.write(lambda tx: callbacks.put_down(tx, [News("new", TO, {"statuses": []})], url_set=True))
    second = await ports.db.write(lambda tx: lanes.claim(tx, callbacks.KIND, "another", 60.0))
    assert first is not None
    assert second is not None
    assert not await ports.db.write(lambda tx: lanes.fence(tx, first))
    head = await ports.db.read(lambda tx: callbacks.head(tx, second.name))
    assert head is not None
    assert head.cause == "new"


async def test_the_first_world_and_a_moved_clock_end_nothing(ports: Ports) -> None:
    await waiting(ports, "w1", "early")
    await begin(ports, "w1")
    await ports.db.write(lambda tx: worlds.learn(tx, "w1", 86400.0, "here"))
    assert await state(ports, "message") == ["waiting"]
    assert await ports.db.read(settings.upstream) == ("w1", 86400.0)


async def test_an_address_that_is_set_anew_is_tried_at_once(ports: Ports) -> None:
    await application.change(ports.db, URL, "test")
    await ports.db.write(lambda tx: endpoints.failed(tx, 900.0))
    await application.change(ports.db, {"callback_persist": False}, "test")
    assert (await ports.db.read(endpoints.find)).failures == 1
    await application.change(ports.db, {"webhooks": {"url": "http://127.0.0.1:10/"}}, "test")
    assert (await ports.db.read(endpoints.find)).failures == 0


async def test_a_callback_that_was_claimed_in_the_old_world_does_not_go_to_the_address_of_the_new_one(ports: Ports) -> None:
    await begin(ports, "w1")
    await application.change(ports.db, URL, "test")
    await ports.db.write(lambda tx: callbacks.put_down(tx, [News("told", TO, {"statuses": []})], url_set=True))
    claimed = await ports.db.read(lambda tx: callbacks.head(tx, callbacks.lane_of(TO)))
    assert claimed is not None
    await begin(ports, "w2")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as nobody:
        await application.change(ports.db, {"webhooks": {"url": f"http://127.0.0.1:{nobody.server_address[1]}/"}}, "test")
        settle = await telling.tell(ports, claimed, Held())
        nobody.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            nobody.socket.accept()
    assert not isinstance(settle, Settlement), "nobody was told"
    assert await ports.db.write(settle) is False
    assert await ports.db.read(lambda tx: tx.all("SELECT n FROM attempt")) == []
