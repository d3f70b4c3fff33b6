"""A message's ends that no phone sees: given up after a day, over its ceiling, refused once for many."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from satchel.db import Tx, messages, renditions
from satchel.db import media as media_rows
from satchel.domain.errors import MEDIA_CHANGED, MEDIA_UNREADABLE, VOLUME_FULL, Fault, Later
from satchel.domain.limits import ENCRYPTED_BYTES, GIVE_UP_SENDING, WAIT_FOR_ROOM
from satchel.domain.media import Media, Refusal, Rendition
from satchel.domain.messages import Outgoing
from satchel.flows import LeaseLost, Ports, copies, media_node, prepare, reading, send
from satchel.flows.steps import Timeline
from satchel.postprocess import jpeg

from ..conftest import Place
from .conftest import Held, settled

pytestmark = pytest.mark.anyio
TO = "12025550111"
SMALL_PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==")


async def body_of(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def upload(ports: Ports, data: bytes, mime: str = "text/plain") -> Media:
    uploaded = await media_node.upload(ports, body_of(data), media_node.Upload(mime, "admin"))
    media = await ports.db.read(lambda tx: media_rows.live(tx, uploaded.id))
    assert media is not None
    return media


async def accepted(ports: Ports, media: Media, kind: str = "document") -> messages.Waiting:
    await send.accept(ports, Outgoing(TO, kind, media.id))
    item = await ports.db.read(lambda tx: messages.head(tx, messages.lane_of(TO)))
    assert item is not None
    return item


async def settle(ports: Ports, item: messages.Waiting) -> None:
    await settled(ports, await send.deliver(ports, item, Held()))


async def state_of(ports: Ports, item: messages.Waiting) -> tuple[str, int, float | None]:
    def look(tx: Tx) -> tuple[str, int, float | None]:
        row = tx.one("SELECT state, attempts, not_before - :now FROM message WHERE id = :id", id=item.id)
        assert row is not None
        return row[0], row[1], row[2]

    return await ports.db.read(look)


async def told(ports: Ports) -> list[Any]:
    return [msgspec.json.decode(row[0]) for row in await ports.db.read(lambda tx: tx.all("SELECT body FROM callback ORDER BY seq"))]


async def test_while_the_network_is_down_the_waits_double_up_to_15_seconds(ports: Ports) -> None:
    item = await accepted(ports, await upload(ports, b"x"))
    waits = []
    for attempts in range(7):
        await settle(ports, _with(item, attempts))
        waits.append((await state_of(ports, item))[2])
    assert [pytest.approx(wait, abs=0.3) for wait in waits] == [0.5, 1, 2, 4, 8, 15, 15]


async def test_after_a_day_the_message_fails_with_408(ports: Ports) -> None:
    item = await accepted(ports, await upload(ports, b"x"))
    await settle(ports, _with(item, 100, time.time() - GIVE_UP_SENDING - 1))
    assert (await state_of(ports, item))[0] == "failed"
    (body,) = await told(ports)
    assert (body["statuses"][0]["status"], body["statuses"][0]["errors"][0]["code"]) == ("failed", 408)


async def test_a_bug_is_tried_for_a_day_and_then_fails_with_1000(ports: Ports) -> None:
    item = await accepted(ports, await upload(ports, b"x"))
    await ports.db.write(send.put_off(item, ValueError("ours"), Timeline("test")))
    assert (await state_of(ports, item))[:2] == ("waiting", 1)
    await ports.db.write(send.put_off(_with(item, 9, time.time() - GIVE_UP_SENDING - 1), ValueError("ours"), Timeline("test")))
    (body,) = await told(ports)
    assert body["statuses"][0]["errors"][0]["code"] == 1000


async def test_a_lost_lease_stops_before_anything_leaves(ports: Ports) -> None:
    class Lost:
        def check(self) -> None:
            raise LeaseLost("msg:1")

    item = await accepted(ports, await upload(ports, b"x"))
    with pytest.raises(LeaseLost):
        await send.deliver(ports, item, Lost())


async def test_a_message_settled_twice_is_told_once(ports: Ports) -> None:
    media = await upload(ports, b"not a picture")
    await prepare.ensure(ports, media, "image", Timeline("test"))
    settlement = await send.deliver(ports, await accepted(ports, media, "image"), Held())
    assert [await settled(ports, settlement), await settled(ports, settlement)] == [True, False]
    assert len(await told(ports)) == 1


@pytest.mark.parametrize(("media_type", "plain"), [("image", 5_242_863), ("document", 104_857_583)])
async def test_the_ceiling_is_exact_on_the_encrypted_size(ports: Ports, media_type: str, plain: int) -> None:
    media = await upload(ports, b"x")
    fitting = Rendition("r", media.sha256, media_type, "p", None, "x/y", plain, media.sha256, bytes(32))
    with pytest.raises(Exception, match=r"does not answer|changed"):  # it went on to the file and the network
        await copies.ensure(ports, fitting, media, Held())
    over = Rendition("r", media.sha256, media_type, "p", None, "x/y", plain + 1, media.sha256, bytes(32))
    with pytest.raises(Exception, match=f"the limit for {media_type} is {ENCRYPTED_BYTES[media_type]} bytes") as caught:
        await copies.ensure(ports, over, media, Held())
    assert caught.value.situation.code == 1014  # type: ignore[attr-defined]


async def test_a_refusal_is_kept_and_a_rendition_keeps_its_key(ports: Ports, photo: Path) -> None:
    text, picture = await upload(ports, b"text"), await upload(ports, photo.read_bytes(), "image/jpeg")
    refused = [await prepare.ensure(ports, text, "image", Timeline("test")) for _ in range(2)]
    assert isinstance(refused[0], Refusal)
    assert refused[0] == refused[1]
    made = [await prepare.ensure(ports, picture, "image", Timeline("test")) for _ in range(2)]
    assert isinstance(made[0], Rendition)
    assert made[0] == made[1]
    assert repr(made[0].media_key) not in repr(made[0])


async def test_p09_a_picture_without_metadata_goes_out_as_the_file_it_is(ports: Ports, place: Place, photo: Path) -> None:
    bare = await upload(ports, jpeg.strip(photo.read_bytes()), "image/jpeg")
    rendition = await prepare.ensure(ports, bare, "image", Timeline("here"))
    assert isinstance(rendition, Rendition)
    assert (rendition.file, rendition.sha256, rendition.mime) == (None, bare.sha256, "image/jpeg")
    assert list((place.data_dir / "media" / "renditions").iterdir()) == []


async def copied(ports: Ports, photo: Path) -> tuple[Media, Rendition]:
    """A picture without metadata of which an earlier version had made a file of its own, which is gone."""
    bare = await upload(ports, jpeg.strip(photo.read_bytes()), "image/jpeg")
    made = await prepare.ensure(ports, bare, "image", Timeline("test"))
    assert isinstance(made, Rendition)
    await ports.db.write(lambda tx: tx.run("UPDATE rendition SET file = id, spare_at = :now WHERE id = :id", id=made.id))
    return bare, replace(made, file=made.id)


async def test_a_lost_copy_of_a_picture_without_metadata_is_the_picture_itself_from_then_on(ports: Ports, photo: Path) -> None:
    bare, lost = await copied(ports, photo)
    again = await prepare.ensure(ports, bare, "image", Timeline("test"))
    assert again == await prepare.ensure(ports, bare, "image", Timeline("test")) == replace(lost, file=None)
    assert await ports.db.read(lambda tx: renditions.by_id(tx, lost.id)) == again
    assert await ports.db.read(lambda tx: renditions.spares(tx, before=time.time() + 60)) == []


async def test_phones_get_a_picture_without_metadata_whose_copy_is_lost(ports: Ports, photo: Path) -> None:
    bare, lost = await copied(ports, photo)
    assert await prepare.restore(ports, lost, bare) == replace(lost, file=None)


async def test_a_rendition_removed_by_hand_is_made_again_under_the_same_key(ports: Ports, photo: Path) -> None:
    picture = await upload(ports, photo.read_bytes(), "image/jpeg")
    first = await prepare.ensure(ports, picture, "image", Timeline("test"))
    assert isinstance(first, Rendition)
    await ports.volume.delete(f"renditions/{first.file}")
    again = await prepare.ensure(ports, picture, "image", Timeline("test"))
    assert isinstance(again, Rendition)
    assert (again.id, again.media_key, again.sha256) == (first.id, first.media_key, first.sha256)
    assert await ports.volume.stat(f"renditions/{again.file}") is not None


async def _grown(ports: Ports, picture: Media) -> Rendition:
    """A rendition that was made by an earlier library, of other bytes than would come out now, and whose file is gone."""
    made = await prepare.ensure(ports, picture, "image", Timeline("test"))
    assert isinstance(made, Rendition)
    await ports.db.write(lambda tx: tx.run("UPDATE rendition SET sha256 = 'other' WHERE id = :id", id=made.id))
    await ports.volume.delete(f"renditions/{made.file}")
    return made


async def test_a_rendition_that_comes_out_as_other_bytes_is_another_and_the_old_one_stays_lost(ports: Ports, photo: Path) -> None:
    picture = await upload(ports, photo.read_bytes(), "image/jpeg")
    first = await _grown(ports, picture)
    again = await prepare.ensure(ports, picture, "image", Timeline("test"))
    assert isinstance(again, Rendition)
    assert again.id != first.id and again.media_key != first.media_key
    assert await ports.volume.stat(f"renditions/{again.file}") is not None
    assert await prepare.ensure(ports, picture, "image", Timeline("test")) == again
    row = await ports.db.read(lambda tx: tx.one("SELECT file, media_key FROM rendition WHERE id = :id", id=first.id))
    assert row == (first.file, base64.b64encode(first.media_key).decode())  # for the phones it was sent to


async def test_two_that_find_a_lost_rendition_come_to_one_new_one(ports: Ports, place: Place, photo: Path) -> None:
    picture = await upload(ports, photo.read_bytes(), "image/jpeg")
    await _grown(ports, picture)
    one, two = await asyncio.gather(*(prepare.ensure(ports, picture, "image", Timeline("test")) for _ in range(2)))
    assert one == two
    assert isinstance(one, Rendition)
    assert [path.name for path in (place.data_dir / "media" / "renditions").iterdir()] == [one.file]


async def test_a_lost_rendition_of_what_is_refused_by_now_is_a_refusal(ports: Ports, photo: Path) -> None:
    picture = await upload(ports, photo.read_bytes(), "image/jpeg")
    await _grown(ports, picture)
    broken = Fault(MEDIA_UNREADABLE, "broken, says the library of today")

    class Stricter:
        async def process(self, *given: Any, **named: Any) -> Any:
            raise broken

    made = await prepare.ensure(replace(ports, transcoder=Stricter()), picture, "image", Timeline("test"))  # type: ignore[arg-type]
    assert isinstance(made, Refusal)
    assert await prepare.ensure(ports, picture, "image", Timeline("test")) == made


async def test_a_file_swapped_while_it_is_looked_into_is_looked_at_again(ports: Ports, place: Place, photo: Path) -> None:
    picture = await upload(ports, photo.read_bytes(), "image/jpeg")

    class Swapping:
        async def process(self, *given: Any, **named: Any) -> Any:
            _swap(place, picture, SMALL_PNG)
            return await ports.transcoder.process(*given, **named)

    with pytest.raises(Later) as caught:
        await prepare.ensure(replace(ports, transcoder=Swapping()), picture, "image", Timeline("test"))  # type: ignore[arg-type]
    assert caught.value.situation is MEDIA_CHANGED
    now = await reading.as_it_lies(ports, picture)
    made = await prepare.ensure(ports, now, "image", Timeline("test"))
    assert isinstance(made, Rendition)
    assert made.mime == "image/png"


async def test_a_file_swapped_before_it_is_encrypted_is_looked_at_again(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"x")
    item = await accepted(ports, media)

    class Swapped:
        name = "sandbox"

        async def put(self, *given: Any) -> Any:
            _swap(place, media, b"other")
            raise Fault(MEDIA_CHANGED, "The bytes are not those of the rendition.")

    await settled(ports, await send.deliver(replace(ports, upstream=Swapped()), item, Held()))  # type: ignore[arg-type]
    assert (await state_of(ports, item))[:2] == ("waiting", 1)


async def test_a_file_whose_bytes_are_damaged_under_an_unchanged_stamp_fails_the_send(ports: Ports) -> None:
    item = await accepted(ports, await upload(ports, b"x"))

    class Strict:
        name = "sandbox"

        async def put(self, *given: Any) -> Any:
            raise Fault(MEDIA_CHANGED, "The bytes are not those of the rendition.")

    await settled(ports, await send.deliver(replace(ports, upstream=Strict()), item, Held()))  # type: ignore[arg-type]
    assert (await state_of(ports, item))[0] == "failed"


def _swap(place: Place, media: Media, data: bytes) -> None:
    """Put another file in the place of a media's, as a program does that writes aside and renames."""
    shared = place.data_dir / "media" / "shared"
    (shared / "aside").write_bytes(data)
    (shared / "aside").replace(shared / media.id)


async def test_the_same_bytes_uploaded_twice_share_a_rendition_until_the_last_is_deleted(ports: Ports, photo: Path) -> None:
    one, two = [await upload(ports, photo.read_bytes(), "image/jpeg") for _ in range(2)]
    first, second = [await prepare.ensure(ports, media, "image", Timeline("test")) for media in (one, two)]
    assert first == second
    assert isinstance(first, Rendition)
    await media_node.delete(ports, one.id)
    assert await ports.volume.stat(f"renditions/{first.file}") is not None
    await media_node.delete(ports, two.id)
    assert await ports.volume.stat(f"renditions/{first.file}") is None


async def test_a_picture_changed_by_hand_does_not_speak_for_others_with_its_old_bytes(ports: Ports, place: Place, photo: Path) -> None:
    one = await upload(ports, photo.read_bytes(), "image/jpeg")
    path = place.data_dir / "media" / "shared" / one.id
    for bytes_ in (b"text now", photo.read_bytes()[:1000], SMALL_PNG):
        path.write_bytes(bytes_)
        with pytest.raises(Later) as caught:
            await prepare.ensure(ports, one, "image", Timeline("test"))
        assert caught.value.situation is MEDIA_CHANGED
    assert list((place.data_dir / "media" / "renditions").iterdir()) == []
    other = await upload(ports, photo.read_bytes(), "image/jpeg")
    made = await prepare.ensure(ports, other, "image", Timeline("test"))
    assert isinstance(made, Rendition)
    assert made.mime == "image/jpeg"


async def test_a_full_volume_is_waited_for_and_then_told_with_1005(ports: Ports) -> None:
    item = await accepted(ports, await upload(ports, b"x"))
    waiting = replace(item, accepted_at=time.time() - WAIT_FOR_ROOM + 60)
    late = replace(item, accepted_at=time.time() - WAIT_FOR_ROOM - 1)
    full = replace(ports, volume=_Full(ports.volume))
    await settled(ports, await send.deliver(full, waiting, Held()))
    assert (await state_of(ports, item))[0] == "waiting"
    await settled(ports, await send.deliver(full, late, Held()))
    (body,) = await told(ports)
    assert body["statuses"][0]["errors"][0]["code"] == 1005


class _Full:
    """The real volume on a disk without room, which a test without root cannot make."""

    def __init__(self, volume: Any) -> None:
        self._volume = volume

    def __getattr__(self, name: str) -> Any:
        return getattr(self._volume, name)

    def local(self, key: str) -> Any:
        raise Fault(VOLUME_FULL, "The media volume is full.")


async def test_many_deletes_of_the_same_bytes_at_once_leave_no_rendition(ports: Ports, place: Place, photo: Path) -> None:
    several = [await upload(ports, photo.read_bytes(), "image/jpeg") for _ in range(6)]
    await prepare.ensure(ports, several[0], "image", Timeline("test"))
    await asyncio.gather(*(media_node.delete(ports, media.id) for media in several))
    assert list((place.data_dir / "media" / "renditions").iterdir()) == []
    assert await ports.db.read(lambda tx: tx.one("SELECT count(*) FROM rendition")) == (0,)


async def test_a_deleted_media_stays_for_the_messages_that_were_accepted_before(ports: Ports) -> None:
    media = await upload(ports, b"x")
    item = await accepted(ports, media)
    await media_node.delete(ports, media.id)
    assert await ports.volume.stat(f"shared/{media.id}") is not None
    await ports.db.write(lambda tx: messages.failed(tx, item.id))
    await media_node.bury(ports)
    assert await ports.volume.stat(f"shared/{media.id}") is None


def _with(item: messages.Waiting, attempts: int, accepted_at: float | None = None) -> messages.Waiting:
    return replace(item, attempts=attempts, accepted_at=accepted_at or item.accepted_at)


async def test_a_file_changed_by_hand_goes_out_as_it_is_now(ports: Ports, place: Place, photo: Path) -> None:
    one, other = [await upload(ports, photo.read_bytes(), "image/jpeg") for _ in range(2)]
    before = await prepare.ensure(ports, one, "image", Timeline("test"))
    (place.data_dir / "media" / "shared" / one.id).write_bytes(SMALL_PNG)
    now = await reading.as_it_lies(ports, one)
    assert (now.size, now.id) == (len(SMALL_PNG), one.id)
    after = await prepare.ensure(ports, now, "image", Timeline("test"))
    assert isinstance(before, Rendition)
    assert isinstance(after, Rendition)
    assert (before.mime, after.mime) == ("image/jpeg", "image/png")
    assert before.media_key != after.media_key
    assert await prepare.ensure(ports, other, "image", Timeline("test")) == before
    assert await ports.db.read(lambda tx: media_rows.live(tx, one.id)) == now


async def test_a_file_that_is_being_written_to_is_looked_at_later(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"x")
    path = place.data_dir / "media" / "shared" / media.id
    path.write_bytes(b"y" * 2_000_000)

    class Growing:
        def __getattr__(self, name: str) -> Any:
            return getattr(ports.volume, name)

        async def stat(self, key: str) -> str | None:
            with path.open("ab") as file:
                file.write(b"more")
            return await ports.volume.stat(key)

    with pytest.raises(Later):
        await reading.as_it_lies(replace(ports, volume=Growing()), media)
    assert (await reading.as_it_lies(ports, media)).size == path.stat().st_size
