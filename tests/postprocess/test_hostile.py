"""Hostile and broken pictures against real children: always an answer a person understands, and the child is as good as before."""

import asyncio
import io
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from satchel.domain.errors import CONTENT_MISMATCH, MEDIA_UNREADABLE, TYPE_NOT_ACCEPTED, Fault
from satchel.domain.media import Rendered
from satchel.domain.plans import Plan, Rules, plan
from satchel.postprocess.children import Children

from . import pictures
from .pictures import HARBOUR, MEDIA, chunk, scene
from .processes import children_of, with_pool

PERSON = ("send", "Send", "convert", "Convert")
"""A refusal says what to do next."""


async def sent(pool: Children, path: Path, media_type: str) -> Rendered:
    """All of post-processing, as a send does it; the result is left beside the file."""
    into = path.with_name("rendition")
    into.unlink(missing_ok=True)
    return await pool.render(path, plan(await pool.probe(path), media_type, Rules()), into)


def refused(pool: Children, path: Path, data: bytes, media_type: str = "image") -> Fault:
    path.write_bytes(data)
    with pytest.raises(Fault) as caught:
        asyncio.run(sent(pool, path, media_type))
    assert any(word in caught.value.details for word in PERSON)
    assert not path.with_name("rendition").exists()
    return caught.value


def webp(picture: Image.Image | None = None, **options: object) -> bytes:
    return pictures.saved(picture or scene(), "WEBP", options)


def png_bomb() -> bytes:
    """A few kilobytes that inflate to a gigabyte behind a picture of one pixel."""
    squeeze = zlib.compressobj(9)
    rows = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(1 << 10)) + squeeze.flush()
    return pictures.png_of(1, 1, rows)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb behind a pixel": (png_bomb, "go on behind the picture"),
    "a header that promises more than there is": (lambda: pictures.png_of(9_000, 9_000, zlib.compress(bytes(1_000))), "end before"),
    "a webp whose frame lies about its size": (lambda: patched(webp(), b"VP8 ", 14, b"\xff\x0f"), "broken"),
    "a cut jpeg": (lambda: HARBOUR[:100_000], "cut off"),
    "a cut png": (lambda: pictures.png()[:-30], "cut off"),
    "a cut webp": (lambda: webp()[:-3], "cut off"),
    "an animation without a picture": (lambda: pictures.with_chunk(pictures.png_of(8, 8, b""), b"acTL", bytes(8)), "end before"),
    "only a signature": (lambda: b"\xff\xd8\xff", "broken"),
    "chunks without end": (lambda: pictures.png()[:33] + chunk(b"prVt", b"") * 70_000, "65536 chunks"),
}


def resized_jpeg(width: int, height: int) -> bytes:
    data = bytearray(pictures.jpeg())
    at = pictures.frame_at(bytes(data))
    data[at + 1 : at + 5] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def patched(data: bytes, after: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(after) + offset
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize("media_type", ["image", "sticker"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_picture_is_unreadable_and_the_child_lives(name: str, media_type: str, children: Children, tmp_path: Path) -> None:
    asyncio.run(children.probe(MEDIA / "harbour.jpg"))
    before = {one.pid for one in children_of(os.getpid())}
    make, told = HOSTILE[name]
    fault = refused(children, tmp_path / "media", make(), media_type)
    assert fault.situation == MEDIA_UNREADABLE and told in fault.details
    assert before <= {one.pid for one in children_of(os.getpid())}


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x89", b"\0", b"R", b"\n"])
def test_nothing_and_a_single_byte_are_refused(data: bytes, children: Children, tmp_path: Path) -> None:
    for media_type in ("image", "sticker"):
        assert refused(children, tmp_path / "media", data, media_type).situation == CONTENT_MISMATCH


POLYGLOTS = {
    "a page that claims to be a picture": (b"<!doctype html><img src=x>" + HARBOUR, CONTENT_MISMATCH),
    "an archive in front": (b"PK\x03\x04" + HARBOUR, CONTENT_MISMATCH),
    "a drawing that opens files": (b'<?xml version="1.0"?><svg><image href="file:///etc/passwd"/></svg>', CONTENT_MISMATCH),
    "a playlist": (b"#EXTM3U\nhttp://127.0.0.1:1/secret\n", CONTENT_MISMATCH),
    "a gif": (pictures.saved(scene(), "GIF", {}), TYPE_NOT_ACCEPTED),
    "a tiff": (pictures.saved(scene(), "TIFF", {}), TYPE_NOT_ACCEPTED),
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_another_kind_of_file_is_named(name: str, children: Children, tmp_path: Path) -> None:
    data, situation = POLYGLOTS[name]
    assert refused(children, tmp_path / "media", data).situation == situation


def test_what_hides_behind_a_picture_does_not_go_out(children: Children, tmp_path: Path) -> None:
    for data in (HARBOUR, pictures.png(), webp(Image.new("RGB", (512, 512)))):
        (tmp_path / "media").write_bytes(data + b"PK\x03\x04 and an archive")
        asyncio.run(sent(children, tmp_path / "media", "sticker" if data[:4] == b"RIFF" else "image"))
        assert b"archive" not in (tmp_path / "rendition").read_bytes()


def test_a_jpeg_that_promises_more_than_there_is_costs_no_more_than_it_promises(children: Children, tmp_path: Path) -> None:
    """Its scan ends early and in good order: every decoder shows the rest in grey, and so will the phone."""
    (tmp_path / "media").write_bytes(resized_jpeg(9_000, 9_000))
    assert asyncio.run(sent(children, tmp_path / "media", "image")).size < 2_000
    assert asyncio.run(sent(children, tmp_path / "media", "sticker")).mime == "image/webp"


def test_an_animation_of_many_pictures_costs_no_more_than_its_first(children: Children, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), (number % 256, 0, 0)) for number in range(600)]
    for form in ("PNG", "WEBP"):
        (tmp_path / "media").write_bytes(pictures.saved(frames[0], form, {"save_all": True, "append_images": frames[1:]}))
        asyncio.run(sent(children, tmp_path / "media", "image"))
        with Image.open(tmp_path / "rendition") as made:
            assert made.format == "JPEG" and made.size == (64, 64)
        assert "animated" in refused(children, tmp_path / "media", (tmp_path / "media").read_bytes(), "sticker").details


WHOLE = {"jpeg": HARBOUR, "png": pictures.png(scene(mode="RGBA")), "webp": webp(scene(512, 512)), "cmyk": pictures.jpeg(scene(mode="CMYK"))}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(WHOLE)), media_type=st.sampled_from(["image", "sticker"]), seed=st.integers(0, 2**32), cut=st.booleans())
def test_cuts_and_flipped_bits_end_in_a_picture_or_a_refusal(
    name: str, media_type: str, seed: int, cut: bool, children: Children, tmp_path: Path
) -> None:
    dice, data = random.Random(seed), bytearray(WHOLE[name])
    if cut:
        del data[dice.randrange(len(data)) :]
    else:
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path = tmp_path / "media"
    path.write_bytes(data)
    before = {one.pid for one in children_of(os.getpid())}
    try:
        rendered = asyncio.run(sent(children, path, media_type))
    except Fault as fault:
        assert fault.situation in (MEDIA_UNREADABLE, TYPE_NOT_ACCEPTED, CONTENT_MISMATCH)
    else:
        assert not cut
        with Image.open(io.BytesIO(path.with_name("rendition").read_bytes())) as made:
            made.load()
        assert rendered.size <= 5_242_863
    assert before <= {one.pid for one in children_of(os.getpid())}


def test_the_cap_on_pixels_is_half_as_high_for_webp(tmp_path: Path) -> None:
    (tmp_path / "media").write_bytes(webp(Image.new("L", (1_000, 501))))
    found = with_pool(lambda pool: pool.probe(tmp_path / "media"), max_pixels=1_000_000)
    assert found.beyond == ("0.6 megapixels; the limit is 0.5 (half of SATCHEL_POSTPROCESS__MAX_PIXELS)",)


def largest(form: str, folder: Path) -> Path:
    """As many pixels as a picture may have, in the dearest way to write them."""
    path = folder / f"largest.{form}"
    match form:
        case "jpeg":
            Image.effect_noise((9_990, 9_990), 50).convert("RGB").save(path, "JPEG", subsampling=0, progressive=True)
        case "png":
            squeeze = zlib.compressobj(1)
            rows = b"".join(squeeze.compress(b"\0" + bytes(range(4)) * 9_990) for _ in range(9_990)) + squeeze.flush()
            path.write_bytes(pictures.png_of(9_990, 9_990, rows, colour=6))
        case _:
            Image.effect_noise((7_060, 7_060), 50).convert("RGBA").rotate(1).save(path, "WEBP", method=0)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("media_type", ["image", "sticker"])
def test_the_largest_picture_is_repaired_within_the_limits(form: str, media_type: str, tmp_path: Path) -> None:
    path, into = largest(form, tmp_path), tmp_path / "rendition"
    mime, most = ("image/jpeg", 5_242_863) if media_type == "image" else ("image/webp", 102_383)

    async def use(pool: Children) -> Rendered:
        assert (await pool.probe(path)).beyond == ()
        return await pool.render(path, Plan(media_type, "convert", mime, most), into)

    assert with_pool(use, seconds=300).size <= most
