"""The WebP stripper: what goes, what stays, what is refused; and that no bytes make it do anything but strip or raise `Broken`."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from satchel.postprocess import webp
from satchel.postprocess.broken import Broken

from . import pictures
from .pictures import pixels, scene


def saved(picture: Image.Image, **options: object) -> bytes:
    return pictures.saved(picture, "WEBP", options)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) & 1) for kind, payload in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, position = [], 12
    while position < len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        found.append((kind, data[position + 8 : position + 8 + size]))
        position += 8 + size + (size & 1)
    return found


def half_clear() -> Image.Image:
    picture = scene().convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 20, 20))
    return picture


def exif() -> bytes:
    written = Image.Exif()
    written[0x0112], written[0x010F] = 6, "maker"
    return written.tobytes()


KINDS = {
    "lossy": saved(scene()),
    "lossless": saved(scene(), lossless=True),
    "lossy, alpha": saved(half_clear()),
    "lossless, alpha": saved(half_clear(), lossless=True),
    "everything": saved(half_clear(), exif=exif(), xmp=b"<x:xmpmeta/>", icc_profile=bytes(129)),
}
ANIMATED = saved(scene(), save_all=True, append_images=[scene(mode="L")], exif=exif())


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS.keys())
def test_stripping_keeps_the_pixels_and_is_done_after_once(data: bytes) -> None:
    stripped = webp.strip(memoryview(data))
    assert pixels(stripped) == pixels(data)
    assert webp.strip(memoryview(stripped)) == stripped
    found = webp.header(memoryview(stripped))
    assert (found.width, found.height, found.animated) == (48, 32, False)
    assert found == webp.header(memoryview(data))


def test_metadata_go_and_the_colour_profile_stays() -> None:
    data = KINDS["everything"]
    assert {b"EXIF", b"XMP ", b"ICCP"} <= {kind for kind, _ in chunks(data)}
    stripped = chunks(webp.strip(memoryview(data)))
    assert [kind for kind, _ in stripped] == [b"VP8X", b"ICCP", b"ALPH", b"VP8 "]
    assert stripped[0][1][0] == webp.PROFILE | webp.ALPHA
    assert b"maker" not in webp.strip(memoryview(data)) and b"xmpmeta" not in webp.strip(memoryview(data))
    bare = webp.strip(memoryview(data), bare=True)
    assert b"ICCP" not in bare and pixels(bare) == pixels(data)


def test_unknown_chunks_and_what_follows_the_end_go() -> None:
    data = riff(*chunks(KINDS["everything"]), (b"hide", b"49.2827N")) + b"PK\x03\x04"
    assert webp.strip(memoryview(data)) == webp.strip(memoryview(KINDS["everything"]))


def test_orientation_and_profile_are_read() -> None:
    data = memoryview(KINDS["everything"])
    assert (webp.orientation(data), webp.profile(data)) == (6, bytes(129))
    assert (webp.orientation(memoryview(KINDS["lossy"])), webp.profile(memoryview(KINDS["lossy"]))) == (1, b"")


def test_an_animation_is_noticed_and_its_first_picture_kept() -> None:
    assert webp.header(memoryview(ANIMATED)).animated
    first = webp.strip(memoryview(ANIMATED))
    assert [kind for kind, _ in chunks(first)].count(b"ANMF") == 1 and b"maker" not in first
    assert pixels(first) == pixels(ANIMATED)


LOSSY = chunks(KINDS["lossy"])[0][1]
CANVAS = bytes(4) + (47).to_bytes(3, "little") + (31).to_bytes(3, "little")
BROKEN = [
    (b"", "begin as a WebP"),
    (b"RIFF\0\0\0\0WEBP", "no picture"),
    (KINDS["lossy"][:-2], "cut off"),
    (riff((b"VP8 ", LOSSY), (b"VP8 ", LOSSY)), "two pictures"),
    (riff((b"VP8X", CANVAS[:9]), (b"VP8 ", LOSSY)), "too short"),
    (riff((b"VP8X", CANVAS)), "not of the size"),
    (riff((b"VP8X", CANVAS[:9] + b"\1"), (b"VP8 ", LOSSY)), "not of the size"),
    (riff((b"VP8X", b"\2" + CANVAS[1:]), (b"VP8 ", LOSSY)), "no picture"),
    (riff((b"VP8 ", LOSSY[:9])), "does not begin as one"),
    (riff((b"VP8L", b"\x2e" + bytes(9))), "does not begin as one"),
    (riff((b"VP8 ", LOSSY[:6] + bytes(20))), "no size"),
    (b"RIFF\x20\0\0\0WEBPVP8 \xff\0\0\0" + bytes(30), "inside a chunk"),
]


@pytest.mark.parametrize(("data", "why"), BROKEN)
def test_a_container_that_does_not_hold_together_is_broken(data: bytes, why: str) -> None:
    with pytest.raises(Broken, match=why):
        webp.header(memoryview(data))


def test_chunks_without_end_are_refused() -> None:
    with pytest.raises(Broken, match="more than 65536 chunks"):
        webp.header(memoryview(riff((b"VP8 ", LOSSY), *[(b"hide", b"")] * 66_000)))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*KINDS.values(), ANIMATED]), st.integers(0, 2**32), st.integers(1, 12))
def test_changed_bytes_are_stripped_or_broken_and_nothing_else(data: bytes, seed: int, changes: int) -> None:
    dice, mutated = random.Random(seed), bytearray(data)
    for _ in range(changes):
        mutated[dice.randrange(4, len(mutated))] = dice.randrange(256)
    try:
        found = webp.header(memoryview(mutated))
        stripped = memoryview(webp.strip(memoryview(mutated)))
    except Broken:
        return
    assert webp.header(stripped) == found and webp.strip(stripped) == stripped
