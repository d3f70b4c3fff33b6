"""The engine of the port with its real children: what a probe finds, and what a rendition is."""

import asyncio
import errno
import hashlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from satchel.domain.errors import MEDIA_UNREADABLE, TYPE_NOT_ACCEPTED, Fault, Situation
from satchel.domain.media import Facts, Rendered
from satchel.postprocess import Config, Transcoder, jpeg, png
from satchel.postprocess.children import Children

from . import pictures
from .pictures import HARBOUR, MEDIA, pixels, scene, with_chunk
from .processes import STRIP, children_of, with_pool


def probe(children: Children, tmp_path: Path, data: bytes) -> Facts:
    path = tmp_path / "media"
    path.write_bytes(data)
    return asyncio.run(children.probe(path))


def fault(children: Children, tmp_path: Path, data: bytes) -> Fault:
    with pytest.raises(Fault) as caught:
        probe(children, tmp_path, data)
    return caught.value


def palette() -> Image.Image:
    """A picture of two palette entries, all of it in the second."""
    picture = Image.new("P", (48, 32), 1)
    picture.putpalette((0, 0, 0, 9, 9, 9))
    return picture


HARBOUR_FACTS = Facts("jpeg", "image/jpeg", 1200, 900, size=len(jpeg.strip(HARBOUR)))


def test_the_harbour_is_probed(children: Children) -> None:
    assert asyncio.run(children.probe(MEDIA / "harbour.jpg")) == HARBOUR_FACTS


FOUND = {
    "progressive": (pictures.jpeg(progressive=True), ""),
    "grey": (pictures.jpeg(scene(mode="L")), ""),
    "restarts": (pictures.jpeg(restart_marker_blocks=1), ""),
    "with an archive behind it": (pictures.jpeg() + b"PK\x03\x04", ""),
    "cmyk": (pictures.jpeg(scene(mode="CMYK")), "4 colour components (CMYK); pictures must have 1 or 3"),
    "palette": (pictures.png(scene(mode="P")), ""),
    "one bit": (pictures.png(scene(mode="1")), ""),
    "16 bits": (pictures.png(Image.new("I;16", (48, 32))), "16 bits per sample; pictures must have at most 8"),
    "animation": (pictures.png(scene(), save_all=True, append_images=[scene(mode="L")]), "animated"),
    "alpha, all opaque": (pictures.png(scene(mode="RGBA")), ""),
    "grey and alpha, all opaque": (pictures.png(scene(mode="LA")), ""),
    "alpha": (pictures.png(Image.new("RGBA", (48, 32), (1, 2, 3, 254))), "transparent"),
    "grey and alpha": (pictures.png(Image.new("LA", (48, 32), (1, 0))), "transparent"),
    "palette, used entry transparent": (pictures.png(palette(), transparency=1), "transparent"),
    "palette, unused entry transparent": (pictures.png(palette(), transparency=0), ""),
    "grey, used level transparent": (pictures.png(Image.new("L", (48, 32), 7), transparency=7), "transparent"),
    "grey, unused level transparent": (pictures.png(Image.new("L", (48, 32), 7), transparency=8), ""),
    "one bit, used level transparent": (pictures.png(Image.new("1", (48, 32), 1), transparency=1), "transparent"),
    "one bit, unused level transparent": (pictures.png(Image.new("1", (48, 32), 1), transparency=0), ""),
    "used colour transparent": (pictures.png(Image.new("RGB", (48, 32), (7, 8, 9)), transparency=(7, 8, 9)), "transparent"),
    "unused colour transparent": (pictures.png(Image.new("RGB", (48, 32), (7, 8, 9)), transparency=(9, 8, 7)), ""),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_probe_tells_what_a_picture_lacks(name: str, children: Children, tmp_path: Path) -> None:
    data, what = FOUND[name]
    found = probe(children, tmp_path, data)
    assert (found.width, found.height, found.beyond) == (48, 32, ())
    assert told(found) == what
    assert 0 < found.size <= len(data)


def told(found: Facts) -> str:
    """What keeps a picture from going out as an image, in one line."""
    return "; ".join([*found.lacks, *["transparent"] * found.transparent, *["animated"] * found.animated])


def test_two_bits_of_grey_are_compared_as_two_bits(children: Children, tmp_path: Path) -> None:
    assert probe(children, tmp_path, pictures.grey_png(2, [0, 1, 2, 3], (b"tRNS", b"\0\2"))).transparent
    assert not probe(children, tmp_path, pictures.grey_png(2, [0, 1, 3, 3], (b"tRNS", b"\0\2"))).transparent


def test_an_interlaced_picture_is_decoded(children: Children, tmp_path: Path) -> None:
    data = pictures.interlaced()
    assert probe(children, tmp_path, data) == Facts("png", "image/png", 8, 8, size=len(png.strip(data)), bare=png.strip(data) == data)


@pytest.mark.parametrize(("width", "height", "lacks"), [(9_000, 9_000, False), (20_000, 20_000, True), (2**31 - 1, 2**31 - 1, True)])
def test_a_picture_over_the_cap_is_judged_by_its_header(width: int, height: int, lacks: bool, children: Children, tmp_path: Path) -> None:
    data = pictures.png_of(width, height, zlib.compress(b""))
    if lacks:
        found = probe(children, tmp_path, data)
        assert found.lacks == found.beyond and found.size == 0
        assert found.beyond[0].endswith("megapixels; the limit is 100.0 (SATCHEL_POSTPROCESS__MAX_PIXELS)")
    else:
        assert "end before the picture does" in fault(children, tmp_path, data).details


def test_the_cap_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(pictures.jpeg(Image.new("L", (1_001, 1_000))))
    found = with_pool(lambda pool: pool.probe(tmp_path / "media"), max_pixels=1_000_000)
    assert found.beyond == ("1.1 megapixels; the limit is 1.0 (SATCHEL_POSTPROCESS__MAX_PIXELS)",)


@pytest.mark.parametrize("make", [pictures.jpeg, pictures.png])
def test_every_cut_is_unreadable(make: Callable[..., bytes], children: Children, tmp_path: Path) -> None:
    data = make(scene(16, 16))
    for length in range(10, len(data), 7):
        assert fault(children, tmp_path, data[:length]).situation == MEDIA_UNREADABLE


def test_a_picture_whose_segments_are_whole_but_do_not_decode_is_unreadable(children: Children, tmp_path: Path) -> None:
    """Only a decode tells that no table says what the numbers mean."""
    data = pictures.jpeg().replace(b"\xff\xdb", b"\xff\xfe")
    assert jpeg.strip(data)
    broken = fault(children, tmp_path, data)
    assert broken.situation == MEDIA_UNREADABLE and "does not decode to its end" in broken.details


def test_a_scan_with_less_than_the_picture_is_unreadable(children: Children, tmp_path: Path) -> None:
    """The container is whole and the checksums are right; only a decode tells."""
    rows = zlib.compress(bytes(49 * 32 - 1))
    assert "end before the picture does" in fault(children, tmp_path, pictures.png_of(48, 32, rows)).details


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

    assert with_pool(use) == Facts(form, mime, size=len(data))


def render(children: Children, tmp_path: Path, data: bytes) -> tuple[Rendered, bytes]:
    path, into = tmp_path / "media", tmp_path / "rendition"
    path.write_bytes(data)
    into.unlink(missing_ok=True)
    rendered = asyncio.run(children.render(path, STRIP, into))
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


@pytest.mark.parametrize(("data", "situation"), [(b"just text\n", TYPE_NOT_ACCEPTED), (HARBOUR[:-2], MEDIA_UNREADABLE)])
def test_a_refused_rendition_leaves_nothing(data: bytes, situation: Situation, children: Children, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        render(children, tmp_path, data)
    assert caught.value.situation == situation
    assert not (tmp_path / "rendition").exists()


def test_a_rendition_never_replaces_a_file(children: Children, tmp_path: Path) -> None:
    (tmp_path / "rendition").write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        asyncio.run(children.render(MEDIA / "harbour.jpg", STRIP, tmp_path / "rendition"))
    assert (tmp_path / "rendition").read_bytes() == b"another's"


def test_only_a_regular_file_is_opened(children: Children, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(MEDIA / "harbour.jpg")
    for name, number in (("fifo", errno.EINVAL), ("link", errno.ELOOP), ("missing", errno.ENOENT), (".", errno.EINVAL)):
        with pytest.raises(OSError) as caught:
            asyncio.run(children.probe(tmp_path / name))
        assert caught.value.errno == number


def test_the_largest_upload_sent_as_a_picture_is_read(children: Children, tmp_path: Path) -> None:
    """A hundred megabytes behind the end marker are dropped; the same without an end marker are unreadable."""
    path, into = tmp_path / "media", tmp_path / "rendition"
    path.write_bytes(HARBOUR)
    os.truncate(path, 100 << 20)
    assert asyncio.run(children.render(path, STRIP, into)).size == len(jpeg.strip(HARBOUR))
    path.write_bytes(HARBOUR[:-2])
    os.truncate(path, 100 << 20)
    with pytest.raises(Fault):
        asyncio.run(children.probe(path))


def test_the_pool_is_a_transcoder_and_may_be_closed_unused() -> None:
    transcoder: Transcoder = Children(Config())
    asyncio.run(transcoder.close())


def test_many_jobs_share_the_workers(children: Children, tmp_path: Path) -> None:
    async def use() -> list[Facts]:
        return await asyncio.gather(*(children.probe(MEDIA / "harbour.jpg") for _ in range(40)))

    before = len(children_of(os.getpid()))
    assert set(asyncio.run(use())) == {HARBOUR_FACTS}
    assert len(children_of(os.getpid())) <= max(before, 2)
