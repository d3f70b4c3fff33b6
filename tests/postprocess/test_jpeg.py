"""The JPEG stripper: what goes, what stays, what is refused; and that no bytes make it do anything but strip or raise `Broken`."""

import io
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from satchel.postprocess import exif, jpeg
from satchel.postprocess.broken import Broken

from . import pictures
from .pictures import HARBOUR, frame_at, markers, pixels, scene, segment

SMALL = pictures.jpeg(scene(16, 16), quality=30)
RESTARTS = pictures.jpeg(restart_marker_blocks=1)
PROGRESSIVE = pictures.jpeg(progressive=True)
KINDS = {
    "harbour": HARBOUR,
    "baseline": pictures.jpeg(),
    "progressive": PROGRESSIVE,
    "grey": pictures.jpeg(scene(mode="L")),
    "cmyk": pictures.jpeg(scene(mode="CMYK")),
    "restarts": RESTARTS,
    "4:4:4": pictures.jpeg(subsampling=0),
    "rgb": pictures.jpeg(keep_rgb=True),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS.keys())
def test_stripping_keeps_the_pixels_and_is_done_after_once(data: bytes) -> None:
    stripped = jpeg.strip(data)
    assert pixels(stripped) == pixels(data)
    assert jpeg.strip(stripped) == stripped


def test_nothing_of_the_harbour_stays_but_the_picture_its_colour_and_its_orientation() -> None:
    stripped = jpeg.strip(HARBOUR)
    for gone in (b"Satchel", b"maker note", b"drawn by", b"adobe:ns:meta", b"2024:05:01", b"http://ns.adobe.com"):
        assert gone in HARBOUR and gone not in stripped
    assert stripped.count(b"\xff\xd8\xff") == 1 < HARBOUR.count(b"\xff\xd8\xff"), "the thumbnail is a picture of its own"
    with Image.open(io.BytesIO(stripped)) as after, Image.open(io.BytesIO(HARBOUR)) as before:
        assert dict(after.getexif()) == {0x0112: 6}
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert after.info["dpi"] == before.info["dpi"]


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("order", ["big", "little"])
def test_a_valid_orientation_stays_alone(value: int, order: str) -> None:
    written = Image.Exif()
    written.endian = "<" if order == "little" else ">"
    written[0x0112], written[0x010F] = value, "maker"
    stripped = jpeg.strip(pictures.jpeg(exif=written.tobytes()))
    assert segment(0xE1, b"Exif\0\0" + exif.minimal(value)) in stripped and b"maker" not in stripped


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"II*\0",
        b"MM\0*\0\0\0\x08",
        b"MM\0*\xff\xff\xff\xff",
        exif.minimal(9),
        exif.minimal(0),
        b"XX" + exif.minimal(6)[2:],
        exif.minimal(6)[:20],
    ],
)
def test_an_orientation_that_is_not_valid_goes(tiff: bytes) -> None:
    data = SMALL[:2] + segment(0xE1, b"Exif\0\0" + tiff) + SMALL[2:]
    assert jpeg.strip(data) == jpeg.strip(SMALL)


def test_only_the_first_exif_counts() -> None:
    first, second = (segment(0xE1, b"Exif\0\0" + exif.minimal(value)) for value in (3, 8))
    assert jpeg.strip(SMALL[:2] + first + second + SMALL[2:]) == SMALL[:2] + first + jpeg.strip(SMALL)[2:]


@pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE])
def test_foreign_segments_go(marker: int) -> None:
    data = SMALL[:2] + segment(marker, b"JFXX\0 something private") + SMALL[2:]
    assert jpeg.strip(data) == jpeg.strip(SMALL)


def test_the_thumbnail_inside_jfif_goes_and_what_hides_behind_adobe() -> None:
    assert SMALL[2:4] == b"\xff\xe0"
    thumbnail = SMALL[:2] + segment(0xE0, SMALL[6:18] + b"\x01\x01abc") + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01private") + SMALL[20:]
    stripped = jpeg.strip(thumbnail)
    assert stripped == SMALL[:20] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01") + jpeg.strip(SMALL)[20:]


@pytest.mark.parametrize("tail", [b"\0", b"PK\x03\x04 an archive", HARBOUR, b"\xff\xd9"])
def test_what_follows_the_end_goes(tail: bytes) -> None:
    assert jpeg.strip(SMALL + tail) == jpeg.strip(SMALL)


def test_the_second_picture_of_an_mpo_goes() -> None:
    out = io.BytesIO()
    scene().save(out, "MPO", save_all=True, append_images=[scene(24, 24)])
    stripped = jpeg.strip(out.getvalue())
    assert b"MPF\0" in out.getvalue() and b"MPF\0" not in stripped
    with Image.open(io.BytesIO(stripped)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (48, 32))


def test_what_cameras_and_libjpeg_tolerate_is_tolerated() -> None:
    plain = jpeg.strip(SMALL)
    position, loose = 2, plain[:2]
    for _ in markers(plain):
        end = position + 2 + int.from_bytes(plain[position + 2 : position + 4], "big")
        loose += (b"\xff\xff" if position == 2 else b"\0stray\xff\0\xff\xff") + plain[position:end]
        position = end
    loose += plain[position:-2] + b"\xff\xff\xff\xd9"
    assert pixels(loose) == pixels(SMALL)
    assert jpeg.strip(loose) == plain
    bare = SMALL[:2] + SMALL[20:]
    assert 0xE0 in markers(SMALL) and 0xE0 not in markers(jpeg.strip(bare))


def test_a_height_stated_again_after_the_scan_goes() -> None:
    height = jpeg.header(SMALL).height.to_bytes(2, "big")
    data = SMALL[:-2] + segment(0xDC, height) + SMALL[-2:]
    assert jpeg.strip(data) == jpeg.strip(SMALL)


@pytest.mark.parametrize(
    "data", [SMALL, pictures.jpeg(scene(16, 16), progressive=True), pictures.jpeg(scene(16, 16), restart_marker_blocks=1)]
)
def test_every_cut_is_found(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(Broken):
            jpeg.strip(data[:length])


def edited(at: int, value: bytes, data: bytes = SMALL) -> bytes:
    place = frame_at(data) + at
    return data[:place] + value + data[place + len(value) :]


BEYOND = [
    (edited(0, b"\x0c"), "12 bits per sample; pictures must have 8"),
    (edited(5, b"\x02"), "2 colour components; pictures must have 1 or 3"),
    (edited(1, b"\0\0"), "no height in its header; pictures must state it"),
    (edited(-3, b"\xc3"), "lossless coding; pictures must be baseline or progressive"),
    (edited(-3, b"\xc5"), "hierarchical coding; pictures must be baseline or progressive"),
    (edited(-3, b"\xde"), "hierarchical coding; pictures must be baseline or progressive"),
    (edited(-3, b"\xc9"), "arithmetic coding; pictures must be baseline or progressive"),
    (edited(-3, b"\xf7"), "JPEG-LS coding; pictures must be baseline or progressive"),
]


@pytest.mark.parametrize(("data", "why"), BEYOND, ids=[why for _, why in BEYOND])
def test_what_is_never_decoded_is_read_from_the_header(data: bytes, why: str) -> None:
    assert jpeg.header(data).beyond == (why,)


def test_what_a_picture_lacks_is_read_from_its_header() -> None:
    found = jpeg.header(KINDS["cmyk"])
    assert found.lacks == ("4 colour components (CMYK); pictures must have 1 or 3",) and not found.beyond


def test_orientation_and_profile_are_read() -> None:
    written = Image.Exif()
    written[0x0112] = 8
    profile = bytes(range(256)) * 600
    data = memoryview(pictures.jpeg(exif=written, icc_profile=profile))
    assert (jpeg.orientation(data), jpeg.profile(data)) == (8, profile)
    assert (jpeg.orientation(memoryview(SMALL)), jpeg.profile(memoryview(SMALL))) == (1, b"")


def test_a_profile_that_misses_a_piece_is_none() -> None:
    data = pictures.jpeg(icc_profile=bytes(range(256)) * 600)
    at = data.index(b"ICC_PROFILE\0\2")
    assert jpeg.profile(memoryview(data[: at + 12] + b"\7" + data[at + 13 :])) == b""


@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey", "restarts", "rgb"])
def test_a_picture_that_may_go_out_lacks_nothing(kind: str) -> None:
    found = jpeg.header(KINDS[kind])
    assert (found.width, found.height, found.lacks) == (48, 32, ())


BROKEN = [
    (b"", "does not begin"),
    (SMALL[:2] + SMALL, "FFD8"),
    (SMALL[:2] + b"\xff\x02\0\x02" + SMALL[2:], "FF02"),
    (SMALL[:2] + b"\xff\xfe\0\x01" + SMALL[2:], "length"),
    (b"\xff\xd8\xff\xd9", "no picture"),
    (SMALL[:2] + SMALL[frame_at(SMALL) - 4 :].replace(b"\xff\xc0", b"\xff\xfe", 1), "scan before"),
    (
        SMALL[: frame_at(SMALL) - 4] + segment(0xC0, SMALL[frame_at(SMALL) : frame_at(SMALL) + 15]) + SMALL[frame_at(SMALL) - 4 :],
        "two frame",
    ),
]


@pytest.mark.parametrize(("data", "why"), BROKEN, ids=[why for _, why in BROKEN])
def test_what_no_decoder_takes_is_broken(data: bytes, why: str) -> None:
    with pytest.raises(Broken, match=why):
        jpeg.strip(data)


@pytest.mark.parametrize("data", [b"\xff\xd8\xff\xd9", edited(3, b"\0\0"), edited(5, b"\xff"), edited(-2, b"\0\x04")])
def test_a_header_that_states_no_size_is_broken(data: bytes) -> None:
    with pytest.raises(Broken):
        jpeg.header(data)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([SMALL, RESTARTS, PROGRESSIVE, HARBOUR[:6000] + HARBOUR[-2000:]]), st.integers(0, 2**32), st.integers(1, 12))
def test_changed_bytes_are_stripped_or_broken_and_nothing_else(data: bytes, seed: int, changes: int) -> None:
    dice, mutated = random.Random(seed), bytearray(data)
    for _ in range(changes):
        mutated[dice.randrange(2, min(len(mutated), 900))] = dice.choice((0, 0xFF, 0xD9, 0xDA, 0xE1, dice.randrange(256)))
    try:
        jpeg.header(mutated)
        stripped = jpeg.strip(mutated)
    except Broken:
        return
    assert jpeg.strip(stripped) == stripped and len(stripped) <= len(mutated) + 34


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\0", b"\0", b"\xff\xfe\0\x02", b"\xff\xd0", b"\xff\xe1\0\x08Exif\0\0"])
@pytest.mark.parametrize("place", ["between", "scan"])
def test_hostile_filler_takes_time_linear_in_its_length(filler: bytes, place: str) -> None:
    at = 2 if place == "between" else len(SMALL) - 2
    hostile = SMALL[:at] + filler * (2_000_000 // len(filler)) + SMALL[at:]
    begin = time.process_time()
    try:
        jpeg.strip(hostile)
    except Broken:
        pass
    assert time.process_time() - begin < 3
