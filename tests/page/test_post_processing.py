"""What becomes of a file before it goes out: P08 in part, P09, P10, P11 and P13."""

from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image

from satchel.testing.world import World

from ..postprocess import pictures, recordings
from ..postprocess.recordings import frames, made, samples
from ..postprocess.test_repair import padded
from .conftest import Api

MB = 1 << 20
CLEAR = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
OPUS = "audio/ogg; codecs=opus"
ACCEPTED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "aac": (lambda: made("adts", "", "aac"), "audio", "audio/aac"),
    "mp4 with sound": (lambda: made("mp4", "", "aac"), "audio", "audio/mp4"),
    "amr": (lambda: made("amr", "", "libopencore_amrnb", hertz=8000), "audio", "audio/amr"),
    "mpeg": (lambda: made("mp3", "", "libmp3lame"), "audio", "audio/mpeg"),
    "ogg": (lambda: made("ogg", "", "libopus", hertz=48000), "audio", OPUS),
    "pdf": (lambda: b"%PDF-1.4 bill", "document", "application/pdf"),
    "any type": (lambda: b"1;2;3", "document", "application/vnd.harbour.manifest+csv; charset=utf-8"),
    "jpeg": (pictures.jpeg, "image", "image/jpeg"),
    "png": (pictures.png, "image", "image/png"),
    "webp": (lambda: pictures.saved(CLEAR, "WEBP", {}), "sticker", "image/webp"),
    "mp4": (recordings.mp4, "video", "video/mp4"),
    "3gpp": (lambda: made("3gp", "libx264", "aac"), "video", "video/3gpp"),
}
REFUSED: dict[str, tuple[Callable[[], bytes], str, str, str]] = {
    "text as an image": (lambda: b"no picture", "image", "image/jpeg", "text/plain"),
    "picture as audio": (pictures.png, "audio", "audio/mpeg", "image/png"),
    "video as audio": (recordings.mp4, "audio", "audio/mp4", "video/mp4"),
    "sound as a video": (lambda: made("mp3", "", "libmp3lame"), "video", "video/mp4", "audio/mpeg"),
    "gif as an image": (lambda: pictures.saved(pictures.scene(), "GIF", {}), "image", "image/png", "image/gif"),
    "pdf as a sticker": (lambda: b"%PDF-1.4 bill", "sticker", "image/webp", "application/pdf"),
}


def received(api: Api, whatsapp: World, type_: str, body: bytes, mime: str) -> tuple[bytes, str]:
    """What a phone has of it, and of which type that is."""
    phone = whatsapp.phone()
    api.send(phone.number, type_, id=api.upload(body, mime))
    message = phone.wait_for(type_, timeout=30)
    return message.bytes, str(message.info["media"]["mime_type"])


def codecs(data: bytes) -> list[tuple[str, str]]:
    with recordings.opened(data) as source:
        return [(one.type, one.codec_context.name) for one in source.streams]


@pytest.mark.parametrize("name", ACCEPTED)
def test_p09_every_accepted_type_reaches_the_phone(api: Api, whatsapp: World, name: str) -> None:
    make, type_, mime = ACCEPTED[name]
    body, told = received(api, whatsapp, type_, make(), mime)
    assert told == ("video/mp4" if mime == "video/3gpp" else mime)  # what is written anew is an MP4
    if type_ == "document" or (type_ == "audio" and mime != "audio/mp4"):
        assert body == make()


def test_p08_a_picture_over_the_ceiling_is_made_to_fit(api: Api, whatsapp: World) -> None:
    body, mime = received(api, whatsapp, "image", padded(pictures.HARBOUR, 6 * MB), "image/jpeg")
    assert (mime, len(body) <= 5 * MB - 17) == ("image/jpeg", True)


def test_p09_opus_has_one_channel_when_it_arrives(api: Api, whatsapp: World) -> None:
    body, told = received(api, whatsapp, "audio", made("ogg", "", "libopus", hertz=48000, layout="stereo"), OPUS)
    with recordings.opened(body) as source:
        assert (told, source.streams.audio[0].channels) == (OPUS, 1)


@pytest.mark.parametrize("name", REFUSED)
def test_p09_the_content_decides_and_not_what_the_upload_says(api: Api, name: str) -> None:
    make, type_, mime, found = REFUSED[name]
    error = api.refused(type_, id=api.upload(make(), mime))
    assert (error["code"], found in error["details"]) == (1000, True), error


def test_p10_a_transparent_background_becomes_white_and_a_stickers_stays(api: Api, whatsapp: World) -> None:
    picture, mime = received(api, whatsapp, "image", pictures.png(CLEAR), "image/png")
    assert (mime, Image.open(BytesIO(picture)).getextrema()) == ("image/jpeg", ((255, 255),) * 3)
    sticker, mime = received(api, whatsapp, "sticker", pictures.saved(CLEAR, "WEBP", {}), "image/webp")
    assert (mime, Image.open(BytesIO(sticker)).convert("RGBA").getchannel("A").getextrema()) == ("image/webp", (0, 0))


def test_p11_h264_with_aac_is_not_coded_again(api: Api, whatsapp: World) -> None:
    film = recordings.mp4()
    body, _ = received(api, whatsapp, "video", film, "video/mp4")
    assert (frames(body), samples(body)) == (frames(film), samples(film))


@pytest.mark.parametrize(
    ("film", "wanted"),
    [
        pytest.param(lambda: made("mp4", "libx264"), [("video", "h264")], id="silent"),
        pytest.param(lambda: made("mp4", "libx264", "aac", sounds=2), [("video", "h264"), ("audio", "aac")], id="two sounds"),
        pytest.param(lambda: made("mp4", "libx265", "aac"), [("video", "h264"), ("audio", "aac")], id="HEVC"),
        pytest.param(lambda: made("webm", "libvpx", "libopus", hertz=48000), [("video", "h264"), ("audio", "aac")], id="VP8 with Opus"),
    ],
)
def test_p11_what_arrives_is_h264_with_one_aac_or_none(
    api: Api, whatsapp: World, film: Callable[[], bytes], wanted: list[tuple[str, str]]
) -> None:
    body, mime = received(api, whatsapp, "video", film(), "video/mp4")
    assert (mime, codecs(body)) == ("video/mp4", wanted)


def moving() -> bytes:
    first, *rest = [Image.new("RGBA", (512, 512), colour) for colour in ("red", "green")]
    return pictures.saved(first, "WEBP", {"save_all": True, "append_images": rest})


def test_p13_an_animated_sticker_is_not_sent_and_its_sender_is_told_why(api: Api) -> None:
    error = api.refused("sticker", id=api.upload(moving(), "image/webp"))
    assert (error["code"], "animated" in error["details"]) == (1000, True)


def test_p13_an_animated_sticker_may_come_in(whatsapp: World) -> None:
    with whatsapp.expect_webhook("messages", type="sticker") as hook:
        whatsapp.phone().send("sticker", moving())
    sticker = hook.json["messages"][0]["sticker"]
    assert (sticker["animated"], whatsapp.media.get(sticker["id"])) == (True, moving())
