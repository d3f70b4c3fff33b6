"""How long messages wait for a preparation, and which of them has its turn."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from satchel.db import steps
from satchel.db.message_listing import Held
from satchel.domain.errors import MEDIA_TOO_HEAVY, VOLUME_FULL, Fault
from satchel.flows import Ports, beat, links, parking, preflight

from ..postprocess import recordings
from . import test_send
from .conftest import Network
from .lanes import claim, due
from .parked import NUMBERS, Hanging, Slow, accept, claim_and_run, fault_of, held, later, linked, picture, soon, state

pytestmark = pytest.mark.anyio


async def test_a_preparation_over_five_minutes_fails_the_message_and_frees_its_lane(node: Ports, network: Network, photo: Path) -> None:
    hanging = Hanging()
    hangs = replace(node, transcoder=hanging)  # type: ignore[arg-type]
    slow = await accept(node, NUMBERS[0], await picture(node, photo))
    await (await due(node, "msg")).run()
    behind = await accept(node, NUMBERS[0], await test_send.upload(node, b"quick"), "document")
    prep = await due(hangs, "prep")
    work = asyncio.ensure_future(prep.work())
    await hanging.started.wait()
    await later(node, 299)
    assert await claim(node, "msg") is None
    await later(node, 2)
    while (lane := await claim(node, "msg")) is not None:
        await lane.run()
    assert [envelope.id for envelope in network.sent] == [behind]
    assert "more than 5 minutes" in (await fault_of(node, slow) or "")
    hanging.go_on.set()
    await prep.settle(await work)  # it went on for later sends
    assert await claim(node, "prep") is None


@pytest.mark.parametrize("kind", ["prep", "link"])
async def test_what_waits_for_its_turn_is_not_called_too_slow(node: Ports, photo: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = Hanging()
    monkeypatch.setattr(links, "fetch", hanging.process)
    message = await accept(node, NUMBERS[0], await picture(node, photo)) if kind == "prep" else await linked(node, NUMBERS[0])
    await (await due(node, "msg")).run()
    for _ in range(10):  # the slots are taken for 50 minutes
        await later(node, 301)
        await (await due(node, "msg")).run()
        assert await state(node, message) == "waiting"
    prep = await due(replace(node, transcoder=hanging), kind)  # type: ignore[arg-type]
    work = asyncio.ensure_future(prep.work())
    await hanging.started.wait()
    await later(node, 299)
    if (lane := await claim(node, "msg")) is not None:
        await lane.run()
    assert await state(node, message) == "waiting"
    await later(node, 2)
    await (await due(node, "msg")).run()
    assert "more than 5 minutes" in (await fault_of(node, message) or "")
    hanging.go_on.set()
    await prep.settle(await work)


async def test_a_preparation_whose_turn_does_not_come_for_a_day_fails_the_message(node: Ports, photo: Path) -> None:
    message = await accept(node, NUMBERS[0], await picture(node, photo))
    await (await due(node, "msg")).run()
    for _ in range(23):
        await later(node, 3600)
        await (await due(node, "msg")).run()
    assert await state(node, message) == "waiting"
    await later(node, 3601)
    await (await due(node, "msg")).run()
    assert "did not come to its turn within 24 hours" in (await fault_of(node, message) or "")


async def test_what_takes_long_leaves_its_slot_to_the_others_and_goes_on_among_its_like(node: Ports, network: Network) -> None:
    film = await test_send.upload(node, recordings.made("avi", "mpeg4", "libmp3lame", seconds=1), "video/avi")
    message = await accept(node, NUMBERS[0], film, "video")
    await (await due(node, "msg")).run()
    assert await (await due(node, "prep")).run() is False  # another slot's now
    assert await claim(node, "prep") is None
    await accept(node, NUMBERS[1], film, "video")
    await (await due(node, "msg")).run()
    assert await claim(node, "prep") is None  # it waits for the same
    await later(node, 301)
    await (await due(node, "msg")).run()
    assert await state(node, message) == "waiting"  # its time has not begun
    await (await due(node, "convert")).run()
    while await claim_and_run(node):
        pass
    assert sorted(envelope.message.to for envelope in network.sent) == NUMBERS[:2]
    told = await node.db.read(lambda tx: steps.of_message(tx, message))
    assert [step.step for step in told][:3] == ["accepted", "sniffed", "processed"]


async def test_a_recording_that_goes_out_as_it_is_does_not_wait_for_films(node: Ports, network: Network) -> None:
    await accept(node, NUMBERS[0], await test_send.upload(node, recordings.mp4(), "video/mp4"), "video")
    await (await due(node, "msg")).run()
    await (await due(node, "prep")).run()
    await (await due(node, "msg")).run()
    assert len(network.sent) == 1


async def test_settings_that_nobody_has_any_more_hold_up_nobody(node: Ports, network: Network, photo: Path) -> None:
    message = await accept(node, NUMBERS[0], await picture(node, photo))
    await (await due(node, "msg")).run()
    changed = replace(node, limits=replace(node.limits, profile="changed"))
    await beat.beat(node.db, node.host, "core", {"profile": node.limits.profile})  # our own earlier life
    while await claim_and_run(changed):
        pass
    assert await state(node, message) == "handed"


@pytest.mark.parametrize("stats", [{"profile": "first"}, {}], ids=["said", "older"])
async def test_settings_that_another_coreapp_has_are_left_to_it(node: Ports, photo: Path, stats: dict[str, str]) -> None:
    first = replace(node, limits=replace(node.limits, profile="first"))
    await accept(first, NUMBERS[0], await picture(first, photo))
    await (await due(first, "msg")).run()
    await beat.beat(node.db, "another.core.0", "core", stats)
    await (await due(node, "prep")).run()
    assert await node.db.read(lambda tx: tx.one("SELECT attempts, begun FROM prep")) == (1, None)
    await (await soon(first)).run()
    await (await due(first, "msg")).run()


async def test_a_full_volume_is_waited_for_for_ten_minutes_and_then_told(node: Ports, photo: Path) -> None:
    full = replace(node, transcoder=Slow(node.transcoder, *[Fault(VOLUME_FULL, "The volume is full.")] * 9))
    message = await accept(full, NUMBERS[0], await picture(full, photo))
    await (await due(full, "msg")).run()
    await later(full, 301)  # it waits for its turn, which is not counted
    await (await due(full, "msg")).run()
    await (await due(full, "prep")).run()
    assert await held(full, message) == Held(why="The volume is full.")
    assert "(last: The volume is full)" in (await preflight.messages(full.db)).text
    await later(full, 301)
    await (await due(full, "msg")).run()
    assert await state(full, message) == "waiting"
    await later(full, 301)
    await (await due(full, "msg")).run()
    assert '"code":1005' in (await fault_of(full, message) or "")
    await (await due(full, "prep")).run()
    assert await claim(full, "prep") is None  # nobody waits any more


async def test_a_child_that_fails_for_now_is_tried_again_while_somebody_waits(node: Ports, network: Network, photo: Path) -> None:
    slow = replace(node, transcoder=Slow(node.transcoder, Fault(MEDIA_TOO_HEAVY, "too heavy"), ValueError("ours")))
    message = await accept(slow, NUMBERS[0], await picture(slow, photo))
    await (await due(slow, "msg")).run()
    await (await due(slow, "prep")).run()
    prep = await soon(slow)
    with pytest.raises(ValueError, match="ours"):
        await prep.work()
    await prep.settle(parking.put_off(slow, prep.item))
    await (await soon(slow)).run()
    await (await due(slow, "msg")).run()
    assert await state(slow, message) == "handed"
    told = await slow.db.read(lambda tx: steps.of_message(tx, message))
    assert [(step.step, step.outcome) for step in told] == [
        ("accepted", "ok"),
        ("sniffed", "failed"),
        ("sniffed", "ok"),
        ("processed", "ok"),
        ("media_resolved", "ok"),
        ("encrypted", "ok"),
        ("uploaded", "ok"),
        ("dispatched", "ok"),
    ]
    assert {step.host for step in told} == {slow.host}
