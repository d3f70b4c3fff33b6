"""Rows held against files and files against rows, while the node runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from satchel.db import Tx, remotes, renditions
from satchel.db import media as rows
from satchel.domain.errors import VOLUME_MISSING, Fault, Later
from satchel.domain.media import Media
from satchel.domain.messages import Outgoing
from satchel.flows import Ports, fsck, media_node, reading, send
from satchel.flows.fsck import Asked

from ..conftest import Place
from .test_reconcile import age
from .test_send import TO, body_of, upload

pytestmark = pytest.mark.anyio
NOW = Asked(repair=True, apart=0.0)
LOOK = Asked()
STRAY = "0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c11"


def path_of(place: Place, media: Media) -> Path:
    return place.data_dir / "media" / "shared" / media.id


async def state(ports: Ports, media: Media) -> str:
    row = await ports.db.read(lambda tx: tx.one("SELECT state FROM media WHERE id = :id", id=media.id))
    return str(row and row[0])


async def sighted(ports: Ports, media: Media, seconds: float) -> None:
    """It was first missed so much longer ago."""
    statement = "UPDATE media SET missed_at = missed_at - :seconds WHERE id = :id"
    assert await ports.db.write(lambda tx: tx.run(statement, id=media.id, seconds=seconds)) == 1


async def read(ports: Ports, media: Media) -> bytes:
    opened = await reading.open_media(ports, media.id, await ports.db.read(lambda tx: rows.live(tx, media.id)))
    try:
        return b"".join([block async for block in opened.content.blocks()])
    finally:
        opened.content.close()


async def test_a_node_in_order_has_no_problems(ports: Ports, place: Place) -> None:
    for number in range(3):
        await upload(ports, f"{number}".encode())
    found = await fsck.check(ports, NOW)
    assert (found.rows, found.files, found.problems) == (3, 3, 0)


async def test_p18_a_file_removed_by_hand_is_marked_once_it_was_missed_twice_ten_minutes_apart(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"one")
    path_of(place, media).unlink()
    for asked in (LOOK, Asked(repair=True)):
        found = await fsck.check(ports, asked)
        assert (found.missing, found.young, found.marked, found.problems) == (1, 1, 0, 1)
        assert await state(ports, media) == "live"
    await sighted(ports, media, 599)
    assert (await fsck.check(ports, Asked(repair=True))).marked == 0
    await sighted(ports, media, 2)
    assert (await fsck.check(ports, LOOK)).marked == 0
    found = await fsck.check(ports, Asked(repair=True))
    assert (found.marked, found.problems, await state(ports, media)) == (1, 0, "missing")
    with pytest.raises(Fault, match="no media"):
        await read(ports, media)
    with pytest.raises(Fault, match="no media"):
        await send.accept(ports, Outgoing(TO, "document", media.id))
    assert (await fsck.check(ports, LOOK)).lost == 1


async def test_a_file_that_is_there_again_in_between_starts_anew(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"one")
    path_of(place, media).rename(place.data_dir / "kept")
    await fsck.check(ports, LOOK)
    await sighted(ports, media, 700)
    (place.data_dir / "kept").rename(path_of(place, media))
    assert (await fsck.check(ports, LOOK)).missing == 0
    path_of(place, media).unlink()
    assert (await fsck.check(ports, Asked(repair=True))).young == 1


@pytest.mark.parametrize("way", ["fsck", "read", "send"])
async def test_p18_the_same_bytes_back_under_the_name_make_it_live_again(ports: Ports, place: Place, way: str) -> None:
    media = await upload(ports, b"one")
    path_of(place, media).unlink()
    await fsck.check(ports, NOW)
    assert await state(ports, media) == "missing"
    path_of(place, media).write_bytes(b"two")
    assert (await fsck.check(ports, NOW)).differs == 1
    with pytest.raises(Fault):
        await read(ports, media)
    path_of(place, media).write_bytes(b"one")
    if way == "fsck":
        assert (await fsck.check(ports, LOOK)).problems == 1
        assert (await fsck.check(ports, NOW)).revived == 1
    elif way == "read":
        assert await read(ports, media) == b"one"
    else:
        await send.accept(ports, Outgoing(TO, "document", media.id))
    assert (await state(ports, media), await read(ports, media)) == ("live", b"one")


async def test_a_missing_media_can_be_deleted_and_then_never_comes_back(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"one")
    path_of(place, media).unlink()
    await fsck.check(ports, NOW)
    await media_node.delete(ports, media.id)
    path_of(place, media).write_bytes(b"one")
    await fsck.check(ports, NOW)
    assert await state(ports, media) == "deleted"


async def test_more_than_one_percent_missing_is_for_a_person_to_look_at(ports: Ports, place: Place) -> None:
    media = [await upload(ports, f"{number}".encode()) for number in range(12)]
    for one in media[:11]:
        path_of(place, one).unlink()
    found = await fsck.check(ports, NOW)
    assert (found.missing, found.marked, len(found.held_back)) == (11, 0, 1)
    assert "11 of 12 media have no file" in found.held_back[0]
    assert (await fsck.check(ports, replace(NOW, many=True))).marked == 11


async def test_without_the_marker_nothing_is_judged(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"one")
    path_of(place, media).unlink()
    (place.data_dir / "media" / ".satchel-volume").unlink()
    with pytest.raises(Later) as put_off:
        await fsck.check(ports, replace(NOW, many=True))
    assert put_off.value.situation is VOLUME_MISSING
    assert await ports.db.read(lambda tx: tx.one("SELECT state, missed_at FROM media")) == ("live", None)


async def test_a_volume_that_disappears_in_the_middle_marks_nothing(ports: Ports, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    media = [await upload(ports, f"{number}".encode()) for number in range(4)]
    first = min(media, key=lambda one: one.id)
    path_of(place, first).unlink()
    monkeypatch.setattr(fsck, "BATCH", 2)
    volume = place.data_dir / "media"

    def away(looked: int) -> None:
        volume.rename(place.data_dir / "unmounted")
        volume.mkdir()  # what is left of a mount: an empty folder

    with pytest.raises(Later):
        await fsck.check(ports, replace(NOW, tell=away))
    assert [await state(ports, one) for one in media] == ["live"] * 4
    assert await ports.db.read(lambda tx: tx.all("SELECT id FROM media WHERE missed_at IS NOT NULL")) == [(first.id,)]


async def test_links_and_folders_in_a_files_place_are_told_and_never_followed(ports: Ports, place: Place, tmp_path: Path) -> None:
    linked, folder = await upload(ports, b"one"), await upload(ports, b"two")
    outside = tmp_path / "outside"
    outside.write_bytes(b"one")
    for media in (linked, folder):
        path_of(place, media).unlink()
    path_of(place, linked).symlink_to(outside)
    path_of(place, folder).mkdir()
    found = await fsck.check(ports, replace(NOW, remove_strays=True))
    assert (found.odd, found.missing, found.marked) == (2, 2, 2)
    assert path_of(place, linked).is_symlink() and path_of(place, folder).is_dir() and outside.exists()


async def test_a_file_without_a_row_stays_unless_its_removal_is_asked_for_by_name(ports: Ports, place: Place) -> None:
    kept = await upload(ports, b"kept")
    stray, young = path_of(place, kept).with_name(STRAY), path_of(place, kept).with_name("young")
    for path in (stray, young):
        path.write_bytes(b"stray")
    age(stray)
    age(path_of(place, kept))
    found = await fsck.check(ports, NOW)
    assert (found.strays, found.stray_bytes, found.problems, stray.exists()) == (1, 5, 1, True)
    found = await fsck.check(ports, replace(NOW, remove_strays=True))
    assert (found.strays_removed, found.problems) == (1, 0)
    assert [path.exists() for path in (stray, young, path_of(place, kept))] == [False, True, True]


async def test_many_files_without_a_row_are_a_database_from_a_backup(ports: Ports, place: Place) -> None:
    media = [await upload(ports, f"{number}".encode()) for number in range(12)]
    await ports.db.write(lambda tx: tx.run("DELETE FROM media"))
    for one in media:
        age(path_of(place, one))
    found = await fsck.check(ports, replace(NOW, remove_strays=True))
    assert (found.strays, found.strays_removed, len(found.held_back)) == (12, 0, 1)
    assert all(path_of(place, one).exists() for one in media)
    assert (await fsck.check(ports, replace(NOW, remove_strays=True, many=True))).strays_removed == 12


async def test_what_a_crash_left_of_a_deletion_is_finished(ports: Ports, place: Place) -> None:
    media = await upload(ports, b"one")
    await ports.db.write(lambda tx: rows.hide(tx, media.id))
    found = await fsck.check(ports, NOW)
    assert (found.buried, found.problems, await state(ports, media)) == (1, 0, "deleted")


async def test_the_files_of_renditions_are_looked_for_and_those_of_nobody_removed(ports: Ports, place: Place) -> None:
    folder = place.data_dir / "media" / "renditions"
    for name in ("sent", "spare"):
        await ports.db.write(lambda tx, name=name: _rendition(tx, name))  # type: ignore[misc]
    (folder / "stray").write_bytes(b"x")
    age(folder / "stray")
    found = await fsck.check(ports, LOOK)
    assert (found.renditions_missing, found.renditions_stray, found.problems) == (2, 1, 3)
    found = await fsck.check(ports, NOW)
    assert (found.renditions_missing, found.swept, found.some["renditions missing"]) == (1, 1, ["sent"])
    assert list(folder.iterdir()) == []


def _rendition(tx: Tx, name: str) -> None:
    tx.run(
        "INSERT INTO rendition (id, source_sha256, media_type, profile, file, mime, size, sha256, facts, spare_at) "
        "VALUES (:id, :id, 'image', 'p', :id, 'image/jpeg', 1, 'x', '{}', CASE WHEN :id = 'spare' THEN :now END)",
        id=name,
    )


async def test_it_runs_beside_uploads_and_deletions(ports: Ports, place: Place) -> None:
    """What changes while it looks is no finding."""
    media = [await upload(ports, f"{number}".encode()) for number in range(6)]
    changed: list[str] = []

    async def change() -> None:
        await media_node.delete(ports, media.pop().id)
        changed.append((await media_node.upload(ports, body_of(b"new"), media_node.Upload("text/plain", "admin"))).id)

    class Busy:
        def __getattr__(self, name: str) -> object:
            return getattr(ports.volume, name)

        async def stamps(self, keys: list[str]) -> list[str | None]:
            await change()  # between the look at the rows and the look at the files
            return await ports.volume.stamps(keys)

    found = await fsck.check(replace(ports, volume=Busy()), NOW)  # type: ignore[arg-type]
    assert (len(changed) > 0, found.missing, found.problems) == (True, 0, 0)


@pytest.mark.parametrize("way", ["read", "delete"])
async def test_a_missing_one_that_somebody_else_sees_to_is_no_finding(ports: Ports, place: Place, way: str) -> None:
    media = await upload(ports, b"one")
    path_of(place, media).rename(place.data_dir / "kept")
    await fsck.check(ports, NOW)
    (place.data_dir / "kept").rename(path_of(place, media))

    class Busy:
        def __getattr__(self, name: str) -> object:
            return getattr(ports.volume, name)

        async def stamps(self, keys: list[str]) -> list[str | None]:
            found = await ports.volume.stamps(keys)
            if keys and await state(ports, media) == "missing":
                await (read(ports, media) if way == "read" else media_node.delete(ports, media.id))
            return found

    found = await fsck.check(replace(ports, volume=Busy()), NOW)  # type: ignore[arg-type]
    assert (found.back, found.differs, found.problems) == (0, 0, 0)
    assert await state(ports, media) == ("live" if way == "read" else "deleted")


async def test_renditions_that_go_while_it_looks_are_no_finding(ports: Ports, place: Place) -> None:
    """One goes with its media, another was made anew under another name."""
    folder = place.data_dir / "media" / "renditions"
    for name in ("sent", "spare"):
        await ports.db.write(lambda tx, name=name: _rendition(tx, name))  # type: ignore[misc]
        (folder / name).write_bytes(b"x")

    class Busy:
        def __getattr__(self, name: str) -> object:
            return getattr(ports.volume, name)

        async def stamps(self, keys: list[str]) -> list[str | None]:
            await ports.db.write(lambda tx: renditions.forget(tx, "sent"))
            await ports.db.write(lambda tx: tx.run("UPDATE rendition SET file = 'anew' WHERE id = 'spare'"))
            (folder / "sent").unlink()
            (folder / "spare").rename(folder / "anew")
            return await ports.volume.stamps(keys)

    found = await fsck.check(replace(ports, volume=Busy()), NOW)  # type: ignore[arg-type]
    assert (found.renditions_missing, found.problems) == (0, 0)
    assert await ports.db.read(lambda tx: tx.all("SELECT file FROM rendition")) == [("anew",)]


async def test_a_received_file_that_was_fetched_once_more_starts_anew(ports: Ports, place: Place) -> None:
    media = Media("0b7c9e52-5a0d-4f0e-9a3a-1d1b7f5b2c12", "text/plain", 3, "0" * 64, "3:1:1")
    await ports.db.write(lambda tx: rows.add(tx, media, None, 0.0, "in"))
    await fsck.check(ports, LOOK)
    await sighted(ports, media, 700)
    assert await ports.db.write(lambda tx: remotes.arrived(tx, media))
    assert await ports.db.write(lambda tx: rows.lose(tx, [media.id], 600.0)) == 0  # of a run that looked just before
    found = await fsck.check(ports, Asked(repair=True))
    assert (found.young, found.marked, await state(ports, media)) == (1, 0, "live")
