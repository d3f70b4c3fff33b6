"""The port Volume, the same suite on every engine; what an engine may do to its own storage is simulated with the real thing."""

import asyncio
import contextlib
import ctypes
import errno
import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from satchel.domain import limits
from satchel.domain.errors import (
    MEDIA_GONE,
    UPLOAD_BROKEN_OFF,
    VOLUME_FULL,
    VOLUME_MISSING,
    VOLUME_NOT_WRITABLE,
    VOLUME_UNREADABLE,
    Fault,
    Later,
    Situation,
)
from satchel.volume import Volume, memory
from satchel.volume.folder import Folder
from satchel.volume.marker import MARKER
from satchel.volume.reading import open_plain

pytestmark = pytest.mark.anyio
KEY = "shared/0b5c"
INSTANCE = "host.0badcafe.web.0"
EXCHANGE = 2
"""Of renameat2: each takes the place of the other, with no moment in between."""
ENGINES: dict[str, Callable[[Path], Folder]] = {"folder": lambda root: Folder(root, INSTANCE)}
ODD_BLOCKS = [
    [],
    [b""],
    [b"x"],
    [b"x" * 262_143, b"y"],
    [b"x" * 262_144],
    [b"x" * 262_145],
    [b"a", b"", b"b" * 700_001],
    [b"z" * 17] * 9_000,
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture(params=ENGINES)
def volume(request: pytest.FixtureRequest, root: Path) -> Folder:
    """A volume that was settled in."""
    made = ENGINES[request.param](root)
    made.settle_in("known", first=True)
    return made


async def blocks(*given: bytes) -> AsyncIterator[bytes]:
    for block in given:
        yield block


async def content(volume: Volume, key: str = KEY) -> bytes:
    with contextlib.closing(await volume.open(key)) as opened:
        found = b"".join([block async for block in opened.blocks()])
        assert len(found) == opened.size
        return found


@contextlib.asynccontextmanager
async def refused(situation: Situation) -> AsyncIterator[None]:
    with pytest.raises(Fault) as caught:
        yield
    assert caught.value.situation is situation


@contextlib.asynccontextmanager
async def put_off() -> AsyncIterator[None]:
    with pytest.raises(Later) as caught:
        yield
    assert caught.value.situation is VOLUME_MISSING


def parts(root: Path) -> list[Path]:
    return list((root / "parts").iterdir())


def published(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "shared").iterdir())


# Whole bodies and nothing else


@pytest.mark.parametrize("body", ODD_BLOCKS, ids=lambda body: f"{sum(map(len, body))}-in-{len(body)}")
@pytest.mark.parametrize("known", [True, False], ids=["size-known", "size-unknown"])
async def test_put_publishes_the_whole_body_and_says_what_it_wrote(volume: Volume, root: Path, body: list[bytes], known: bool) -> None:
    whole = b"".join(body)
    stored = await volume.put(KEY, blocks(*body), len(whole) if known else None)
    assert (stored.size, stored.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert await volume.stat(KEY) == stored.stamp
    assert await content(volume) == whole
    assert parts(root) == []


async def test_the_stamp_changes_with_the_file(volume: Volume) -> None:
    stored = await volume.put(KEY, blocks(b"one"))
    async with volume.local(KEY) as path:
        path.write_bytes(b"two")
    assert await volume.stat(KEY) not in {None, stored.stamp}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o777])
async def test_a_file_is_0644_whatever_the_umask(volume: Volume, mask: int) -> None:
    before = os.umask(mask)
    try:
        await volume.put(KEY, blocks(b"x"))
    finally:
        os.umask(before)
    async with volume.local(KEY) as path:
        assert path.stat().st_mode & 0o7777 == 0o644


async def test_a_body_that_raises_publishes_nothing_and_passes_through(volume: Volume, root: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise Fault(UPLOAD_BROKEN_OFF, "gone")

    async with refused(UPLOAD_BROKEN_OFF):
        await volume.put(KEY, breaks())
    assert await volume.stat(KEY) is None
    assert (parts(root), published(root)) == ([], [])


async def test_a_put_that_is_cancelled_while_it_waits_for_the_body_leaves_nothing(volume: Volume, root: Path) -> None:
    waits, never = asyncio.Event(), asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        waits.set()
        await never.wait()

    putting = asyncio.create_task(volume.put(KEY, stalls()))
    await waits.wait()
    assert len(parts(root)) == 1
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert (parts(root), published(root)) == ([], [])


async def test_a_put_that_is_cancelled_at_any_step_leaves_no_part_file_and_no_descriptor(volume: Volume, root: Path) -> None:
    await volume.put("shared/warm", blocks(b"x"))
    before = descriptors()
    for turns in range(40):
        putting = asyncio.create_task(volume.put(f"shared/{turns}", blocks(*[b"x" * 300_000] * 4)))
        for _ in range(turns // 2):
            await asyncio.sleep(0)
        putting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await putting
    await settled(volume)
    assert parts(root) == []
    assert descriptors() == before
    for name in published(root):
        assert (root / "shared" / name).stat().st_size in {1, 1_200_000}


async def test_a_read_that_is_cancelled_leaves_no_descriptor(volume: Volume) -> None:
    await volume.put(KEY, blocks(b"x" * 1_000_000))
    before = descriptors()
    for turns in range(60):
        reading = asyncio.create_task(content(volume))
        for _ in range(turns // 10 + 1):
            await asyncio.sleep(0)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    await settled(volume)
    assert descriptors() == before


async def test_puts_at_once_do_not_mix(volume: Volume, root: Path) -> None:
    bodies = {f"shared/{n}": bytes([n]) * (n * 99_991 + 1) for n in range(12)}

    async def slowly(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            await asyncio.sleep(0)
            yield body[start : start + 100_000]

    stored = await asyncio.gather(*(volume.put(key, slowly(body)) for key, body in bodies.items()))
    assert [one.sha256 for one in stored] == [hashlib.sha256(body).hexdigest() for body in bodies.values()]
    for key, body in bodies.items():
        assert await content(volume, key) == body
    assert parts(root) == []


async def test_a_reader_keeps_what_it_opened_when_the_file_is_deleted(volume: Volume) -> None:
    await volume.put(KEY, blocks(b"x" * 1_000_000))
    with contextlib.closing(await volume.open(KEY)) as opened:
        await volume.delete(KEY)
        assert b"".join([block async for block in opened.blocks()]) == b"x" * 1_000_000


async def test_a_file_cut_short_while_it_is_read_ends_early(volume: Volume) -> None:
    await volume.put(KEY, blocks(b"x" * 1_000_000))
    with contextlib.closing(await volume.open(KEY)) as opened:
        async with volume.local(KEY) as path:
            os.truncate(path, 10)
        assert opened.size == 1_000_000
        assert [block async for block in opened.blocks()] == [b"x" * 10]


# Keys that are not there


async def test_an_unknown_key_is_gone_for_every_reader(volume: Volume) -> None:
    assert await volume.stat(KEY) is None
    async with refused(MEDIA_GONE):
        await content(volume)
    async with refused(MEDIA_GONE), volume.local(KEY):
        pass


async def test_deleting_twice_is_no_error(volume: Volume) -> None:
    await volume.put(KEY, blocks(b"x"))
    await volume.delete(KEY)
    await volume.delete(KEY)
    assert await volume.stat(KEY) is None


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


async def test_a_file_that_vanishes_while_it_is_lent_is_gone(volume: Volume) -> None:
    await volume.put(KEY, blocks(b"x"))
    async with refused(MEDIA_GONE), volume.local(KEY) as path:
        path.unlink()
        path.read_bytes()


# Something else in a file's place


def a_link(path: Path) -> None:
    outside = path.parents[2] / "outside"
    outside.write_bytes(b"not yours")
    path.symlink_to(outside)


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


STRANGERS = [a_link, a_dangling_link, a_socket, os.mkfifo, os.mkdir]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", STRANGERS, ids=lambda make: make.__name__)
async def test_what_is_no_file_is_gone_not_followed_and_not_waited_for(volume: Volume, root: Path, make: Callable[[Path], None]) -> None:
    make(root / KEY)
    assert await volume.stat(KEY) is None
    async with refused(MEDIA_GONE):
        await content(volume)
    async with refused(MEDIA_GONE), volume.local(KEY):
        pass
    await volume.delete(KEY)
    outside = root.parent / "outside"
    assert make is not a_link or outside.read_bytes() == b"not yours"


# Temporary files


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


# A look, and a trial


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


# The marker


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


def unmounted(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    root.mkdir()


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


# The sweep


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


# Disks that are full or read-only


@contextlib.contextmanager
def mounted(root: Path, options: str = "size=4m") -> Iterator[None]:
    """A file system of 4 MiB at `root`."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    root.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount refused: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def make_read_only(root: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True, capture_output=True)


async def test_a_full_disk_is_said_leaves_nothing_and_is_over_once_there_is_space(root: Path) -> None:
    with mounted(root):
        volume = Folder(root, INSTANCE)
        volume.settle_in("known", first=True)
        await volume.put("shared/ballast", blocks(b"x" * 3_000_000))
        async with refused(VOLUME_FULL):
            await volume.put(KEY, blocks(*[b"x" * 300_000] * 8))
        assert (parts(root), published(root)) == ([], ["ballast"])
        assert (await volume.put("shared/small", blocks(b"x"))).size == 1
        await volume.delete("shared/ballast")
        assert (await volume.put(KEY, blocks(*[b"x" * 300_000] * 8))).size == 2_400_000


@contextlib.contextmanager
def settled_in(root: Path, options: str = "size=4m") -> Iterator[Folder]:
    with mounted(root, options):
        volume = Folder(root, INSTANCE)
        volume.settle_in("known", first=True)
        yield volume


async def unread() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""


async def test_a_length_that_does_not_fit_is_refused_before_the_body_is_read(root: Path) -> None:
    with settled_in(root) as volume:
        async with refused(VOLUME_FULL):
            await volume.put(KEY, unread(), 4_100_000)
        assert (parts(root), published(root)) == ([], [])


async def test_uploads_leave_a_reserve_and_urgent_files_half_of_it(root: Path) -> None:
    with settled_in(root) as volume:
        kept = limits.reserve((await volume.space()).total)
        assert 100_000 < kept < 130_000
        free = (await volume.space()).free
        await volume.put("shared/ballast", blocks(b"x" * (free - kept - 8192)), free - kept - 8192)
        async with refused(VOLUME_FULL):
            await volume.put(KEY, blocks(b"x" * 40_000), 40_000)
        assert (await volume.put("renditions/r", blocks(b"x" * 40_000), 40_000, urgent=True)).size == 40_000
        async with refused(VOLUME_FULL):
            await volume.put("renditions/s", blocks(b"x" * 60_000), 60_000, urgent=True)
        assert (parts(root), published(root)) == ([], ["ballast"])


async def test_no_room_for_accepted_messages_is_said_before_anything_is_made(root: Path) -> None:
    with settled_in(root) as volume:
        (root / "ballast").write_bytes(b"x" * ((await volume.space()).free - 10_000))
        async with refused(VOLUME_FULL), volume.scratch() as scratch:
            scratch.begin()


@pytest.mark.parametrize("befall", ["full", "read-only"])
async def test_p17_what_is_prepared_leaves_through_memory_where_the_volume_takes_no_spool(root: Path, befall: str) -> None:
    with settled_in(root) as volume:
        if befall == "full":
            (root / "ballast").write_bytes(b"x" * ((await volume.space()).free - 10_000))
        else:
            make_read_only(root)
        spools = [volume.spool(3_000_000) for _ in range(memory.AT_ONCE)]
        spools[0].write(b"x" * 3_000_000)
        with pytest.raises(Later, match="waits for its turn"):
            volume.spool(1)
        assert Path(f"/proc/self/fd/{spools[0].fileno()}").readlink().name.startswith("memfd:satchel")
        spools[0].close()
        spools[0].close()  # gives its place back once
        spools[0] = volume.spool(1)
        with pytest.raises(Later):
            volume.spool(1)
        for spool in spools:
            spool.close()


async def test_p17_a_spool_leaves_the_other_half_of_the_reserve_alone(root: Path) -> None:
    with settled_in(root) as volume:
        with volume.spool(1_000_000) as spool:
            assert not Path(f"/proc/self/fd/{spool.fileno()}").readlink().name.startswith("memfd:")
        with volume.spool(5_000_000) as spool:
            assert Path(f"/proc/self/fd/{spool.fileno()}").readlink().name.startswith("memfd:")


async def test_p17_inodes_run_out_like_bytes(root: Path) -> None:
    with settled_in(root, "size=4m,nr_inodes=200") as volume:
        space = await volume.space()
        for n in range(space.inodes_free - 4):  # the reserve is six of them, half of it three
            (root / "renditions" / str(n)).touch()
        async with refused(VOLUME_FULL):
            await volume.put(KEY, unread(), 1)
        assert (await volume.put("renditions/r", blocks(b"x"), 1, urgent=True)).size == 1


@pytest.mark.parametrize("size", [1, 100_000, 300_000, None])
async def test_p17_on_a_full_volume_nothing_of_an_upload_is_read(root: Path, size: int | None) -> None:
    with settled_in(root) as volume:
        (root / "ballast").write_bytes(b"x" * ((await volume.space()).free - 10_000))
        with pytest.raises(Fault, match=r"% full .* do not fit") as caught:
            await volume.put(KEY, unread(), size)
        assert caught.value.situation is VOLUME_FULL


async def test_a_volume_that_turns_read_only_under_a_scratch_file_does_not_hide_what_went_wrong(root: Path) -> None:
    with settled_in(root) as volume:
        with pytest.raises(ZeroDivisionError):
            async with volume.scratch() as scratch:
                scratch.begin().touch()
                make_read_only(root)
                raise ZeroDivisionError
        assert scratch.path.exists()


async def test_a_volume_says_that_it_is_read_only(root: Path) -> None:
    with settled_in(root) as volume:
        assert (await volume.space()).writable
        make_read_only(root)
        assert not (await volume.space()).writable


@pytest.mark.parametrize("known", [True, False], ids=["size-known", "size-unknown"])
async def test_a_disk_that_says_no_although_there_was_room_leaves_nothing_and_recovers(root: Path, known: bool) -> None:
    with settled_in(root, "size=4m,nr_inodes=12") as volume:
        with contextlib.suppress(OSError):
            for n in range(12):
                (root / "renditions" / str(n)).touch()
        async with refused(VOLUME_FULL):
            await volume.put(KEY, blocks(b"x"), 1 if known else None)
        (root / "renditions" / "0").unlink()
        assert (await volume.put(KEY, blocks(b"x"), 1 if known else None)).size == 1


async def test_space_is_what_the_file_system_says(volume: Volume, root: Path) -> None:
    space, found = await volume.space(), os.statvfs(root)
    assert (space.total, space.inodes) == (found.f_blocks * found.f_frsize, found.f_files)
    assert 0 < space.free < space.total


async def test_fast_durability_writes_the_same_files(root: Path) -> None:
    volume = Folder(root, INSTANCE, "fast")
    volume.settle_in("known", first=True)
    stored = [await volume.put(f"shared/{size}", blocks(b"x" * size), size) for size in (1, 1_000_000)]
    assert [stamp.stamp for stamp in stored] == [await volume.stat("shared/1"), await volume.stat("shared/1000000")]
    assert parts(root) == []


async def test_a_put_that_is_cancelled_while_it_publishes_takes_the_file_back(volume: Volume, root: Path) -> None:
    """Nobody makes a row for it any more."""
    for turns in range(60):
        putting = asyncio.create_task(volume.put(f"shared/{turns}", blocks(b"x"), 1))
        for _ in range(turns % 6):
            await asyncio.sleep(0)
        await asyncio.to_thread(time.sleep, turns / 20_000)
        putting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await putting
        assert not (putting.cancelled() and (root / "shared" / str(turns)).exists())
    assert parts(root) == []


async def test_a_read_beyond_the_end_is_short(volume: Volume) -> None:
    await volume.put(KEY, blocks(b"0123456789"), 10)
    with contextlib.closing(await volume.open(KEY)) as opened:
        assert [await opened.read(*span) for span in ((0, 10), (4, 3), (8, 100), (50, 10))] == [b"0123456789", b"456", b"89", b""]


async def test_a_read_only_disk_refuses_writes_and_still_reads(root: Path) -> None:
    with mounted(root):
        volume = Folder(root, INSTANCE)
        volume.settle_in("known", first=True)
        await volume.put(KEY, blocks(b"x"))
        make_read_only(root)
        async with refused(VOLUME_NOT_WRITABLE):
            await volume.put("shared/new", blocks(b"x"))
        async with refused(VOLUME_NOT_WRITABLE), volume.scratch() as scratch:
            scratch.begin()
        async with refused(VOLUME_NOT_WRITABLE):
            await volume.put("shared/unread", unread(), 1)
        async with refused(VOLUME_NOT_WRITABLE):
            await volume.delete(KEY)
        assert await content(volume) == b"x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_we_may_not_write_to_refuses_writes(volume: Volume, root: Path) -> None:
    (root / "parts").chmod(0o555)
    try:
        async with refused(VOLUME_NOT_WRITABLE):
            await volume.put(KEY, blocks(b"x"))
    finally:
        (root / "parts").chmod(0o755)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def settled(volume: Volume) -> None:
    """Every call before this one has left the engine's threads: each waits its turn behind what still runs."""
    for _ in range(3):
        await asyncio.gather(*(volume.stat("shared/none") for _ in range(16)))


def test_a_link_or_a_fifo_is_not_opened_as_a_file_of_the_volume(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"x")
    with open_plain(tmp_path / "plain") as file:
        assert file.read() == b"x"
    (tmp_path / "link").symlink_to(tmp_path / "plain")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", "."):
        with pytest.raises(FileNotFoundError):
            open_plain(tmp_path / name)


# Several at once


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


async def test_a_full_volume_lets_files_be_removed_and_a_read_only_one_does_not(
    volume: Volume, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESERVE_SHARE", 2.0)
    await volume.require_removal()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: allowed(path, mode) and not str(path).endswith("renditions"))
    async with refused(VOLUME_NOT_WRITABLE):
        await volume.require_removal()
