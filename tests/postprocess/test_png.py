"""The PNG stripper: what goes, what stays, what is refused; and that no bytes make it do anything but strip or raise `Broken`."""

import io
import math
import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from satchel.postprocess import exif, png, png_data
from satchel.postprocess.broken import Broken

from . import pictures
from .pictures import chunk, chunks, pixels, scene, with_chunk

SMALL = pictures.png(scene(16, 16))
KINDS = {
    "rgb": SMALL,
    "grey": pictures.png(scene(mode="L")),
    "one bit": pictures.png(scene(mode="1")),
    "palette": pictures.png(scene(mode="P")),
    "palette with transparency": pictures.png(scene(mode="P"), transparency=3),
    "grey and alpha": pictures.png(scene(mode="LA")),
    "alpha": pictures.png(scene(mode="RGBA")),
    "16 bits": pictures.png(Image.new("I;16", (9, 9), 40_000)),
    "interlaced": pictures.interlaced(),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS.keys())
def test_stripping_keeps_the_pixels_and_is_done_after_once(data: bytes) -> None:
    stripped = png.strip(data)
    assert pixels(stripped) == pixels(data)
    assert png.strip(stripped) == stripped


def test_text_time_and_private_chunks_go_and_colour_stays() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "somebody")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    data = pictures.png(pnginfo=text, icc_profile=b"profile", dpi=(72, 72))
    for kind, payload in ((b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0"), (b"prVt", b"private"), (b"tIME", bytes(7))):
        data = with_chunk(data, kind, payload)
    before, after = [[kind for kind, _ in chunks(stage)] for stage in (data, png.strip(data))]
    assert {b"tEXt", b"iTXt", b"pHYs", b"prVt", b"tIME"} <= set(before)
    assert sorted(set(after)) == [b"IDAT", b"IEND", b"IHDR", b"gAMA", b"iCCP", b"sRGB"]


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_the_orientation_stays_alone(prefix: bytes) -> None:
    written = Image.Exif()
    written[0x0112], written[0x010F] = 6, "maker"
    data = with_chunk(SMALL, b"eXIf", prefix + written.tobytes().removeprefix(b"Exif\0\0"))
    assert (b"eXIf", exif.minimal(6)) in chunks(png.strip(data))
    with Image.open(io.BytesIO(png.strip(data))) as picture:
        assert dict(picture.getexif()) == {0x0112: 6}


def test_an_orientation_that_is_not_valid_goes_and_so_does_a_second_one() -> None:
    assert png.strip(with_chunk(SMALL, b"eXIf", exif.minimal(9))) == png.strip(SMALL)
    one = with_chunk(SMALL, b"eXIf", exif.minimal(3))
    assert png.strip(with_chunk(one, b"eXIf", exif.minimal(8))) == png.strip(one)


def test_what_follows_the_end_goes() -> None:
    assert png.strip(SMALL + b"PK\x03\x04 an archive") == png.strip(SMALL)


def test_every_cut_is_found() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(Broken):
            png.strip(SMALL[:length])


def test_a_picture_that_may_go_out_lacks_nothing() -> None:
    found = png.header(SMALL)
    assert (found.width, found.height, found.lacks) == (16, 16, ())


def test_what_a_picture_lacks_is_read_from_its_header() -> None:
    assert png.header(KINDS["16 bits"]).lacks == ("16 bits per sample; pictures must have at most 8",)
    assert png.header(pictures.animation()).animated


HEADER = chunk(b"IHDR", SMALL[16:29])
BROKEN = [
    (b"", "does not begin"),
    (SMALL[:8] + SMALL[33:], "not the first"),
    (SMALL[:33] + HEADER + SMALL[33:], "not the first"),
    (SMALL[:33] + chunk(b"IEND", b""), "no picture"),
    (with_chunk(SMALL, b"CgBI", b""), "no picture has"),
    (with_chunk(SMALL, b"a\0bc", b""), "no picture has"),
    (with_chunk(with_chunk(SMALL, b"tEXt", b"", b"IEND"), b"IDAT", b"", b"IEND"), "interrupted"),
    (with_chunk(SMALL, b"tRNS", bytes(6), b"IEND"), "too late"),
    (SMALL.replace(b"IEND\xae", b"IEND\xaf"), "checksum of its IEND"),
    (SMALL[:60] + bytes([SMALL[60] ^ 1]) + SMALL[61:], "checksum of its IDAT"),
]


@pytest.mark.parametrize(("data", "why"), BROKEN, ids=[f"{number} {why}" for number, (_, why) in enumerate(BROKEN)])
def test_what_no_decoder_takes_is_broken(data: bytes, why: str) -> None:
    with pytest.raises(Broken, match=why):
        png.strip(data)


@pytest.mark.parametrize(
    "payload",
    [
        (0, 1, 8, 2, 0, 0, 0),
        (1, 0, 8, 2, 0, 0, 0),
        (1, 1, 4, 2, 0, 0, 0),
        (1, 1, 8, 5, 0, 0, 0),
        (1, 1, 8, 2, 1, 0, 0),
        (1, 1, 8, 2, 0, 0, 2),
    ],
)
def test_a_header_that_states_what_no_png_has_is_broken(payload: tuple[int, ...]) -> None:
    with pytest.raises(Broken, match="header chunk"):
        png.header(SMALL[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", *payload)) + SMALL[33:])


def test_a_palette_picture_without_palette_is_broken() -> None:
    with pytest.raises(Broken, match="palette"):
        png.header(SMALL[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 3, 0, 0, 0)) + SMALL[33:])


def size(bits: int, colour: int, width: int, height: int, interlaced: bool) -> int:
    """Bytes the picture data of such a PNG inflate to, by the book and pixel by pixel."""
    passes = (
        [(1, 1, 8, 8), (1, 5, 8, 8), (5, 1, 8, 4), (1, 3, 4, 4), (3, 1, 4, 2), (1, 2, 2, 2), (2, 1, 2, 1)] if interlaced else [(1, 1, 1, 1)]
    )
    total = 0
    for first_row, first_column, down, across in passes:
        columns = len(range(first_column, width + 1, across))
        total += len(range(first_row, height + 1, down)) * (1 + math.ceil(columns * bits * png_data.CHANNELS[colour] / 8)) if columns else 0
    return total


@settings(deadline=None)
@given(
    st.sampled_from([(bits, colour) for colour, depths in png.DEPTHS.items() for bits in depths]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
    st.integers(1, 300),
)
def test_picture_data_are_whole_with_every_byte_and_not_with_one_less(
    kind: tuple[int, int], width: int, height: int, interlaced: bool, part: int
) -> None:
    bits, colour = kind
    count = size(bits, colour, width, height, interlaced)

    def prove(length: int) -> None:
        data = memoryview(zlib.compress(bytes(length)))
        follow([data[at : at + part] for at in range(0, len(data), part)], width, height, bits * png_data.CHANNELS[colour], interlaced)

    prove(count)
    prove(count + 7)
    with pytest.raises(Broken, match="end before"):
        prove(count - 1)


def test_picture_data_that_span_many_blocks_are_followed_row_by_row() -> None:
    rows = bytearray(b"\4" + b"\xff" * 3000) * 1200
    prove_rows(rows)
    rows[3001 * 1150] = 5
    with pytest.raises(Broken, match="filter"):
        prove_rows(rows)


def prove_rows(rows: bytearray) -> None:
    follow([memoryview(zlib.compress(rows, 0))], 1000, 1200, 24, False)


def follow(parts: list[memoryview], width: int, height: int, bits_per_pixel: int, interlaced: bool) -> None:
    stream = png_data.Stream(width, height, bits_per_pixel, interlaced)
    for part in parts:
        assert stream.used(part) == len(part)
    stream.end()


def test_a_bomb_behind_the_picture_is_not_inflated_to_its_end() -> None:
    follow([memoryview(zlib.compress(bytes(2 + png_data.SPARE)))], 1, 1, 8, False)
    with pytest.raises(Broken, match="go on behind the picture"):
        follow([memoryview(zlib.compress(bytes(3 + png_data.SPARE)))], 1, 1, 8, False)


def test_a_picture_cut_in_its_data_strips_and_is_not_proven() -> None:
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    data = png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(71))) + chunk(b"IEND", b"")
    assert png.strip(data)
    with pytest.raises(Broken, match="end before"):
        png.strip(data, proven=True)


def test_damaged_picture_data_are_broken() -> None:
    with pytest.raises(Broken, match="damaged"):
        follow([memoryview(b"not zlib at all")], 1, 1, 8, False)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([SMALL, KINDS["palette with transparency"], pictures.animation()]), st.integers(0, 2**32), st.integers(1, 12))
def test_changed_bytes_are_stripped_or_broken_and_nothing_else(data: bytes, seed: int, changes: int) -> None:
    dice, mutated = random.Random(seed), bytearray(data)
    for _ in range(changes):
        mutated[dice.randrange(8, len(mutated))] = dice.randrange(256)
    try:
        png.header(mutated)
        stripped = png.strip(mutated)
    except Broken:
        return
    assert png.strip(stripped) == stripped


def test_chunks_without_end_are_refused() -> None:
    filled = SMALL[:33] + chunk(b"prVt", b"") * 60_000
    assert pixels(png.strip(filled + SMALL[33:])) == pixels(SMALL)
    with pytest.raises(Broken, match="more than 65536 chunks"):
        png.strip(filled + chunk(b"prVt", b"") * 6_000 + SMALL[33:])


def test_nothing_hides_behind_the_picture_data_or_in_a_colour_chunk() -> None:
    whole = pictures.png(scene(16, 16))
    at = whole.index(b"IDAT")
    length = int.from_bytes(whole[at - 4 : at], "big")
    payload = whole[at + 4 : at + 4 + length]
    hidden = b"49.2827N 123.1207W"
    behind = whole[: at - 4] + chunk(b"IDAT", payload + hidden) + chunk(b"IDAT", hidden) + whole[at + 8 + length :]
    coloured = with_chunk(with_chunk(whole, b"gAMA", hidden), b"sBIT", b"\x08\x08\x08")
    twice = with_chunk(with_chunk(whole, b"gAMA", b"\0\0\xb1\x8f"), b"gAMA", hidden[:4])
    for data in (behind, coloured, twice):
        assert hidden[:4] not in png.strip(data).replace(b"\0\0\xb1\x8f", b"")
        assert pixels(png.strip(data)) == pixels(whole)
    assert b"sBIT" in png.strip(coloured)
    assert png.strip(twice).count(b"gAMA") == 1
