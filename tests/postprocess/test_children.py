"""The engine of the port with its real children: what a probe finds, what a rendition is, what happens when a child or its parent dies."""

import asyncio
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from PIL import Image

from satchel.domain.errors import (
    CONTENT_MISMATCH,
    MEDIA_UNREADABLE,
    NOT_READY,
    NOT_SUPPORTED_YET,
    TYPE_NOT_ACCEPTED,
    Fault,
    Later,
    Situation,
)
from satchel.domain.media import Facts, Rendered
from satchel.postprocess import Config, isolation, jpeg, png, worker
from satchel.postprocess.children import Children
from satchel.postprocess.source import Source

from . import pictures
from .pictures import HARBOUR, MEDIA, chunk, pixels, scene, with_chunk
from .processes import Child, children_of, opened_here, wait_for

Result = TypeVar("Result")
OPAQUE = ("transparent pixels; images must be opaque",)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    """One pool for all tests that do not harm it."""
    pool = Children(Config(workers=2))
    yield pool
    asyncio.run(pool.close())


def with_pool(use: Callable[[Children], Awaitable[Result]], seconds: float = 60.0, **config: int) -> Result:
    """Run `use` with a pool of its own, of one child unless said otherwise."""

    async def go() -> Result:
        pool = Children(Config(**{"workers": 1, **config}), seconds=seconds)
        try:
            return await use(pool)
        finally:
            await pool.close()

    return asyncio.run(go())


def probe(children: Children, tmp_path: Path, data: bytes) -> Facts:
    path = tmp_path / "media"
    path.write_bytes(data)
    return asyncio.run(children.probe(path))


def fault(children: Children, tmp_path: Path, data: bytes) -> Fault:
    with pytest.raises(Fault) as caught:
        probe(children, tmp_path, data)
    return caught.value


def the_child() -> Child:
    """The child started last."""
    return max(children_of(os.getpid()))


def slow() -> bytes:
    """A PNG of 98 megapixels, which takes a child a good deal longer than a fiftieth of a second."""
    return png_of(9_900, 9_900, zlib.compress(bytes(9_901 * 9_900), 1))


def png_of(width: int, height: int, rows: bytes) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    return png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def palette() -> Image.Image:
    """A picture of two palette entries, all of it in the second."""
    picture = Image.new("P", (48, 32), 1)
    picture.putpalette((0, 0, 0, 9, 9, 9))
    return picture


def test_the_harbour_is_probed(children: Children) -> None:
    assert asyncio.run(children.probe(MEDIA / "harbour.jpg")) == Facts("jpeg", "image/jpeg", 1200, 900)


FOUND = {
    "progressive": (pictures.jpeg(progressive=True), ()),
    "grey": (pictures.jpeg(scene(mode="L")), ()),
    "restarts": (pictures.jpeg(restart_marker_blocks=1), ()),
    "with an archive behind it": (pictures.jpeg() + b"PK\x03\x04", ()),
    "cmyk": (pictures.jpeg(scene(mode="CMYK")), ("4 colour components (CMYK); images must have 1 or 3",)),
    "palette": (pictures.png(scene(mode="P")), ()),
    "one bit": (pictures.png(scene(mode="1")), ()),
    "16 bits": (pictures.png(Image.new("I;16", (48, 32))), ("16 bits per sample; images must have at most 8",)),
    "animation": (pictures.png(scene(), save_all=True, append_images=[scene(mode="L")]), ("an animation; images must be still",)),
    "alpha, all opaque": (pictures.png(scene(mode="RGBA")), ()),
    "grey and alpha, all opaque": (pictures.png(scene(mode="LA")), ()),
    "alpha": (pictures.png(Image.new("RGBA", (48, 32), (1, 2, 3, 254))), OPAQUE),
    "grey and alpha": (pictures.png(Image.new("LA", (48, 32), (1, 0))), OPAQUE),
    "palette, used entry transparent": (pictures.png(palette(), transparency=1), OPAQUE),
    "palette, unused entry transparent": (pictures.png(palette(), transparency=0), ()),
    "grey, used level transparent": (pictures.png(Image.new("L", (48, 32), 7), transparency=7), OPAQUE),
    "grey, unused level transparent": (pictures.png(Image.new("L", (48, 32), 7), transparency=8), ()),
    "one bit, used level transparent": (pictures.png(Image.new("1", (48, 32), 1), transparency=1), OPAQUE),
    "one bit, unused level transparent": (pictures.png(Image.new("1", (48, 32), 1), transparency=0), ()),
    "used colour transparent": (pictures.png(Image.new("RGB", (48, 32), (7, 8, 9)), transparency=(7, 8, 9)), OPAQUE),
    "unused colour transparent": (pictures.png(Image.new("RGB", (48, 32), (7, 8, 9)), transparency=(9, 8, 7)), ()),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_probe_tells_what_a_picture_lacks(name: str, children: Children, tmp_path: Path) -> None:
    data, lacks = FOUND[name]
    found = probe(children, tmp_path, data)
    assert (found.width, found.height, found.lacks) == (48, 32, lacks)


def test_two_bits_of_grey_are_compared_as_two_bits(children: Children, tmp_path: Path) -> None:
    assert probe(children, tmp_path, pictures.grey_png(2, [0, 1, 2, 3], (b"tRNS", b"\0\2"))).lacks == OPAQUE
    assert probe(children, tmp_path, pictures.grey_png(2, [0, 1, 3, 3], (b"tRNS", b"\0\2"))).lacks == ()


def test_an_interlaced_picture_is_decoded(children: Children, tmp_path: Path) -> None:
    assert probe(children, tmp_path, pictures.interlaced()) == Facts("png", "image/png", 8, 8)


@pytest.mark.parametrize(("width", "height", "lacks"), [(9_000, 9_000, False), (20_000, 20_000, True), (2**31 - 1, 2**31 - 1, True)])
def test_a_picture_over_the_cap_is_judged_by_its_header(width: int, height: int, lacks: bool, children: Children, tmp_path: Path) -> None:
    data = png_of(width, height, zlib.compress(b""))
    if lacks:
        told = probe(children, tmp_path, data).lacks[0]
        assert told.endswith("megapixels; the limit is 100.0 (SATCHEL_POSTPROCESS__MAX_PIXELS)")
    else:
        assert "end before the picture does" in fault(children, tmp_path, data).details


def test_the_cap_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(pictures.jpeg(Image.new("L", (1_001, 1_000))))
    found = with_pool(lambda pool: pool.probe(tmp_path / "media"), max_pixels=1_000_000)
    assert found.lacks == ("1.1 megapixels; the limit is 1.0 (SATCHEL_POSTPROCESS__MAX_PIXELS)",)


@pytest.mark.parametrize("make", [pictures.jpeg, pictures.png])
def test_every_cut_is_unreadable(make: Callable[..., bytes], children: Children, tmp_path: Path) -> None:
    data = make(scene(16, 16))
    for length in range(10, len(data), 7):
        assert fault(children, tmp_path, data[:length]).situation == MEDIA_UNREADABLE


def test_a_scan_with_less_than_the_picture_is_unreadable(children: Children, tmp_path: Path) -> None:
    """The container is whole and the checksums are right; only a decode tells."""
    rows = zlib.compress(bytes(49 * 32 - 1))
    assert "end before the picture does" in fault(children, tmp_path, png_of(48, 32, rows)).details


@pytest.mark.parametrize("data", [pictures.jpeg(), pictures.png()])
def test_noise_inside_a_picture_never_harms_the_child(data: bytes, children: Children, tmp_path: Path) -> None:
    before = {one.pid for one in children_of(os.getpid())}
    for at in range(20, len(data) - 30, len(data) // 40):
        try:
            probe(children, tmp_path, data[:at] + os.urandom(3) + data[at + 3 :])
        except Fault as broken:
            assert broken.situation == MEDIA_UNREADABLE
    assert before <= {one.pid for one in children_of(os.getpid())}


def test_metadata_never_reach_the_decoder(children: Children, tmp_path: Path) -> None:
    """Pillow gives up on a profile or a text that inflates beyond a megabyte; it must not see them."""
    bomb = zlib.compress(bytes(100 << 20))
    data = with_chunk(pictures.png(), b"iCCP", b"x\0\0" + bomb)
    assert probe(children, tmp_path, with_chunk(data, b"zTXt", b"x\0\0" + bomb)).lacks == ()


OTHERS = [
    (b"just text\n", "text", "text/plain"),
    (b"", "unknown", "application/octet-stream"),
    (pictures.saved(scene(), "WEBP", {}), "webp", "image/webp"),
    (b"GIF89a and then garbage", "gif", "image/gif"),
]


@pytest.mark.parametrize(("data", "form", "mime"), OTHERS, ids=[form for _, form, _ in OTHERS])
def test_other_formats_are_named_without_a_child(data: bytes, form: str, mime: str, tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(data)

    before = children_of(os.getpid())

    async def use(pool: Children) -> Facts:
        found = await pool.probe(tmp_path / "media")
        assert children_of(os.getpid()) == before
        return found

    assert with_pool(use) == Facts(form, mime)


def render(children: Children, tmp_path: Path, data: bytes, media_type: str = "image") -> tuple[Rendered, bytes]:
    path, into = tmp_path / "media", tmp_path / "rendition"
    path.write_bytes(data)
    into.unlink(missing_ok=True)
    rendered = asyncio.run(children.render(path, media_type, into))
    return rendered, into.read_bytes()


@pytest.mark.parametrize(
    ("data", "mime", "strip"), [(HARBOUR, "image/jpeg", jpeg.strip), (pictures.png(dpi=(72, 72)), "image/png", png.strip)]
)
def test_a_rendition_is_the_same_picture_without_metadata(
    data: bytes, mime: str, strip: Callable[[bytes], bytes], children: Children, tmp_path: Path
) -> None:
    rendered, written = render(children, tmp_path, data)
    assert written == strip(data) and pixels(written) == pixels(data)
    assert rendered == Rendered(mime, len(written), hashlib.sha256(written).hexdigest())
    assert render(children, tmp_path, written)[1] == written


REFUSED = [
    (b"just text\n", "image", CONTENT_MISMATCH),
    (pictures.saved(scene(), "WEBP", {}), "image", TYPE_NOT_ACCEPTED),
    (FOUND["cmyk"][0], "image", TYPE_NOT_ACCEPTED),
    (HARBOUR[:-2], "image", MEDIA_UNREADABLE),
    (HARBOUR, "video", NOT_SUPPORTED_YET),
]


@pytest.mark.parametrize(("data", "media_type", "situation"), REFUSED)
def test_a_refused_rendition_leaves_nothing(data: bytes, media_type: str, situation: Situation, children: Children, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        render(children, tmp_path, data, media_type)
    assert caught.value.situation == situation
    assert not (tmp_path / "rendition").exists()


def test_a_rendition_never_replaces_a_file(children: Children, tmp_path: Path) -> None:
    (tmp_path / "rendition").write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        asyncio.run(children.render(MEDIA / "harbour.jpg", "image", tmp_path / "rendition"))
    assert (tmp_path / "rendition").read_bytes() == b"another's"


def test_only_a_regular_file_is_opened(children: Children, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(MEDIA / "harbour.jpg")
    for name, number in (("fifo", errno.EINVAL), ("link", errno.ELOOP), ("missing", errno.ENOENT), (".", errno.EINVAL)):
        with pytest.raises(OSError) as caught:
            asyncio.run(children.probe(tmp_path / name))
        assert caught.value.errno == number


def frozen_while(act: Callable[[Child, Path], None], data: bytes, path: Path, seconds: float = 60.0) -> Facts:
    """Probe `data` with a warm child that is stopped before the job begins; `act` runs once the job waits for it."""
    path.write_bytes(data)

    async def use(pool: Children) -> Facts:
        await pool.probe(MEDIA / "harbour.jpg")
        child = the_child()
        child.send(signal.SIGSTOP)
        job = asyncio.ensure_future(pool.probe(path))
        await asyncio.to_thread(wait_for, lambda: opened_here(path))
        await asyncio.sleep(0.05)  # it has the file's size, and its first bytes are in the pipe
        act(child, path)
        return await job

    return with_pool(use, seconds)


def test_a_child_killed_in_the_middle_gets_a_successor(tmp_path: Path) -> None:
    assert frozen_while(lambda child, path: child.send(signal.SIGKILL), HARBOUR, tmp_path / "media") == Facts(
        "jpeg", "image/jpeg", 1200, 900
    )


def test_an_idle_child_that_was_killed_costs_nothing() -> None:
    async def use(pool: Children) -> set[int]:
        pids = set()
        for _ in range(3):
            await pool.probe(MEDIA / "harbour.jpg")
            child = the_child()
            pids.add(child.pid)
            child.send(signal.SIGKILL)
            await asyncio.to_thread(child.wait)
        return pids

    assert len(with_pool(use)) == 3


def test_a_file_that_kills_two_children_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = worker.Worker.ask

    def kill_and_ask(self: worker.Worker, kind: str, form: str, source: Source) -> worker.Reply:
        asked.append(self.pid)
        self.kill()
        return ask(self, kind, form, source)

    monkeypatch.setattr(worker.Worker, "ask", kill_and_ask)
    with pytest.raises(Fault, match="within the memory and time limits") as caught:
        with_pool(lambda pool: pool.probe(MEDIA / "harbour.jpg"))
    assert caught.value.situation == MEDIA_UNREADABLE and len(set(asked)) == 2


def test_a_child_that_is_too_slow_is_killed_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(HARBOUR)

    async def use(pool: Children) -> None:
        await pool.probe(tmp_path / "media")
        frozen = the_child()
        frozen.send(signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(Fault, match=r"could not be decoded within 0\.3 seconds") as caught:
            await pool.probe(tmp_path / "media")
        assert caught.value.situation == MEDIA_UNREADABLE and time.monotonic() - begin < 2
        assert not frozen.runs()
        await pool.probe(tmp_path / "media")

    with_pool(use, seconds=0.3)


def test_a_slow_decode_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(slow())
    with pytest.raises(Fault, match=r"within 0\.02 seconds"):
        with_pool(lambda pool: pool.probe(tmp_path / "media"), seconds=0.02)


def test_a_file_too_large_for_a_child_is_told_so(tmp_path: Path) -> None:
    with (tmp_path / "media").open("wb") as file:
        file.write(HARBOUR)
        file.truncate(1 << 30)

    async def use(pool: Children) -> None:
        with pytest.raises(Fault, match="needs more memory than a child process may have") as caught:
            await pool.probe(tmp_path / "media")
        assert caught.value.situation == MEDIA_UNREADABLE
        await pool.probe(MEDIA / "harbour.jpg")

    with_pool(use, max_pixels=2_000_000)


def test_the_largest_upload_sent_as_a_picture_is_read(children: Children, tmp_path: Path) -> None:
    """A hundred megabytes behind the end marker are dropped; the same without an end marker are unreadable."""
    path, into = tmp_path / "media", tmp_path / "rendition"
    path.write_bytes(HARBOUR)
    os.truncate(path, 100 << 20)
    assert asyncio.run(children.render(path, "image", into)).size == len(jpeg.strip(HARBOUR))
    path.write_bytes(HARBOUR[:-2])
    os.truncate(path, 100 << 20)
    with pytest.raises(Fault):
        asyncio.run(children.probe(path))


@pytest.mark.parametrize(("size", "how"), [(1_000, "shorter"), (9_000_000, "longer")])
def test_a_file_that_changes_while_it_is_read_is_refused(size: int, how: str, tmp_path: Path) -> None:
    def act(child: Child, path: Path) -> None:
        os.truncate(path, size)
        child.send(signal.SIGCONT)

    with pytest.raises(Fault, match=f"became {how} than 8423280 bytes"):
        frozen_while(act, HARBOUR * 40, tmp_path / "media")


def test_a_cancelled_rendition_lets_go_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    async def use(pool: Children) -> None:
        await pool.probe(MEDIA / "harbour.jpg")
        the_child().send(signal.SIGSTOP)
        running, waiting = (asyncio.ensure_future(pool.render(MEDIA / "harbour.jpg", "image", tmp_path / name)) for name in "ab")
        await asyncio.to_thread(wait_for, (tmp_path / "a").exists)
        assert not (tmp_path / "b").exists()
        for job in (waiting, running):
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
        assert not list(tmp_path.iterdir())
        await pool.probe(MEDIA / "harbour.jpg")

    with_pool(use)


def test_closing_ends_every_child_and_every_job() -> None:
    async def use(pool: Children) -> None:
        await pool.probe(MEDIA / "harbour.jpg")
        child = the_child()
        child.send(signal.SIGSTOP)
        jobs = [asyncio.ensure_future(pool.probe(MEDIA / "harbour.jpg")) for _ in range(3)]
        await asyncio.sleep(0.1)
        await pool.close()
        for job in jobs:
            with pytest.raises(Later) as caught:
                await job
            assert caught.value.situation == NOT_READY
        assert not child.runs()

    with_pool(use)


def test_many_jobs_share_the_workers(children: Children, tmp_path: Path) -> None:
    async def use() -> list[Facts]:
        return await asyncio.gather(*(children.probe(MEDIA / "harbour.jpg") for _ in range(40)))

    before = len(children_of(os.getpid()))
    assert set(asyncio.run(use())) == {Facts("jpeg", "image/jpeg", 1200, 900)}
    assert len(children_of(os.getpid())) <= max(before, 2)


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit(1)", 'print(end=\'\\0\\0\\0\\x1a{"failed": "no such luck"}\')', "print('nonsense')"]
)
def test_a_child_that_does_not_start_is_tried_again_later(program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{program}\n")
    python.chmod(0o755)
    for executable in (python, tmp_path / "missing"):
        monkeypatch.setattr(sys, "executable", str(executable))
        with pytest.raises(Later, match="no such luck" if "luck" in program and executable is python else "start") as caught:
            with_pool(lambda pool: pool.probe(MEDIA / "harbour.jpg"))
        assert caught.value.situation == NOT_READY


def test_a_child_sees_none_of_the_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATCHEL_ADMIN_PASSWORD", "secret")

    async def use(pool: Children) -> list[str]:
        await pool.probe(MEDIA / "harbour.jpg")
        return the_child().environment()

    assert set(with_pool(use)) <= set(worker.PASSED_ON)


def test_a_child_can_open_no_file_and_no_socket_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def use(pool: Children) -> tuple[str, str, list[str]]:
        await pool.probe(MEDIA / "harbour.jpg")
        proc = Path("/proc") / str(the_child().pid)
        return (proc / "limits").read_text(), (proc / "status").read_text(), sorted(one.name for one in (proc / "fd").iterdir())

    caplog.set_level("INFO", "satchel.postprocess.children")
    limits, status, opened = with_pool(use)
    for limit, value in (
        ("Max open files", 0),
        ("Max file size", 0),
        ("Max core file size", 0),
        ("Max address space", isolation.memory_limit(10**8)),
    ):
        assert next(line for line in limits.splitlines() if line.startswith(limit))[len(limit) :].split()[:2] == [str(value)] * 2
    assert opened == ["0", "1", "2"], "nothing the parent had open came along"
    if os.geteuid() == 0:
        assert f"Uid:\t{isolation.NOBODY}\t{isolation.NOBODY}\t{isolation.NOBODY}" in status and "Groups:\t \n" in status
        assert "CapEff:\t0000000000000000" in status
    assert "no file opened" in caplog.text and len(caplog.records) == 1


PARENT = """
import asyncio, sys
from pathlib import Path
from satchel.postprocess import Config
from satchel.postprocess.children import Children

async def main():
    pool = Children(Config())
    await asyncio.gather(*(pool.probe(Path(sys.argv[1])) for _ in range(8)))
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_no_child(signum: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, MEDIA / "harbour.jpg"], stdout=subprocess.PIPE) as parent:
        assert parent.stdout and parent.stdout.readline() == b"ready\n"
        family = children_of(parent.pid)
        assert family
        parent.send_signal(signum)
        parent.wait()
        for one in family:
            one.wait()


def test_a_child_outlives_a_polite_stop() -> None:
    """A service manager signals the whole group; the parent must be able to finish what it is doing."""

    async def use(pool: Children) -> bool:
        await pool.probe(MEDIA / "harbour.jpg")
        child = the_child()
        child.send(signal.SIGTERM)
        await pool.probe(MEDIA / "harbour.jpg")
        return child.runs()

    assert with_pool(use)
