"""The port Volume: the marker, and a volume that is away, another one, or comes and goes."""

import asyncio
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from satchel.domain.errors import Fault, Later
from satchel.volume import Volume
from satchel.volume.folder import Folder
from satchel.volume.marker import MARKER

from .volumes import (
    INSTANCE,
    KEY,
    blocks,
    content,
    parts,
    published,
    put_off,
    unmounted,
)

pytestmark = pytest.mark.anyio
EXCHANGE = 2
"""Of renameat2: each takes the place of the other, with no moment in between."""


@pytest.mark.timeout(10)
async def test_a_fifo_in_the_place_of_the_marker_is_not_waited_for(volume: Folder, root: Path) -> None:
    (root / MARKER).unlink()
    os.mkfifo(root / MARKER)
    assert not await volume.present()
    async with put_off():
        await volume.put(KEY, blocks(b"x"))
    async with put_off():
        await content(volume)


async def test_a_fresh_folder_is_marked_and_the_next_life_knows_it(root: Path) -> None:
    assert Folder(root, INSTANCE).marker.found() is None
    Folder(root, INSTANCE).settle_in("known", first=True)
    assert Folder(root, "another.0").marker.found() == "known"
    for first in (True, False):
        again = Folder(root, "another.0")
        again.settle_in("known", first=first)
        assert await again.present()


async def test_an_empty_folder_is_not_marked_again_in_a_later_life(volume: Folder, root: Path) -> None:
    unmounted(root)
    later = Folder(root, INSTANCE)
    later.settle_in("known", first=False)
    assert not await later.present()
    assert list(root.iterdir()) == []
    async with put_off():
        await later.put(KEY, blocks(b"x"))


@pytest.mark.parametrize("left", ["shared", "parts/.7d0c.host.0badcafe.web.9.part", "lost+found"])
async def test_what_mkfs_or_an_interrupted_first_start_left_is_still_fresh(root: Path, left: str) -> None:
    (root / left).mkdir(parents=True)
    folder = Folder(root, INSTANCE)
    folder.settle_in("known", first=True)
    assert await folder.present()
    assert (await folder.put(KEY, blocks(b"x"))).size == 1


@pytest.mark.parametrize("left", ["holiday.jpg", "shared/7d0c", "renditions/7d0c"])
async def test_a_folder_with_files_and_no_marker_is_not_taken_over(root: Path, left: str) -> None:
    (root / left).parent.mkdir(parents=True)
    (root / left).write_bytes(b"mine")
    folder = Folder(root, INSTANCE)
    folder.settle_in("known", first=True)
    assert not await folder.present()
    assert not (root / MARKER).exists()
    async with put_off():
        await folder.put(KEY, blocks(b"x"))


def another_volume(root: Path) -> None:
    unmounted(root)
    Folder(root, "another.0").settle_in("another", first=True)


def no_folder(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))


def a_file_instead(root: Path) -> None:
    no_folder(root)
    root.write_bytes(b"")


@pytest.mark.parametrize("befall", [unmounted, another_volume, no_folder, a_file_instead], ids=lambda befall: befall.__name__)
async def test_nothing_is_gone_and_nothing_is_written_while_the_volume_is_away(
    volume: Folder, root: Path, befall: Callable[[Path], None]
) -> None:
    await volume.put(KEY, blocks(b"x"))
    befall(root)
    before = sorted(root.rglob("*"))
    assert not await volume.present()
    async with put_off():
        await content(volume)
    async with put_off():
        await volume.stat(KEY)
    async with put_off(), volume.local(KEY):
        pass
    async with put_off():
        await volume.put("shared/new", blocks(b"x"))
    async with put_off():
        await volume.delete(KEY)
    async with put_off(), volume.scratch() as scratch:
        scratch.begin()
    async with put_off(), volume.aside(blocks(b"x")):
        pass
    async with put_off():
        volume.spool(1)
    async with put_off():
        await volume.try_out()
    async with put_off():
        await anext(volume.entries("shared"))
    assert sorted(root.rglob("*")) == before


async def test_a_volume_that_comes_back_is_the_one_we_know(volume: Folder, root: Path) -> None:
    await volume.put(KEY, blocks(b"x"))
    unmounted(root)
    assert not await volume.present()
    root.rmdir()
    root.with_name("elsewhere").rename(root)
    assert await content(volume) == b"x"


async def test_a_volume_that_goes_away_during_a_put_is_missing_and_not_broken(volume: Volume, root: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        unmounted(root)
        yield b"x" * 300_000

    async with put_off():
        await volume.put(KEY, body())
    assert list(root.iterdir()) == []


async def test_a_marker_that_cannot_be_read_is_a_volume_that_is_away(volume: Folder, root: Path) -> None:
    (root / MARKER).unlink()
    (root / MARKER).mkdir()
    assert not await volume.present()
    async with put_off():
        await volume.put(KEY, blocks(b"x"))


async def test_settling_in_sweeps_our_own_part_files_and_stale_ones_of_others(volume: Folder, root: Path) -> None:
    await volume.put(KEY, blocks(b"kept"))
    old = time.time() - 3_700
    names = {
        "mine": f".1111.{INSTANCE}.part",
        "fresh": ".2222.host.0badcafe.core.0.part",
        "stale": ".3333.host.0badcafe.core.0.part",
        "alike": f".4444.other-{INSTANCE}.part",
        "suffix": f".5555.other.{INSTANCE}.part",
        "no part": "notes.txt",
    }
    for name in names.values():
        (root / "parts" / name).write_bytes(b"x")
    in_shared = root / "shared" / f".6666.{INSTANCE}.part"
    in_shared.write_bytes(b"x")
    for path in (root / "parts" / names["stale"], in_shared, root / KEY):
        os.utime(path, (old, old))
    Folder(root, INSTANCE).settle_in("known", first=False)
    assert {path.name for path in parts(root)} == set(names.values()) - {names["mine"], names["stale"]}
    assert in_shared.exists()
    assert await content(volume) == b"kept"


async def test_a_volume_that_is_not_ours_is_not_swept(volume: Folder, root: Path) -> None:
    part = root / "parts" / f".1111.{INSTANCE}.part"
    part.write_bytes(b"x")
    Folder(root, INSTANCE).settle_in("another", first=True)
    assert part.exists()


@contextlib.asynccontextmanager
async def flickering(root: Path) -> AsyncIterator[None]:
    """The volume gives way to an empty folder and comes back, all the time, with no moment between the two."""
    over, elsewhere = threading.Event(), root.parent / "elsewhere"
    elsewhere.mkdir()

    def flip() -> None:
        while not over.is_set():
            for _ in range(2):  # the empty folder comes, and goes
                assert ctypes.CDLL(None).renameat2(-100, bytes(root), -100, bytes(elsewhere), EXCHANGE) == 0

    flipping = asyncio.create_task(asyncio.to_thread(flip))
    try:
        yield
    finally:
        over.set()
        await flipping


async def test_a_delete_that_succeeds_has_removed_the_file_though_the_mount_comes_and_goes(volume: Volume, root: Path) -> None:
    names, told = [f"shared/{number}" for number in range(3000)], []
    for name in names:
        (root / name).write_bytes(b"x")
    async with flickering(root):
        for name in names:
            with contextlib.suppress(Later):
                await volume.delete(name)
                told.append(name)
    assert told
    assert [name for name in told if (root / name).exists()] == []


@pytest.mark.parametrize("furnished", [False, True], ids=["empty", "with-folders"])
async def test_a_put_that_succeeds_is_on_the_volume_though_the_mount_comes_and_goes(volume: Volume, root: Path, furnished: bool) -> None:
    told = []
    async with flickering(root):
        for name in (f"shared/{number}" for number in range(1000)):
            if furnished:
                for folder in ("shared", "parts"):
                    with contextlib.suppress(FileExistsError):  # the mount came back between the two looks of mkdir
                        (root / folder).mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(Later, Fault):
                await volume.put(name, blocks(b"x"), 1)
                told.append(name)
    assert told
    assert [name for name in told if not (root / name).exists()] == []


async def test_without_the_marker_there_are_no_stamps_and_nothing_is_removed(volume: Volume, root: Path) -> None:
    await volume.put(KEY, blocks(b"x"))
    (root / MARKER).unlink()
    async with put_off():
        await volume.stamps([KEY])
    async with put_off():
        await volume.remove([KEY])
    async with put_off():
        await volume.require_removal()
    assert published(root) == ["0b5c"]
