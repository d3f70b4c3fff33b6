"""Messages that wait for a preparation: woken once it has ended, whenever that is, and not for longer than they may."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from satchel.db import Tx, message_listing, messages, preps, settings, steps
from satchel.db.message_listing import Held
from satchel.domain.errors import MEDIA_GONE, MEDIA_TOO_HEAVY, MEDIA_UNREADABLE, UPSTREAM_DOWN, VOLUME_FULL, Fault, Later
from satchel.domain.limits import COPY_LIFE
from satchel.domain.media import Media
from satchel.domain.messages import Outgoing
from satchel.domain.statuses import Status
from satchel.flows import Ports, beat, links, parking, preflight, send, statuses
from satchel.flows.steps import Timeline
from satchel.postprocess import Decide
from satchel.upstream import Copy, Envelope

from ..postprocess import recordings
from . import test_send
from .lanes import claim, due

pytestmark = pytest.mark.anyio
NUMBERS = [f"1202555010{n}" for n in range(5)]


class Network:
    """An upstream that takes everything and keeps count."""

    name = "sandbox"

    def __init__(self) -> None:
        self.puts = 0
        self.sent: list[Envelope] = []

    async def put(self, rendition: Any, path: Path, known: str | None, force: bool = False) -> Copy:
        self.puts += 1
        await asyncio.sleep(0)
        return Copy("somewhere", time.time() + COPY_LIFE)

    async def send(self, envelope: Envelope) -> None:
        self.sent.append(envelope)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def node(ports: Ports, network: Network) -> AsyncIterator[Ports]:
    yield replace(ports, upstream=network)  # type: ignore[arg-type]


class Slow:
    """The real transcoder, which counts what it is asked for, and says first what a test wants it to say."""

    def __init__(self, inner: Any, *errors: Exception) -> None:
        self._inner, self._errors, self.probes = inner, list(errors), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def process(self, path: Path, decide: Decide, into: Path, *, lengthy: bool = False) -> Any:
        self.probes += 1
        if self._errors:
            raise self._errors.pop(0)
        return await self._inner.process(path, decide, into, lengthy=lengthy)


class Hanging:
    """A transcoder, and a fetch of links, that take as long as a test wants."""

    def __init__(self) -> None:
        self.started, self.go_on = asyncio.Event(), asyncio.Event()

    async def process(self, *given: Any, **named: Any) -> Any:
        self.started.set()
        await self.go_on.wait()
        raise Fault(MEDIA_UNREADABLE, "It was broken, after all.")


async def picture(node: Ports, photo: Path) -> Media:
    return await test_send.upload(node, photo.read_bytes(), "image/jpeg")


async def accept(node: Ports, number: str, media: Media, kind: str = "image") -> str:
    return (await send.accept(node, Outgoing(number, kind, media.id))).id


async def state(node: Ports, message_id: str) -> str:
    row = await node.db.read(lambda tx: tx.one("SELECT state FROM message WHERE id = :id", id=message_id))
    assert row is not None
    return str(row[0])


async def fault_of(node: Ports, message_id: str) -> str | None:
    row = await node.db.read(lambda tx: tx.one("SELECT fault FROM status WHERE message_id = :id AND status = 'failed'", id=message_id))
    return None if row is None else str(row[0])


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


async def claim_and_run(node: Ports) -> bool:
    """Run whatever is due, one item."""
    for kind in ("link", "prep", "film", "msg"):
        if (lane := await claim(node, kind)) is not None:
            await lane.run()
            return True
    return False


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


async def test_a_preparation_over_five_minutes_fails_the_message_and_frees_its_lane(node: Ports, network: Network, photo: Path) -> None:
    hanging = Hanging()
    hangs = replace(node, transcoder=hanging)  # type: ignore[arg-type]
    slow = await accept(node, NUMBERS[0], await picture(node, photo))
    await (await due(node, "msg")).run()
    behind = await accept(node, NUMBERS[0], await test_send.upload(node, b"quick"), "document")
    prep = await due(hangs, "prep")
    work = asyncio.ensure_future(prep.work())
    await hanging.started.wait()
    await _later(node, 299)
    assert await claim(node, "msg") is None
    await _later(node, 2)
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
    message = await accept(node, NUMBERS[0], await picture(node, photo)) if kind == "prep" else await _linked(node, NUMBERS[0])
    await (await due(node, "msg")).run()
    for _ in range(10):  # the slots are taken for 50 minutes
        await _later(node, 301)
        await (await due(node, "msg")).run()
        assert await state(node, message) == "waiting"
    prep = await due(replace(node, transcoder=hanging), kind)  # type: ignore[arg-type]
    work = asyncio.ensure_future(prep.work())
    await hanging.started.wait()
    await _later(node, 299)
    if (lane := await claim(node, "msg")) is not None:
        await lane.run()
    assert await state(node, message) == "waiting"
    await _later(node, 2)
    await (await due(node, "msg")).run()
    assert "more than 5 minutes" in (await fault_of(node, message) or "")
    hanging.go_on.set()
    await prep.settle(await work)


async def test_a_preparation_whose_turn_does_not_come_for_a_day_fails_the_message(node: Ports, photo: Path) -> None:
    message = await accept(node, NUMBERS[0], await picture(node, photo))
    await (await due(node, "msg")).run()
    for _ in range(23):
        await _later(node, 3600)
        await (await due(node, "msg")).run()
    assert await state(node, message) == "waiting"
    await _later(node, 3601)
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
    await _later(node, 301)
    await (await due(node, "msg")).run()
    assert await state(node, message) == "waiting"  # its time has not begun
    await (await due(node, "film")).run()
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
    await (await _soon(first)).run()
    await (await due(first, "msg")).run()


async def test_a_full_volume_is_waited_for_for_ten_minutes_and_then_told(node: Ports, photo: Path) -> None:
    full = replace(node, transcoder=Slow(node.transcoder, *[Fault(VOLUME_FULL, "The volume is full.")] * 9))
    message = await accept(full, NUMBERS[0], await picture(full, photo))
    await (await due(full, "msg")).run()
    await _later(full, 301)  # it waits for its turn, which is not counted
    await (await due(full, "msg")).run()
    await (await due(full, "prep")).run()
    assert await held(full, message) == Held(why="The volume is full.")
    assert "(last: The volume is full)" in (await preflight.messages(full.db)).text
    await _later(full, 301)
    await (await due(full, "msg")).run()
    assert await state(full, message) == "waiting"
    await _later(full, 301)
    await (await due(full, "msg")).run()
    assert '"code":1005' in (await fault_of(full, message) or "")
    await (await due(full, "prep")).run()
    assert await claim(full, "prep") is None  # nobody waits any more


async def held(node: Ports, message_id: str) -> Held:
    return await node.db.read(lambda tx: message_listing.held(tx, message_id))


async def _later(node: Ports, seconds: float) -> None:
    """Move what waits back in time: the database's clock cannot be moved."""

    def shift(tx: Tx) -> None:
        for table, column in (
            ("message", "not_before"),
            ("message", "parked"),
            ("prep", "not_before"),
            ("prep", "troubled"),
            ("prep", "begun"),
            ("lane", "run_at"),
        ):
            tx.run(f"UPDATE {table} SET {column} = {column} - :seconds WHERE {column} IS NOT NULL", seconds=seconds)

    await node.db.write(shift)


async def test_a_child_that_fails_for_now_is_tried_again_while_somebody_waits(node: Ports, network: Network, photo: Path) -> None:
    slow = replace(node, transcoder=Slow(node.transcoder, Fault(MEDIA_TOO_HEAVY, "too heavy"), ValueError("ours")))
    message = await accept(slow, NUMBERS[0], await picture(slow, photo))
    await (await due(slow, "msg")).run()
    await (await due(slow, "prep")).run()
    prep = await _soon(slow)
    with pytest.raises(ValueError, match="ours"):
        await prep.work()
    await prep.settle(parking.put_off(slow, prep.item))
    await (await _soon(slow)).run()
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


async def _soon(node: Ports) -> Any:
    await _later(node, 20)
    return await due(node, "prep")


async def test_a_link_is_fetched_for_those_accepted_before_and_again_for_later_ones(
    node: Ports, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = await test_send.upload(node, b"behind the link")
    fetched: list[str] = []

    async def fetch(ports: Ports, link: str, provider: str | None) -> Media:
        fetched.append(link)
        return media

    monkeypatch.setattr(links, "fetch", fetch)
    before = [await _linked(node, number) for number in NUMBERS[:2]]
    for _ in before:
        await (await due(node, "msg")).run()
    prep = await due(node, "link")
    done = await prep.work()
    after = await _linked(node, NUMBERS[2])
    await (await due(node, "msg")).run()
    await prep.settle(done)
    while await claim_and_run(node):
        pass
    assert [await state(node, id_) for id_ in (*before, after)] == ["handed"] * 3
    assert len(fetched) == 2


async def _linked(node: Ports, number: str) -> str:
    message = Outgoing(number, "document", link="http://10.0.0.1/bill.pdf")

    def add(tx: Tx) -> None:
        messages.add(tx, f"m{number}", message, "sandbox", None, settings.network_now(tx))

    await node.db.write(add)
    return f"m{number}"


async def test_a_link_that_fails_fails_all_who_waited_for_it(node: Ports) -> None:
    sent = [await _linked(node, number) for number in NUMBERS[:3]]
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


async def test_a_text_goes_out_without_media_and_one_over_its_ttl_does_not(node: Ports, network: Network) -> None:
    def add(tx: Tx, id_: str, ttl: float, now_net: float) -> None:
        messages.add(tx, id_, Outgoing(NUMBERS[0], "text", text="Hello", ttl=ttl), "sandbox", None, now_net)

    await node.db.write(partial(add, id_="old", ttl=60, now_net=time.time() - 61))
    await node.db.write(partial(add, id_="new", ttl=60, now_net=time.time()))
    while await claim_and_run(node):
        pass
    assert [(envelope.id, envelope.media) for envelope in network.sent] == [("new", None)]
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
