"""The port Volume: scratch, bodies set aside and spools, and folders for them that were tidied away."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from satchel.domain.errors import UPLOAD_BROKEN_OFF, VOLUME_FULL, VOLUME_NOT_WRITABLE, VOLUME_UNREADABLE, Fault, Later
from satchel.volume import Volume
from satchel.volume.marker import MARKER

from .volumes import KEY, blocks, parts, put_off, refused

pytestmark = pytest.mark.anyio


async def test_scratch_is_a_free_path_and_what_is_there_at_the_end_is_removed(volume: Volume, root: Path) -> None:
    async with volume.scratch() as scratch:
        assert not scratch.path.exists()
        scratch.begin().write_bytes(b"x")
    with pytest.raises(KeyError):
        async with volume.scratch() as scratch:
            scratch.begin().write_bytes(b"x")
            raise KeyError
    async with volume.scratch():
        pass
    assert parts(root) == []


async def test_what_was_written_to_scratch_is_published_as_it_is(volume: Volume, root: Path) -> None:
    async with volume.scratch() as scratch:
        scratch.begin().write_bytes(b"x" * 300_000)
        scratch.path.chmod(0o600)
        before = scratch.path.stat().st_ino
        stamp = await volume.take("renditions/1", scratch)
    published = root / "renditions" / "1"
    assert (published.read_bytes(), published.stat().st_mode & 0o777) == (b"x" * 300_000, 0o644)
    assert (published.stat().st_ino, await volume.stat("renditions/1")) == (before, stamp)
    assert parts(root) == []


async def test_scratch_asks_for_room_and_publishing_leaves_the_reserve(volume: Volume, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with volume.scratch() as scratch:
        scratch.begin().write_bytes(b"x")
        monkeypatch.setattr("satchel.domain.room.reserve", lambda total: 1 << 60)
        async with refused(VOLUME_FULL):
            await volume.take("renditions/1", scratch)
    async with refused(VOLUME_FULL), volume.scratch() as scratch:
        scratch.begin()
    assert (parts(root), list((root / "renditions").iterdir())) == ([], [])


async def test_scratch_is_published_on_our_volume_only(volume: Volume, root: Path) -> None:
    async with volume.scratch() as scratch:
        scratch.begin().write_bytes(b"x")
        (root / MARKER).rename(root / "elsewhere")
        async with put_off():
            await volume.take("renditions/1", scratch)
    assert (parts(root), list((root / "renditions").iterdir())) == ([], [])


async def test_a_body_aside_lies_at_a_path_for_as_long_as_it_is_needed(volume: Volume, root: Path) -> None:
    async with volume.aside(blocks(b"x" * 300_000, b"y")) as path:
        assert path.read_bytes() == b"x" * 300_000 + b"y"
        assert parts(root) == [path]
    with pytest.raises(KeyError):
        async with volume.aside(blocks(b"x"), 1):
            raise KeyError
    assert parts(root) == []


async def test_a_body_aside_that_breaks_off_or_does_not_fit_leaves_nothing(volume: Volume, root: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise Fault(UPLOAD_BROKEN_OFF, "gone")

    async with refused(VOLUME_FULL), volume.aside(blocks(b"x"), 1 << 60):
        pass
    async with refused(UPLOAD_BROKEN_OFF), volume.aside(breaks()):
        pass
    assert parts(root) == []


async def test_a_spool_has_no_name_and_gives_back_what_was_written(volume: Volume, root: Path) -> None:
    with volume.spool(1) as spool:
        spool.write(b"x" * 100_000)
        assert [path for path in root.rglob("*") if path.is_file() and path.name != MARKER] == []
        spool.seek(0)
        assert spool.read() == b"x" * 100_000


async def test_a_folder_for_part_files_that_was_tidied_away_is_made_again(volume: Volume, root: Path) -> None:
    (root / "parts").rmdir()
    assert (await volume.put(KEY, blocks(b"x"))).size == 1


async def test_a_folder_for_files_that_was_tidied_away_is_made_again(volume: Volume, root: Path) -> None:
    (root / "shared").rmdir()
    assert (await volume.put(KEY, blocks(b"x"))).size == 1


async def test_a_file_in_the_place_of_a_folder_is_said(volume: Volume, root: Path) -> None:
    (root / "shared").rmdir()
    (root / "shared").write_bytes(b"")
    async with refused(VOLUME_NOT_WRITABLE):
        await volume.put(KEY, blocks(b"x"))
    with pytest.raises(Later) as caught:
        await volume.stat(KEY)
    assert caught.value.situation is VOLUME_UNREADABLE
