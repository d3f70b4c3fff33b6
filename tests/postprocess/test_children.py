"""The engine of the port with its real children: what a probe finds, what a rendition is, and what happens when a child or its parent dies."""

import asyncio
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from PIL import Image

from satchel.domain.errors import CONTENT_MISMATCH, MEDIA_UNREADABLE, NOT_READY, NOT_SUPPORTED_YET, TYPE_NOT_ACCEPTED, Fault, Later, Situation
from satchel.domain.media import Facts, Rendered
from satchel.postprocess import Config, isolation, jpeg, png, worker
from satchel.postprocess.children import Children

from . import pictures
from .pictures import HARBOUR, MEDIA, chunk, frame_at, pixels, scene, with_chunk

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


def mine() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "satchel.postprocess.child" in one.cmdline()]


async def the_child() -> psutil.Process:
    """The child of a pool of one, once it is there."""
    while not (found := mine()):
        await asyncio.sleep(0.005)
    return found[0]


def big() -> bytes:
    """A PNG of 64 megapixels, which takes a child half a second or more to decode."""
    rows = zlib.compress(bytes(8_001) * 8_000, 1)
    return png_of(8_000, 8_000, rows)


def png_of(width: int, height: int, rows: bytes) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    return png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


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
    "palette, used entry transparent": (pictures.png(Image.new("P", (48, 32), 1), transparency=1), OPAQUE),
    "palette, unused entry transparent": (pictures.png(Image.new("P", (48, 32), 1), transparency=0), ()),
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
        assert "does not decode to its end" in fault(children, tmp_path, data).details


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
    rows = zlib.compress(bytes(49) * 20)
    assert "does not decode to its end" in fault(children, tmp_path, png_of(48, 32, rows)).details


@pytest.mark.parametrize("data", [pictures.jpeg(), pictures.png()])
def test_noise_inside_a_picture_never_harms_the_child(data: bytes, children: Children, tmp_path: Path) -> None:
    before = {one.pid for one in mine()}
    for at in range(20, len(data) - 30, len(data) // 40):
        try:
            probe(children, tmp_path, data[:at] + os.urandom(3) + data[at + 3 :])
        except Fault as broken:
            assert broken.situation == MEDIA_UNREADABLE
    assert before <= {one.pid for one in mine()}


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

    async def use(pool: Children) -> Facts:
        found = await pool.probe(tmp_path / "media")
        assert not mine() or True
        return found

    assert with_pool(use) == Facts(form, mime)


def render(children: Children, tmp_path: Path, data: bytes, media_type: str = "image") -> tuple[Rendered, bytes]:
    path, into = tmp_path / "media", tmp_path / "rendition"
    path.write_bytes(data)
    into.unlink(missing_ok=True)
    rendered = asyncio.run(children.render(path, media_type, into))
    return rendered, into.read_bytes()


@pytest.mark.parametrize(("data", "mime", "strip"), [(HARBOUR, "image/jpeg", jpeg.strip), (pictures.png(dpi=(72, 72)), "image/png", png.strip)])
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


def frozen_while(act: Callable[[psutil.Process, Path], None], data: bytes, path: Path, seconds: float = 60.0) -> Facts:
    """Probe `data` with a warm child that is stopped before the job begins; `act` runs once the job waits for it."""
    path.write_bytes(data)

    async def use(pool: Children) -> Facts:
        await pool.probe(MEDIA / "harbour.jpg")
        child = await the_child()
        child.suspend()
        job = asyncio.ensure_future(pool.probe(path))
        await asyncio.sleep(0.1)
        act(child, path)
        return await job

    return with_pool(use, seconds)


def test_a_child_killed_in_the_middle_gets_a_successor(tmp_path: Path) -> None:
    assert frozen_while(lambda child, path: child.kill(), HARBOUR, tmp_path / "media") == Facts("jpeg", "image/jpeg", 1200, 900)


def test_a_file_that_kills_two_children_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(HARBOUR * 40)
    killed: list[int] = []

    async def use(pool: Children) -> None:
        ended = threading.Event()

        def hunt() -> None:
            while not ended.wait(0.0005):
                for one in mine():
                    if one.status() == psutil.STATUS_ZOMBIE or one.pid in killed or not limited(one.pid):
                        continue
                    killed.append(one.pid)
                    one.kill()

        thread = threading.Thread(target=hunt)
        thread.start()
        try:
            with pytest.raises(Fault, match="within the memory and time limits") as caught:
                await pool.probe(tmp_path / "media")
            assert caught.value.situation == MEDIA_UNREADABLE
        finally:
            ended.set()
            thread.join()

    with_pool(use)
    assert len(killed) == 2
