"""The port Volume on disks that are full or read-only."""

import contextlib
import os
from pathlib import Path

import pytest

from satchel.domain import limits
from satchel.domain.errors import VOLUME_FULL, VOLUME_NOT_WRITABLE, Fault, Later
from satchel.volume import Volume, memory

from .volumes import KEY, blocks, content, make_read_only, parts, published, refused, settled_in, unread

pytestmark = pytest.mark.anyio


async def test_a_full_disk_is_said_leaves_nothing_and_is_over_once_there_is_space(root: Path) -> None:
    with settled_in(root) as volume:
        await volume.put("shared/ballast", blocks(b"x" * 3_000_000))
        async with refused(VOLUME_FULL):
            await volume.put(KEY, blocks(*[b"x" * 300_000] * 8))
        assert (parts(root), published(root)) == ([], ["ballast"])
        assert (await volume.put("shared/small", blocks(b"x"))).size == 1
        await volume.delete("shared/ballast")
        assert (await volume.put(KEY, blocks(*[b"x" * 300_000] * 8))).size == 2_400_000


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
        with pytest.raises(Fault, match=r"% full .*( do not fit|nothing more fits)") as caught:
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


async def test_a_read_only_disk_refuses_writes_and_still_reads(root: Path) -> None:
    with settled_in(root) as volume:
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


async def test_a_full_volume_lets_files_be_removed_and_a_read_only_one_does_not(
    volume: Volume, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESERVE_SHARE", 2.0)
    await volume.require_removal()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: allowed(path, mode) and not str(path).endswith("renditions"))
    async with refused(VOLUME_NOT_WRITABLE):
        await volume.require_removal()
