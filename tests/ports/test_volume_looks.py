"""The port Volume: what lies on it, a trial of it, and several files at once."""

import errno
import os
from pathlib import Path

import pytest

from satchel.domain.errors import VOLUME_NOT_WRITABLE
from satchel.volume import Volume

from .volumes import KEY, blocks, parts, published, refused

pytestmark = pytest.mark.anyio


async def test_entries_are_every_file_with_its_size_and_age(volume: Volume, root: Path) -> None:
    for number in range(1200):
        (root / "renditions" / str(number)).write_bytes(b"x" * (number % 3))
    os.utime(root / "renditions" / "7", (1000, 1000))
    found = [entry async for batch in volume.entries("renditions") for entry in batch]
    assert {entry.name: entry.size for entry in found} == {str(number): number % 3 for number in range(1200)}
    assert [entry.name for entry in found if entry.changed_at == 1000] == ["7"]
    assert [batch async for batch in volume.entries("shared")] == []


async def test_part_files_are_entries_and_their_folder_may_be_tidied_away(volume: Volume, root: Path) -> None:
    async with volume.scratch() as scratch:
        scratch.begin().write_bytes(b"12")
        assert [entry.size for entry in await anext(volume.entries("parts"))] == [2]
    (root / "parts").rmdir()
    assert [batch async for batch in volume.entries("parts")] == []


async def test_a_trial_says_how_long_a_flush_took_and_leaves_nothing(volume: Volume, root: Path) -> None:
    (root / "parts").rmdir()
    trial = await volume.try_out()
    assert (trial.flush > 0, trial.kept, parts(root)) == (True, True, [])


async def test_a_trial_of_what_cannot_be_written_to_says_so(volume: Volume, root: Path) -> None:
    (root / "parts").rmdir()
    (root / "parts").write_bytes(b"in the way")
    async with refused(VOLUME_NOT_WRITABLE):
        await volume.try_out()


async def test_several_stamps_are_those_of_each(volume: Volume, root: Path) -> None:
    keys = [f"shared/{number}" for number in range(4)]
    for key in keys[:2]:
        await volume.put(key, blocks(key.encode()))
    (root / keys[2]).symlink_to(root / keys[0])
    (root / "shared" / "folder").mkdir()
    found = await volume.stamps([*keys, "shared/folder"])
    assert found == [await volume.stat(keys[0]), await volume.stat(keys[1]), None, None, None]
    assert None not in found[:2]
    assert await volume.stamps([]) == []


async def test_several_files_are_removed_and_neither_links_followed_nor_folders_entered(volume: Volume, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    await volume.put(KEY, blocks(b"x"))
    (root / "shared" / "link").symlink_to(outside)
    (root / "shared" / "folder").mkdir()
    (root / "shared" / "folder" / "inside").write_bytes(b"x")
    assert await volume.remove([KEY, "shared/link", "shared/folder", "shared/none"]) == {}
    assert published(root) == ["folder"]
    assert outside.exists() and (root / "shared" / "folder" / "inside").exists()


async def test_what_cannot_be_removed_is_named_with_the_reason(volume: Volume, root: Path) -> None:
    await volume.put(KEY, blocks(b"x"))
    (root / "renditions").rmdir()
    (root / "renditions").write_bytes(b"in the way")
    assert await volume.remove(["renditions/r", KEY]) == {"renditions/r": os.strerror(errno.ENOTDIR)}
    assert published(root) == []


async def test_a_listing_tells_files_from_what_took_their_place(volume: Volume, root: Path) -> None:
    await volume.put(KEY, blocks(b"x"))
    (root / "shared" / "link").symlink_to(root / KEY)
    (root / "shared" / "folder").mkdir()
    os.mkfifo(root / "shared" / "fifo")
    found = {entry.name: entry.plain async for batch in volume.entries("shared") for entry in batch}
    assert found == {"0b5c": True, "link": False, "folder": False, "fifo": False}
