"""The port Volume, the same suite on every engine: whole bodies and nothing else, keys that are not there, other things in their place."""

import asyncio
import contextlib
import hashlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from satchel.domain.errors import MEDIA_GONE, UPLOAD_BROKEN_OFF, Fault
from satchel.volume import Volume
from satchel.volume.folder import Folder
from satchel.volume.part import Part
from satchel.volume.reading import open_plain

from .volumes import (
    INSTANCE,
    KEY,
    blocks,
    content,
    parts,
    published,
    refused,
)

pytestmark = pytest.mark.anyio
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


@pytest.mark.parametrize("ends", [None, Fault(UPLOAD_BROKEN_OFF, "gone")], ids=["whole", "broken-off"])
async def test_two_who_write_the_same_file_at_once_never_touch_each_others_bytes(volume: Volume, root: Path, ends: Fault | None) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    first, other = b"x" * 600_000, b"y" * 600_000

    async def slow() -> AsyncIterator[bytes]:
        yield first[:300_000]
        begun.set()
        await go_on.wait()
        yield first[300_000:]

    async def quick() -> AsyncIterator[bytes]:
        yield other
        if ends is not None:
            raise ends

    writing = asyncio.create_task(volume.put(KEY, slow()))
    await begun.wait()
    if ends is None:
        stored = await volume.put(KEY, quick())
        assert (await content(volume), stored.sha256) == (other, hashlib.sha256(other).hexdigest())
    else:
        async with refused(UPLOAD_BROKEN_OFF):
            await volume.put(KEY, quick())
    go_on.set()
    assert (await writing).sha256 == hashlib.sha256(first).hexdigest()
    assert (await content(volume), parts(root)) == (first, [])


def test_a_part_that_did_not_begin_removes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "another's"
    path.write_bytes(b"x")
    part = Part(str(path))
    with pytest.raises(FileExistsError):
        part.create()
    part.discard()
    assert path.read_bytes() == b"x"


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


async def test_a_file_that_vanishes_while_it_is_lent_is_gone(volume: Volume) -> None:
    await volume.put(KEY, blocks(b"x"))
    async with refused(MEDIA_GONE), volume.local(KEY) as path:
        path.unlink()
        path.read_bytes()


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
