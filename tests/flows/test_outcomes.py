"""What becomes of a message in the end: handed, failed, tried again, and what the network tells of it meanwhile."""

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from satchel.db import Tx, messages
from satchel.domain.errors import MEDIA_GONE, UPSTREAM_DOWN, Fault, Later
from satchel.domain.messages import Outgoing
from satchel.domain.statuses import Status
from satchel.flows import Ports, send, statuses
from satchel.flows.steps import Timeline
from satchel.upstream import Copy

from . import test_send
from .conftest import Network
from .lanes import due
from .parked import NUMBERS, accept, claim_and_run, fault_of, state

pytestmark = pytest.mark.anyio


async def test_a_text_goes_out_without_media_and_one_over_its_ttl_does_not(node: Ports, network: Network) -> None:
    def add(tx: Tx, id_: str, ttl: float, now_net: float) -> None:
        messages.add(tx, id_, Outgoing(NUMBERS[0], "text", text="Hello", ttl=ttl), "sandbox", None, now_net)

    await node.db.write(partial(add, id_="old", ttl=60, now_net=time.time() - 61))
    await node.db.write(partial(add, id_="new", ttl=60, now_net=time.time()))
    with capture_logs() as logged:
        while await claim_and_run(node):
            pass
    assert [(envelope.id, envelope.media) for envelope in network.sent] == [("new", None)]
    assert [line["log_level"] for line in logged if line["event"] == "failed"] == ["warning"]
    assert '"code":410' in (await fault_of(node, "old") or "")


async def test_a_failed_message_is_tried_again_under_its_id_and_told_anew(node: Ports, network: Network) -> None:
    media = await test_send.upload(node, b"x")
    message = await accept(node, NUMBERS[0], media, "document")
    other = await accept(node, NUMBERS[0], media, "document")
    await _fail(node)
    await send.retry(node, message)
    await _fail(node, attempts=2)
    await send.retry(node, message)
    assert await fault_of(node, message) is None
    while await claim_and_run(node):
        pass
    assert [envelope.id for envelope in network.sent] == [message]
    assert await state(node, other) == "failed"
    assert len(await test_send.told(node)) == 3  # each failure of each
    with pytest.raises(Fault, match="send it anew"):
        await send.retry(node, message)


async def test_a_message_is_tried_again_with_a_media_whose_file_was_missing_and_is_back(node: Ports) -> None:
    media = await test_send.upload(node, b"x")
    message = await accept(node, NUMBERS[0], media, "document")
    await _fail(node, attempts=1)
    await node.db.write(lambda tx: tx.run("UPDATE media SET state = 'missing' WHERE id = :id", id=media.id))
    await send.retry(node, message)
    assert await state(node, message) == "waiting"


async def _told(node: Ports, message_id: str, status: str) -> None:
    """The network tells of a message, whatever became of the answer to its hand-over."""
    await node.db.write(lambda tx: statuses.record(tx, [Status(message_id, NUMBERS[0], status, time.time())]))


async def _copy_of(node: Ports, message_id: str) -> Any:
    return await node.db.read(lambda tx: tx.one("SELECT rendition_id, copy_id FROM message WHERE id = :id", id=message_id))


async def test_a_message_that_the_network_told_of_is_handed_whatever_hinders_another_attempt(node: Ports, network: Network) -> None:
    """Killed between the hand-over and its settle, and not looked at again before its ttl, its day or its file were over."""
    media = await test_send.upload(node, b"x")
    first = await accept(node, NUMBERS[0], media, "document")
    await (await due(node, "msg")).run()
    messages_ = [first, await accept(node, NUMBERS[0], media, "document")]
    await (await due(node, "msg")).run()
    await node.db.write(lambda tx: tx.run("UPDATE message SET state = 'waiting', rendition_id = NULL, copy_id = NULL"))
    for message in messages_:
        await _told(node, message, "delivered")
    await node.volume.delete(f"shared/{media.id}")
    await node.db.write(lambda tx: tx.run("UPDATE message SET accepted_at = 0"))
    await node.db.write(lambda tx: messages.wake(tx, NUMBERS[0]))
    while await claim_and_run(node):
        pass
    assert [await state(node, message) for message in messages_] == ["handed", "handed"]
    assert len(network.sent) == 2
    assert all(await _copy_of(node, first))  # what a phone may ask for again
    assert [told["statuses"][0]["status"] for told in await test_send.told(node)] == ["delivered", "delivered"]


async def test_a_text_over_its_ttl_that_the_network_has_is_handed(node: Ports) -> None:
    def add(tx: Tx) -> None:
        messages.add(tx, "text", Outgoing(NUMBERS[0], "text", text="Hello", ttl=4), "sandbox", None, time.time() - 5)

    await node.db.write(add)
    await _told(node, "text", "sent")
    await (await due(node, "msg")).run()
    assert await state(node, "text") == "handed"


async def test_a_status_that_comes_while_a_message_is_failing_goes_first(node: Ports) -> None:
    media = await test_send.upload(node, b"x")
    message = await accept(node, NUMBERS[0], media, "document")
    lane = await due(node, "msg")
    failing = send.failed(lane.item, Fault(MEDIA_GONE, "gone"), Timeline("test"))  # type: ignore[arg-type]
    await _told(node, message, "sent")
    assert await lane.settle(failing) is True  # due at once
    assert await fault_of(node, message) is None
    while await claim_and_run(node):
        pass
    assert await state(node, message) == "handed"


async def test_a_message_that_failed_here_and_is_told_of_by_the_network_cannot_be_retried(node: Ports) -> None:
    message = await accept(node, NUMBERS[0], await test_send.upload(node, b"x"), "document")
    await _fail(node)
    await _told(node, message, "sent")
    with pytest.raises(Fault, match="did not fail before the network had it"):
        await send.retry(node, message)
    assert await state(node, message) == "failed"


async def _fail(node: Ports, attempts: int = 2) -> None:
    class Down:
        name = "sandbox"

        async def put(self, *given: Any) -> Copy:
            raise Later(UPSTREAM_DOWN, "down")

    await node.db.write(lambda tx: tx.run("UPDATE message SET accepted_at = 0 WHERE state = 'waiting'"))
    while await claim_and_run(replace(node, upstream=Down())):  # type: ignore[arg-type]
        pass
