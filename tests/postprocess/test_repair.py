"""Repairs: what comes out of a picture that cannot go out as it is. Every result is judged again by the probe and the rules."""

import io
import random
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

from satchel.domain.media import Facts
from satchel.domain.plans import Plan, Rules, plan
from satchel.postprocess import held, image, jpeg, pixels, png, repair, webp
from satchel.postprocess.broken import Broken, Unfit
from satchel.postprocess.sniff import sniff

from . import pictures
from .pictures import HARBOUR, scene

MOST_PIXELS = 100_000_000
RULES = Rules(background="#ff8000")
ORANGE = (255, 128, 0)


def probed(data: bytes) -> Facts:
    return image.probe(memoryview(data), *sniff(data), MOST_PIXELS)


def repaired(data: bytes, media_type: str = "image", most: int | None = None) -> bytes:
    """What goes out, by the plan that the rules make; it must be compliant, and have nothing to be taken off."""
    todo = plan(probed(data), media_type, RULES)
    if most:
        mime = "image/jpeg" if media_type == "image" else "image/webp"
        todo = Plan(media_type, "convert", mime, most, background=RULES.background)
    mime, made = image.render(memoryview(data), sniff(data)[0], todo, MOST_PIXELS) if todo.action != "keep" else (str(todo.mime), data)
    again = plan(probed(made), media_type, Rules(image="refuse", sticker="refuse"))
    assert (again.action, again.mime) == ("keep", mime)
    assert len(made) <= (most or todo.most)
    return made


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def close(first: Image.Image, second: Image.Image, most: float = 6.0) -> bool:
    """Whether two pictures look the same from some way off: the mean difference of a sample, of 255."""
    size = max(1, first.width // 4), max(1, first.height // 4)
    difference = ImageChops.difference(first.convert("RGB").resize(size), second.convert("RGB").resize(size))
    return max(ImageStat.Stat(difference).mean) < most


def half_clear(mode: str = "RGBA", size: tuple[int, int] = (64, 48)) -> Image.Image:
    picture = Image.new("RGBA", size, (0, 0, 200, 255))
    picture.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    return picture.convert(mode)


CLEAR: dict[str, bytes] = {
    "png, alpha": pictures.png(half_clear()),
    "png, grey and alpha": pictures.png(half_clear("LA")),
    "png, palette": pictures.png(half_clear().quantize(8)),
    "webp, lossy": pictures.saved(half_clear(), "WEBP", {}),
    "webp, lossless": pictures.saved(half_clear(), "WEBP", {"lossless": True}),
    "one bit": pictures.png(Image.new("1", (64, 48), 1), transparency=1),
    "two bits": pictures.grey_png(2, [2, 2, 2, 1], (b"tRNS", b"\0\2")),
    "16 bits": pictures.png(Image.new("I;16", (64, 48), 0x0700), transparency=0x0700),
    "colour": pictures.png(Image.new("RGB", (64, 48), (7, 8, 9)), transparency=(7, 8, 9)),
}


@pytest.mark.parametrize("name", CLEAR)
def test_p10_transparency_becomes_the_background(name: str) -> None:
    assert probed(CLEAR[name]).transparent
    made = opened(repaired(CLEAR[name]))
    found = made.convert("RGB").getpixel((0, 0))
    assert isinstance(found, tuple) and all(abs(a - b) < 12 for a, b in zip(found, ORANGE, strict=True))


def test_half_transparent_pixels_are_mixed_with_the_background() -> None:
    made = opened(repaired(pictures.png(Image.new("RGBA", (64, 64), (0, 0, 255, 128)))))
    found = made.getpixel((30, 30))
    assert isinstance(found, tuple) and all(abs(a - b) < 6 for a, b in zip(found, (127, 64, 128), strict=True))


SAME: dict[str, bytes] = {
    "cmyk": pictures.jpeg(scene(mode="CMYK"), quality=95),
    "webp": pictures.saved(scene(), "WEBP", {"quality": 95}),
    "16 bits of grey": pictures.png(scene(mode="L").convert("I").point(lambda level: level * 256).convert("I;16")),
    "animated png": pictures.png(scene(), save_all=True, append_images=[Image.new("RGB", (48, 32), "red")]),
    "animated webp": pictures.saved(
        scene(), "WEBP", {"save_all": True, "append_images": [Image.new("RGB", (48, 32), "red")], "quality": 95}
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_p09_what_comes_out_looks_as_what_went_in(name: str) -> None:
    expected = scene(mode="L") if "grey" in name else scene()
    made = opened(repaired(SAME[name]))
    assert made.size == (48, 32) and close(made, expected, 12.0)
    assert made.mode == ("L" if "grey" in name else "RGB")


def test_grey_stays_grey_and_of_a_jpeg_with_more_pictures_the_first_goes_out() -> None:
    first = pictures.jpeg(scene(mode="L"), quality=95)
    assert opened(repaired(first + pictures.jpeg(Image.new("L", (48, 32))), most=1_000)).mode == "L"
    many = io.BytesIO()
    scene().save(many, "MPO", save_all=True, append_images=[Image.new("RGB", (48, 32), "red")])
    assert sniff(many.getvalue())[0] == "jpeg"
    assert close(opened(repaired(many.getvalue())), scene())


def orientated(value: int) -> Image.Exif:
    written = Image.Exif()
    written[0x0112], written[0x010F] = value, "maker"
    return written


UPRIGHT = Image.new("RGB", (64, 32), "white")
UPRIGHT.paste((200, 0, 0), (0, 0, 32, 16))
UPRIGHT.paste((0, 0, 200), (32, 0, 64, 16))
MAKE: dict[str, Callable[[Image.Image, Image.Exif], bytes]] = {
    "jpeg": lambda picture, written: pictures.jpeg(picture, quality=95, exif=written),
    "png": lambda picture, written: pictures.png(picture, exif=written),
    "webp": lambda picture, written: pictures.saved(picture, "WEBP", {"quality": 95, "exif": written}),
}


@pytest.mark.parametrize("form", MAKE)
@pytest.mark.parametrize("value", range(1, 9))
def test_a_re_encoded_picture_is_turned_upright(form: str, value: int) -> None:
    stored = UPRIGHT.transpose(repair.UPRIGHT[{6: 8, 8: 6}.get(value, value)]) if value > 1 else UPRIGHT
    data = MAKE[form](stored, orientated(value))
    made = repaired(data, most=10_000)
    assert close(opened(made), UPRIGHT) and b"Exif" not in made and b"maker" not in made
    sticker = opened(repaired(data, "sticker"))
    assert close(
        Image.alpha_composite(Image.new("RGBA", (512, 512), "white"), sticker.convert("RGBA")).crop((0, 128, 512, 384)).resize((64, 32)),
        UPRIGHT,
    )


def test_a_stripped_picture_keeps_its_orientation() -> None:
    made = repaired(pictures.jpeg(UPRIGHT, exif=orientated(6)))
    assert dict(opened(made).getexif()) == {0x0112: 6}


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("media_type", ["image", "sticker"])
def test_a_colour_profile_stays_where_it_describes_the_result(media_type: str) -> None:
    for profile, kept in ((srgb(), srgb()), (bytes(16) + b"CMYK" + bytes(100), None), (srgb().ljust(700_000, b"\0"), None), (b"no", None)):
        data = pictures.saved(half_clear(), "WEBP", {"icc_profile": profile})
        assert opened(repaired(data, media_type)).info.get("icc_profile") == kept


def test_a_profile_of_inks_that_is_none_harms_nothing() -> None:
    """Real ones are for sale; a broken one must not be the end of the picture."""
    data = pictures.jpeg(scene(mode="CMYK"), icc_profile=bytes(16) + b"CMYK" + bytes(400))
    assert pixels.cmyk_to_srgb(bytes(16) + b"CMYK" + bytes(400)) is None
    assert "icc_profile" not in opened(repaired(data)).info


def test_a_png_profile_that_never_ends_is_dropped() -> None:
    data = pictures.with_chunk(pictures.png(half_clear()), b"iCCP", b"x\0\0" + zlib.compress(bytes(100 << 20)))
    assert png.profile(memoryview(data)) == b""
    assert "icc_profile" not in opened(repaired(data)).info


@pytest.mark.parametrize("quality", repair.QUALITIES)
def test_the_first_quality_that_fits_is_taken(quality: int) -> None:
    picture = scene(400, 300)
    sizes = [len(repair.saved(picture, "JPEG", quality=one)) for one in repair.QUALITIES]
    at = repair.QUALITIES.index(quality)
    data = pictures.png(picture)
    assert len(repaired(data, most=sizes[at])) == sizes[at]
    smaller = repaired(data, most=sizes[at] - 1)
    assert len(smaller) < sizes[at] and (opened(smaller).size == (400, 300)) == (at < 3)


def test_what_fits_at_no_quality_becomes_smaller() -> None:
    made = repaired(pictures.png(scene(400, 300)), most=3_000)
    width, height = opened(made).size
    assert width < 400 and abs(width * 3 - height * 4) <= 4 and len(made) > 1_500


def test_what_fits_not_even_as_one_pixel_is_told() -> None:
    with pytest.raises(Unfit, match="one pixel"):
        repair.to_image(memoryview(pictures.jpeg()), "jpeg", Plan("image", "convert", "image/jpeg", 100))


def padded(data: bytes, size: int) -> bytes:
    """A JPEG made longer by a colour profile, which a strip keeps, so that it is stripped to exactly this size."""
    missing, pieces = size - len(jpeg.strip(data)), b""
    while missing:
        length = min(missing, 60_000) if missing - 60_000 not in range(1, 40) else 30_000
        pieces += pictures.segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(length - 18))
        missing -= length
    return data[:2] + pieces + data[2:]


def test_p08_the_ceiling_of_an_image_is_exact() -> None:
    whole = padded(HARBOUR, 5_242_863)
    assert probed(whole).size == 5_242_863
    assert len(repaired(whole)) == 5_242_863
    over = padded(HARBOUR, 5_242_864)
    assert plan(probed(over), "image", RULES).action == "convert"
    assert len(repaired(over)) < 300_000


def test_an_opaque_png_over_the_ceiling_becomes_a_jpeg() -> None:
    noise = Image.effect_noise((1400, 1400), 90)
    data = pictures.png(
        Image.merge("RGB", (noise, noise.transpose(Image.Transpose.ROTATE_90), noise.transpose(Image.Transpose.ROTATE_180)))
    )
    assert len(data) > 5_242_863
    assert opened(repaired(data)).format == "JPEG"


def sticker(size: int = 0, **options: object) -> bytes:
    """A compliant sticker; with a profile that makes it exactly `size` bytes."""
    data = pictures.saved(half_clear(size=(512, 512)), "WEBP", options)
    if size:
        bare = webp.strip(memoryview(pictures.saved(half_clear(size=(512, 512)), "WEBP", {"icc_profile": b"1234"})))
        data = pictures.saved(half_clear(size=(512, 512)), "WEBP", {"icc_profile": bytes(size - len(bare) + 4)})
    return data


def test_p08_the_ceiling_of_a_sticker_is_exact() -> None:
    """The bytes of a WebP are even in number."""
    whole, over = sticker(102_382), sticker(102_384)
    assert probed(whole).size == 102_382 and repaired(whole, "sticker") == whole
    assert probed(over).size == 102_384 and plan(probed(over), "sticker", RULES).action == "convert"
    assert len(repaired(over, "sticker")) < 50_000


def test_a_compliant_sticker_loses_its_metadata_and_nothing_else() -> None:
    made = repaired(sticker(exif=orientated(6), xmp=b"<x:xmpmeta/>"), "sticker")
    assert opened(made).tobytes() == opened(sticker()).tobytes() and b"xmp" not in made and b"maker" not in made


@pytest.mark.parametrize("size", [(48, 32), (32, 48), (512, 512), (2000, 10), (1, 1), (513, 511), (3000, 2000)])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_any_still_picture_becomes_a_sticker(form: str, size: tuple[int, int]) -> None:
    made = opened(repaired(pictures.saved(Image.new("RGB", size, (200, 40, 40)), form, {}), "sticker")).convert("RGBA")
    assert made.size == (512, 512)
    middle = made.getpixel((256, 256))
    assert isinstance(middle, tuple) and middle[3] > 250 and all(abs(a - b) < 12 for a, b in zip(middle, (200, 40, 40), strict=False))
    corner = made.getpixel((0, 0))
    assert isinstance(corner, tuple) and (corner[3] == 0) == (size[0] != size[1])


def test_noise_becomes_a_sticker_that_fits() -> None:
    noise = Image.frombytes("RGB", (600, 600), random.Random(1).randbytes(600 * 600 * 3))
    made = repaired(pictures.png(noise), "sticker")
    assert 50_000 < len(made) <= 102_383


def test_a_repair_is_the_same_every_time_and_whether_or_not_the_picture_was_held() -> None:
    data = memoryview(CLEAR["png, alpha"])
    todo = plan(image.probe(data, "png", "image/png", MOST_PIXELS), "image", RULES)
    assert held._held
    first = image.render(data, "png", todo, MOST_PIXELS)
    assert not held._held
    assert image.render(data, "png", todo, MOST_PIXELS) == first
    image.probe(memoryview(CLEAR["webp, lossy"]), "webp", "image/webp", MOST_PIXELS)
    assert image.render(data, "png", todo, MOST_PIXELS) == first and not held._held


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_a_repair_judges_the_header_again(form: str) -> None:
    data = memoryview(pictures.saved(Image.new("L", (300, 200)), form.upper(), {}))
    with pytest.raises(Broken, match="megapixels"):
        image.render(data, form, Plan("image", "convert", "image/jpeg", 100_000), 30_000)


def test_a_large_picture_is_made_smaller_while_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "MOST_PIXELS", 10_000)
    for form in ("JPEG", "PNG", "WEBP"):
        made = opened(repaired(pictures.saved(scene(400, 300), form, {}), most=50_000))
        assert made.size == (100, 75) if form != "JPEG" else made.size in ((100, 75), (50, 38))
        assert close(made, scene(400, 300).resize(made.size), 9.0)
    long = pixels.rebuilt(Image.new("L", (200_000, 1)), repair.image_factor, lambda strip: strip)
    assert max(long.size) <= repair.MOST_SIDE


MODES = st.sampled_from(["1", "L", "P", "RGB", "LA", "RGBA", "I;16"])


@settings(max_examples=60, deadline=None)
@given(MODES, st.integers(1, 90), st.integers(1, 90), st.sampled_from(["image", "sticker"]), st.integers(0, 8), st.booleans())
def test_whatever_is_repaired_is_compliant(mode: str, width: int, height: int, media_type: str, turn: int, keyed: bool) -> None:
    source = scene(width, height) if mode != "I;16" else scene(width, height, "L").convert("I")
    options: dict[str, object] = {"exif": orientated(turn)} if turn else {}
    if keyed and mode in ("L", "P", "1"):
        options["transparency"] = 1
    repaired(pictures.png(source.convert(mode), **options), media_type)
