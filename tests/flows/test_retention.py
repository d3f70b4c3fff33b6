"""gc by a rule: what may go, what never does, and what it would mean for phones."""

import asyncio
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from satchel.db import Tx, callbacks, downloads, inbound, messages, renditions, settings
from satchel.db import copies as copy_rows
from satchel.db import media as rows
from satchel.db import retention as retention_rows
from satchel.db.callbacks import News
from satchel.db.copies import StoredCopy
from satchel.domain.errors import VOLUME_MISSING, VOLUME_NOT_WRITABLE, Fault, Later
from satchel.domain.incoming import Incoming, Offered
from satchel.domain.limits import DAY
from satchel.domain.media import Facts, Media, Rendition
from satchel.domain.messages import Outgoing
from satchel.domain.retention import Rule
from satchel.flows import Ports, media_node, reading, retention, send

from ..conftest import Place
from .conftest import Held
from .test_send import TO, accepted, upload

pytestmark = pytest.mark.anyio
RULE = Rule()


async def unused(ports: Ports, media: Media, days: float, **columns: Any) -> Media:
    """It was last used so many days ago."""
    changes = "".join(f", {name} = :{name}" for name in columns)

    def put(tx: Tx) -> None:
        used = settings.network_now(tx) - days * DAY
        tx.run(f"UPDATE media SET last_used_net = :used{changes} WHERE id = :id", used=used, id=media.id, **columns)

    await ports.db.write(put)
    return media


async def old(ports: Ports, data: bytes, days: float = 31, mime: str = "text/plain", **columns: Any) -> Media:
    return await unused(ports, await upload(ports, data, mime), days, **columns)


async def handed(
    ports: Ports, media: Media, to: str = TO, kind: str = "document", copy_days: float = -1, made: Rendition | None = None
) -> str:
    """A message that the network took; its copy expires in so many days."""

    def put(tx: Tx) -> str:
        now_net = settings.network_now(tx)
        message_id = f"gBEG{media.id}{to}{kind}"
        rendition = made or Rendition(f"r{media.id}{kind}", media.sha256, kind, "p", None, "", media.size, media.sha256, os.urandom(32))
        stands = renditions.add(tx, rendition, Facts("document", media.mime))
        copy = copy_rows.save(tx, StoredCopy(f"c{stands.id}", "address", now_net + copy_days * DAY, 0.0), stands.id, ports.upstream.name)
        messages.add(tx, message_id, Outgoing(to, kind, media.id), ports.upstream.name, None, now_net - 31 * DAY)
        messages.handed(tx, message_id, stands.id, copy.id)
        return message_id

    return await ports.db.write(put)


async def clean(ports: Ports, rule: Rule = RULE) -> int:
    return (await retention.clean(ports, rule, Held())).files


async def state(ports: Ports, media: Media) -> str:
    row = await ports.db.read(lambda tx: tx.one("SELECT state FROM media WHERE id = :id", id=media.id))
    return str(row and row[0])


def shared(place: Place) -> list[str]:
    return sorted(path.name for path in (place.data_dir / "media" / "shared").iterdir())


async def test_p16_what_nobody_used_for_30_days_goes_and_all_else_stays(ports: Ports, place: Place) -> None:
    gone, young, fresh = await old(ports, b"1", 30.1), await old(ports, b"2", 29.9), await upload(ports, b"3")
    assert await clean(ports) == 1
    assert [await state(ports, media) for media in (gone, young, fresh)] == ["deleted", "live", "live"]
    end = await ports.db.read(lambda tx: rows.end_of(tx, gone.id))
    assert end is not None
    assert end[1] == "gc of what was unused for 30d"
    assert shared(place) == sorted([young.id, fresh.id])
    assert await clean(ports) == 0


async def test_p16_a_use_starts_the_30_days_anew_and_a_kept_id_can_be_sent_again(ports: Ports) -> None:
    media = await old(ports, b"1", 300)
    await ports.db.write(messages_out(ports, media))
    assert await clean(ports) == 0
    assert (await send.accept(ports, Outgoing(TO, "document", media.id))).id


@pytest.mark.parametrize("cause", ["message:m1", "download:d1"])
async def test_p16_what_a_callback_that_waits_names_stays(ports: Ports, cause: str) -> None:
    media = await old(ports, b"1", 40, direction="in")

    def tell(tx: Tx) -> None:
        offered = Offered("text/plain", 1, media.sha256)
        inbound.add(tx, Incoming("m1", TO, "Customer", 0.0, "document", media=offered), media.id, ports.upstream.name, "w1")
        downloads.add(tx, media.id, TO)
        tx.run("UPDATE download SET id = 'd1', state = 'done', created_at = 0")
        inbound.told(tx, "m1")
        callbacks.put_down(tx, [News(cause, TO, {})], url_set=True)
        downloads.prune(tx)

    await ports.db.write(tell)
    assert ((await retention.plan(ports, RULE)).shares["E"].files, await clean(ports)) == (0, 0)
    assert await state(ports, media) == "live"
    await ports.db.write(lambda tx: tx.run("UPDATE callback SET state = 'done'"))
    done = await ports.db.read(lambda tx: callbacks.newest(tx, None, None, 1))
    await ports.db.write(lambda tx: callbacks.replay(tx, done, None))
    assert await clean(ports) == 0
    await ports.db.write(lambda tx: tx.run("UPDATE callback SET state = 'done'"))
    assert await clean(ports) == 1


def messages_out(ports: Ports, media: Media) -> Any:
    def use(tx: Tx) -> None:
        assert rows.use(tx, media.id, settings.network_now(tx))

    return use


async def test_p16_receipts_count_for_nothing(ports: Ports) -> None:
    media = await old(ports, b"1")
    message = await handed(ports, media)
    statement = "INSERT INTO status (message_id, status, at_net) VALUES (:id, 'delivered', 0), (:id, 'read', 0)"
    await ports.db.write(lambda tx: tx.run(statement, id=message))
    plan = await retention.plan(ports, RULE)
    assert (plan.shares["A"].files, plan.shares["C"].files, plan.shares["C"].phones) == (0, 1, 1)


async def test_p16_what_an_accepted_send_needs_never_goes_however_long_it_waits(ports: Ports) -> None:
    media = await upload(ports, b"1")
    await accepted(ports, media)
    await unused(ports, media, 400)
    assert await clean(ports) == 0
    assert await state(ports, media) == "live"


@pytest.mark.parametrize("first", ["send", "gc"])
async def test_a_send_and_gc_of_one_media_never_both_win(ports: Ports, first: str) -> None:
    """Both have looked before either acts: the later one finds that it is too late."""
    media = await old(ports, b"1")
    what = await retention.wanted(ports, RULE)
    looked = await ports.db.read(partial(retention_rows.look, wanted=what, after=retention_rows.FIRST, limit=10))
    assert [one.id for one in looked.media] == [media.id]
    if first == "send":
        await send.accept(ports, Outgoing(TO, "document", media.id))
    hidden = await ports.db.write(partial(retention_rows.hide, wanted=what, ids=[media.id]))
    assert hidden == ([] if first == "send" else [media.id])
    if first == "gc":
        with pytest.raises(Fault, match="removed"):
            await send.accept(ports, Outgoing(TO, "document", media.id))


async def test_what_is_looked_at_and_what_is_marked_is_judged_each_by_itself(ports: Ports) -> None:
    old_one, touched, waited_for = await old(ports, b"1"), await upload(ports, b"2"), await upload(ports, b"3")
    await accepted(ports, waited_for)
    await unused(ports, waited_for, 400)
    what = await retention.wanted(ports, RULE)
    looked = await ports.db.read(partial(retention_rows.look, wanted=what, after=retention_rows.FIRST, limit=10))
    assert [one.id for one in looked.media] == [old_one.id]
    ids = [media.id for media in (old_one, touched, waited_for)]
    assert await ports.db.write(partial(retention_rows.hide, wanted=what, ids=ids)) == [old_one.id]


async def test_many_sends_and_runs_of_gc_at_once_leave_no_message_without_its_file(ports: Ports) -> None:
    media = [await old(ports, f"{number}".encode()) for number in range(20)]

    async def sent(one: Media) -> bool:
        try:
            await send.accept(ports, Outgoing(TO, "document", one.id))
        except Fault:
            return False
        return True

    sends = [asyncio.ensure_future(sent(one)) for one in media]
    await asyncio.gather(clean(ports), *sends)
    for one, task in zip(media, sends, strict=True):
        assert (await state(ports, one) == "live") is task.result()


async def test_p16_directions_can_be_told_apart(ports: Ports) -> None:
    up, received, linked = [await old(ports, name.encode(), direction=name) for name in ("up", "in", "link")]
    assert await clean(ports, replace(RULE, directions=("up", "link"))) == 2
    assert [await state(ports, media) for media in (up, received, linked)] == ["deleted", "live", "deleted"]


async def test_p16_kinds_are_those_as_sent_else_those_of_the_mime(ports: Ports) -> None:
    film = await old(ports, b"film", mime="VIDEO/mp4")
    picture = await old(ports, b"picture", mime="image/jpeg")
    as_document = await old(ports, b"as document", mime="image/png")
    await handed(ports, as_document, kind="document")
    as_both = await old(ports, b"both", mime="image/png")
    for kind in ("image", "document"):
        await handed(ports, as_both, kind=kind)
    sticker = await old(ports, b"sticker", mime="image/webp")
    assert await clean(ports, replace(RULE, kinds=("image",))) == 1
    assert await state(ports, picture) == "deleted"
    assert await clean(ports, replace(RULE, kinds=("document",))) == 1
    assert await state(ports, as_document) == "deleted"
    assert await clean(ports, replace(RULE, kinds=("document", "image", "sticker"))) == 2
    assert [await state(ports, media) for media in (film, as_both, sticker)] == ["live", "deleted", "deleted"]


async def test_p16_over_the_total_size_what_was_not_used_for_longest_goes(ports: Ports) -> None:
    media = [await old(ports, bytes([number]) * 100, days=5 - number) for number in range(4)]
    recent = await upload(ports, b"r" * 500)
    assert await clean(ports, replace(RULE, max_total=900)) == 0
    assert await clean(ports, replace(RULE, max_total=750)) == 2
    assert [await state(ports, one) for one in media] == ["deleted", "deleted", "live", "live"]
    assert await clean(ports, replace(RULE, max_total=1)) == 2  # what was used within a day stays, whatever the rule
    assert await state(ports, recent) == "live"


async def test_no_rule_reaches_into_the_last_day() -> None:
    with pytest.raises(ValueError, match="at least a day"):
        Rule(unused_for=3600.0)
    for wrong in ({"directions": ("out",)}, {"kinds": ("gif",)}, {"classes": ("F",)}, {"hour": 24}, {"max_total": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Rule(**wrong)


async def test_a_clock_that_jumps_back_deletes_nothing_more(ports: Ports) -> None:
    media = await upload(ports, b"1")
    for offset in (60 * DAY, 0.0, -60 * DAY):  # used while the clock was ahead; it then goes back, past where it began
        await ports.db.write(lambda tx, offset=offset: settings.learn_upstream(tx, "world", offset))  # type: ignore[misc]
        await ports.db.write(messages_out(ports, media))
    assert await clean(ports) == 0
    await ports.db.write(lambda tx: settings.learn_upstream(tx, "world", 89 * DAY))
    assert await clean(ports) == 0
    await ports.db.write(lambda tx: settings.learn_upstream(tx, "world", 91 * DAY))
    assert await clean(ports) == 1


class Knowing:
    """The real upstream, which also says what phones have."""

    def __init__(self, ports: Ports, fetched: set[str] | None) -> None:
        self._upstream, self._fetched = ports.upstream, fetched
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upstream, name)

    async def downloaded(self, given: list[str]) -> set[str]:
        self.asked += 1
        if self._fetched is None:
            raise Later(VOLUME_MISSING, "away")
        return self._fetched & set(given)


async def test_p16_a_plan_says_which_phones_would_see_unavailable(ports: Ports) -> None:
    (has, alive, expired, half), never = [await old(ports, f"{n}".encode()) for n in range(4)], await old(ports, b"never")
    received = await old(ports, b"in", direction="in")
    fetched = {await handed(ports, has), await handed(ports, half)}
    await handed(ports, alive, copy_days=3)
    await handed(ports, expired)
    await handed(ports, half, to="12025550112")
    knowing = replace(ports, upstream=Knowing(ports, fetched))
    judged: dict[str, str] = {}
    plan = await retention.plan(knowing, RULE, lambda one: judged.update({one.media.id: one.name}))
    assert plan.asked
    assert judged == {has.id: "A", alive.id: "B", expired.id: "C", half.id: "C", never.id: "D", received.id: "E"}
    assert {name: (share.files, share.phones) for name, share in plan.shares.items()} == {
        "A": (1, 1),
        "B": (1, 1),
        "C": (2, 3),
        "D": (1, 0),
        "E": (1, 0),
    }
    assert (await retention.clean(knowing, replace(RULE, classes=("A", "B", "D")), Held())).files == 3
    assert [await state(ports, one) for one in (expired, half, received)] == ["live"] * 3


async def test_where_the_network_does_not_tell_nothing_counts_as_downloaded(ports: Ports) -> None:
    for number in range(3):
        await handed(ports, await old(ports, f"{number}".encode()))
    silent = Knowing(ports, None)
    plan = await retention.plan(replace(ports, upstream=silent), RULE)
    assert (plan.asked, plan.shares["C"].files, silent.asked) == (False, 3, 1)


async def test_a_failed_message_is_nobodys_to_ask_again(ports: Ports) -> None:
    media = await old(ports, b"1")
    message = await handed(ports, media)
    await ports.db.write(lambda tx: tx.run("INSERT INTO status (message_id, status, at_net) VALUES (:id, 'failed', 0)", id=message))
    assert (await retention.plan(ports, RULE)).shares["D"].files == 1


async def test_a_volume_that_goes_away_or_turns_read_only_stops_it_and_nothing_more_is_marked(
    ports: Ports, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch goes through, then the volume is not what it was."""
    media = [await old(ports, f"{number}".encode(), days=40 - number) for number in range(4)]
    volume = place.data_dir / "media"

    class Second(Held):
        """Of which the second batch finds no volume."""

        batches = 0

        def check(self) -> None:
            self.batches += 1
            if self.batches == 2:
                (volume / ".satchel-volume").rename(volume / "away")

    monkeypatch.setattr(retention, "BATCH", 2)
    with pytest.raises(Later) as put_off:
        await retention.clean(ports, RULE, Second())
    assert put_off.value.situation is VOLUME_MISSING
    (volume / "away").rename(volume / ".satchel-volume")
    assert [await state(ports, one) for one in media] == ["deleted", "deleted", "live", "live"]
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Fault) as refused:
        await clean(ports)
    assert refused.value.situation is VOLUME_NOT_WRITABLE
    assert [await state(ports, one) for one in media[2:]] == ["live", "live"]


async def test_what_took_a_files_place_is_never_followed(ports: Ports, place: Place, tmp_path: Path) -> None:
    """A link goes, what it leads to stays; a folder stays as it is, and the media is gone all the same."""
    linked, folder = await old(ports, b"1"), await old(ports, b"2")
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    shared_folder = place.data_dir / "media" / "shared"
    (shared_folder / linked.id).unlink()
    (shared_folder / linked.id).symlink_to(outside)
    (shared_folder / folder.id).unlink()
    (shared_folder / folder.id).mkdir()
    (shared_folder / folder.id / "inside").write_bytes(b"x")
    assert await clean(ports) == 2
    assert [await state(ports, one) for one in (linked, folder)] == ["deleted", "deleted"]
    assert outside.read_bytes() == b"precious"
    assert (shared_folder / folder.id / "inside").exists()
    assert not (shared_folder / linked.id).is_symlink()


async def test_renditions_of_a_sent_media_live_and_die_with_it(ports: Ports, place: Place) -> None:
    media = await old(ports, b"1")
    made = Rendition("r1", media.sha256, "document", "p", "r1", "text/plain", 1, media.sha256, os.urandom(32))
    (place.data_dir / "media" / "renditions" / "r1").write_bytes(b"1")
    await handed(ports, media, made=made)
    await ports.db.write(lambda tx: renditions.went_out(tx, "r1"))
    await ports.db.write(lambda tx: tx.run("UPDATE rendition SET spare_at = spare_at - 9999"))
    assert await retention.evict(ports, 0) == 0
    twin = await upload(ports, b"1")
    assert await clean(ports) == 1
    assert (place.data_dir / "media" / "renditions" / "r1").exists()  # another media has the same bytes
    await media_node.delete(ports, twin.id)
    assert not (place.data_dir / "media" / "renditions" / "r1").exists()


async def test_renditions_that_have_not_gone_out_are_bounded_and_the_oldest_go_first(ports: Ports, place: Place) -> None:
    folder = place.data_dir / "media" / "renditions"
    for number in range(4):
        media = await upload(ports, f"{number}".encode())
        made = Rendition(f"r{number}", media.sha256, "image", "p", f"r{number}", "image/jpeg", 100, media.sha256, os.urandom(32))
        await ports.db.write(partial(renditions.add, made=made, facts=Facts("jpeg", "image/jpeg")))
        await ports.db.write(partial(aged, rendition=made, seconds=10_000 - number))
        (folder / f"r{number}").write_bytes(b"x")
    await ports.db.write(lambda tx: renditions.went_out(tx, "r0"))
    waits = await upload(ports, b"1")  # the bytes of r1: an accepted message may be about to use it
    await accepted(ports, waits, "image")
    assert await retention.evict(ports, 300) == 0
    assert await retention.evict(ports, 100) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["r0", "r1", "r3"]
    assert await retention.evict(ports, 0) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["r0", "r1"]


def aged(tx: Tx, rendition: Rendition, seconds: float) -> None:
    tx.run("UPDATE rendition SET spare_at = spare_at - :seconds WHERE id = :id AND spare_at IS NOT NULL", seconds=seconds, id=rendition.id)


async def test_a_deleted_media_waits_for_the_last_message_and_its_bytes_go_then(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"1")
    item = await accepted(ports, media)
    await media_node.delete(ports, media.id)
    with pytest.raises(Fault):
        await reading.open_media(ports, media.id, await ports.db.read(lambda tx: rows.live(tx, media.id)))
    assert shared(place) == [media.id]
    await ports.db.write(lambda tx: messages.failed(tx, item.id))
    assert await media_node.bury(ports) == 1
    assert (shared(place), await state(ports, media)) == ([], "deleted")
