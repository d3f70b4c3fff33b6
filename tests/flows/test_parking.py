"""Messages that wait for a preparation: woken once it has ended, whenever that is, and none overtaken."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from satchel.db import messages, preps
from satchel.db.message_listing import Held
from satchel.domain.media import Media
from satchel.flows import Ports, links, media_node, parking

from . import test_send
from .conftest import Network
from .lanes import claim, due
from .parked import NUMBERS, Slow, accept, claim_and_run, fault_of, held, later, linked, picture, state

pytestmark = pytest.mark.anyio


async def test_recipients_of_one_picture_wait_for_one_preparation_and_one_upload(node: Ports, network: Network, photo: Path) -> None:
    slow = Slow(node.transcoder)
    node = replace(node, transcoder=slow)
    media = await picture(node, photo)
    for number in NUMBERS:
        await accept(node, number, media)
    for _ in NUMBERS:
        await (await due(node, "msg")).run()
    assert await claim(node, "msg") is None  # all are parked, and none holds a slot
    await (await due(node, "prep")).run()
    assert await claim(node, "prep") is None
    lanes = [await due(node, "msg") for _ in NUMBERS]
    for lane, done in zip(lanes, await asyncio.gather(*(lane.work() for lane in lanes)), strict=True):
        await lane.settle(done)
    assert sorted(envelope.message.to for envelope in network.sent) == NUMBERS
    assert (slow.probes, network.puts) == (1, 1)


async def test_what_is_prepared_goes_out_without_a_preparation(node: Ports, network: Network, photo: Path) -> None:
    media = await picture(node, photo)
    for number in NUMBERS[:2]:
        await accept(node, number, media)
        while await claim_and_run(node):
            pass
    assert len(network.sent) == 2
    assert await node.db.read(lambda tx: tx.one("SELECT count(*) FROM prep")) == (1,)


async def test_a_preparation_that_ends_between_look_and_parking_is_not_missed(node: Ports, network: Network, photo: Path) -> None:
    media = await picture(node, photo)
    one = await accept(node, NUMBERS[0], media)
    await (await due(node, "msg")).run()
    two = await accept(node, NUMBERS[1], media)
    late = await due(node, "msg")
    parking_late = await late.work()  # it has seen the preparation under way
    await (await due(node, "prep")).run()
    assert await late.settle(parking_late) is True  # not parked: due at once
    while await claim_and_run(node):
        pass
    assert {envelope.id for envelope in network.sent} == {one, two}


async def test_a_preparation_that_is_being_settled_waits_for_whoever_is_parking(node: Ports, network: Network, photo: Path) -> None:
    """Both at the same moment, many times: whatever comes first, nobody sleeps."""
    for n in range(20):
        media = await test_send.upload(node, photo.read_bytes() + bytes([n]), "image/jpeg")
        await accept(node, NUMBERS[0], media)
        await (await due(node, "msg")).run()
        await accept(node, NUMBERS[1], media)
        late, prep = await due(node, "msg"), await due(node, "prep")
        parks, ends = await late.work(), await prep.work()
        await asyncio.gather(late.settle(parks), prep.settle(ends))
        while await claim_and_run(node):
            pass
        assert len(network.sent) == 2 * (n + 1)


async def test_many_who_wait_are_woken_some_at_a_time(node: Ports, network: Network, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "BATCH", 2)
    slow = Slow(node.transcoder)
    node = replace(node, transcoder=slow)
    media = await picture(node, photo)
    for number in NUMBERS:
        await accept(node, number, media)
        await (await due(node, "msg")).run()
    assert [await (await due(node, "prep")).run() for _ in range(3)] == [True, True, False]
    while await claim_and_run(node):
        pass
    assert sorted(envelope.message.to for envelope in network.sent) == NUMBERS
    assert slow.probes == 1


async def test_another_message_does_not_overtake_one_that_is_parked(node: Ports, network: Network, photo: Path) -> None:
    first = await accept(node, NUMBERS[0], await picture(node, photo))
    await (await due(node, "msg")).run()
    second = await accept(node, NUMBERS[0], await test_send.upload(node, b"quick"), "document")
    assert [await held(node, message) for message in (first, second)] == [Held(), Held(behind=first)]
    assert await claim(node, "msg") is None  # it woke the lane, whose head still waits
    assert network.sent == []
    while await claim_and_run(node):
        pass
    assert [envelope.id for envelope in network.sent] == [first, second]


async def test_a_link_is_fetched_for_those_accepted_before_and_again_for_later_ones(
    node: Ports, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = await test_send.upload(node, b"behind the link")
    fetched: list[str] = []

    async def fetch(ports: Ports, link: str, provider: str | None) -> Media:
        fetched.append(link)
        return media

    monkeypatch.setattr(links, "fetch", fetch)
    before = [await linked(node, number) for number in NUMBERS[:2]]
    for _ in before:
        await (await due(node, "msg")).run()
    prep = await due(node, "link")
    done = await prep.work()
    after = await linked(node, NUMBERS[2])
    await (await due(node, "msg")).run()
    await prep.settle(done)
    while await claim_and_run(node):
        pass
    assert [await state(node, id_) for id_ in (*before, after)] == ["handed"] * 3
    assert len(fetched) == 2


async def test_a_link_is_fetched_once_more_when_its_media_was_deleted_meanwhile(
    node: Ports, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was that of other messages too: who deletes it does not know of one that has named a link."""
    first, second = await test_send.upload(node, b"behind the link"), await test_send.upload(node, b"still behind it")
    medias = [first, second]

    async def fetch(ports: Ports, link: str, provider: str | None) -> Media:
        return medias.pop(0)

    monkeypatch.setattr(links, "fetch", fetch)
    message = await linked(node, NUMBERS[0])
    await (await due(node, "msg")).run()
    prep = await due(node, "link")
    done = await prep.work()
    await media_node.delete(node, first.id)
    await prep.settle(done)
    while await claim_and_run(node):
        pass
    await later(node, 1)
    while await claim_and_run(node):
        pass
    assert (await state(node, message), medias) == ("handed", [])


async def test_a_link_that_fails_fails_all_who_waited_for_it(node: Ports) -> None:
    sent = [await linked(node, number) for number in NUMBERS[:3]]
    for _ in sent:
        await (await due(node, "msg")).run()
    while await claim_and_run(node):
        pass
    assert {await fault_of(node, id_) for id_ in sent} == {await fault_of(node, sent[0])}
    assert await state(node, sent[0]) == "failed"
    assert await node.db.read(lambda tx: tx.one("SELECT count(*) FROM prep")) == (1,)


async def test_a_lost_preparation_is_found_by_the_sweep(node: Ports, photo: Path) -> None:
    await accept(node, NUMBERS[0], await picture(node, photo))
    await (await due(node, "msg")).run()
    await node.db.write(lambda tx: tx.run("UPDATE lane SET run_at = NULL WHERE kind = 'prep'"))
    (asleep,) = await node.db.read(preps.asleep)
    assert preps.kind_of(asleep) == "prep"
    await node.db.write(lambda tx: tx.run("UPDATE prep SET outcome = '{}', state = 'done', ended = :now - 60"))
    (overslept,) = await node.db.read(preps.overslept)
    assert await node.db.write(partial(parking.wake_all, prep_id=overslept)) == [messages.lane_of(NUMBERS[0])]
    assert await node.db.read(preps.overslept) == []
    assert await claim(node, "msg") is not None
