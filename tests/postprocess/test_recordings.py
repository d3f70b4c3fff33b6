"""Audio and video with their real children: what a probe finds, and what a rendition looks and sounds like."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from satchel.domain.errors import MEDIA_UNREADABLE, TOO_LARGE_TO_SEND, Fault
from satchel.domain.limits import ENCRYPTED_BYTES, largest_plain
from satchel.domain.media import Facts, Rendered, Stream
from satchel.domain.plans import Plan, Rules, plan
from satchel.domain.recordings import AAC, H264, OPUS
from satchel.postprocess.children import Children

from . import recordings
from .processes import the_child, with_pool
from .recordings import FRAGMENTS, FRONT, PLACE, boxes, frames, made, mp4, padded, samples, seconds

MOST = largest_plain(ENCRYPTED_BYTES["video"])
SEOUL = "+37.5665+126.9780/"
TOLD = (SEOUL.encode(), b"loci", PLACE.encode(), b"Lavf")
"""What metadata tell: where, what, with which program."""


def probe(children: Children, tmp_path: Path, data: bytes) -> Facts:
    (tmp_path / "media").write_bytes(data)
    return asyncio.run(children.probe(tmp_path / "media"))


def render(children: Children, tmp_path: Path, data: bytes, todo: Plan) -> tuple[Rendered, bytes]:
    path, into = tmp_path / "media", tmp_path / "rendition"
    path.write_bytes(data)
    into.unlink(missing_ok=True)
    rendered = asyncio.run(children.render(path, todo, into))
    return rendered, into.read_bytes()


def repaired(children: Children, tmp_path: Path, data: bytes, media_type: str, most: int = MOST) -> tuple[Plan, bytes]:
    """The plan for a file and what came of it, which must itself be a file that goes out as it is."""
    todo = replace(plan(probe(children, tmp_path, data), media_type, Rules()), most=most)
    rendered, written = render(children, tmp_path, data, todo)
    assert rendered == Rendered(todo.mime or "", len(written), hashlib.sha256(written).hexdigest())
    assert len(written) <= most
    again = plan(probe(children, tmp_path, written), media_type, Rules(audio="refuse", video="refuse"))
    assert again.action in {"strip", "keep"} and again.mime == todo.mime and not again.why
    return todo, written


FOUND: dict[str, tuple[Callable[[], bytes], str, str, tuple[Stream, ...]]] = {
    "video": (
        mp4,
        "mp4",
        "video/mp4",
        (
            Stream("video", "h264", "High", "yuv420p", 64, 48),
            Stream("audio", "aac", "LC", channels=1, rate=44100),
        ),
    ),
    "3gp": (
        lambda: made("3gp", "libx264", "libopencore_amrnb", hertz=8000),
        "3gp",
        "video/3gpp",
        (Stream("video", "h264", "High", "yuv420p", 64, 48), Stream("audio", "amr_nb", channels=1, rate=8000)),
    ),
    "ten bits": (
        lambda: made("mp4", "libx264", pixels="yuv420p10le"),
        "mp4",
        "video/mp4",
        (Stream("video", "h264", "High 10", "yuv420p10le", 64, 48),),
    ),
    "webm": (lambda: made("webm", "libvpx"), "webm", "video/webm", (Stream("video", "vp8", "", "yuv420p", 64, 48),)),
    "m4a": (
        lambda: made("ipod", "", "aac", layout="stereo"),
        "mp4",
        "audio/mp4",
        (Stream("audio", "aac", "LC", channels=2, rate=44100),),
    ),
    "sound in mp4": (lambda: made("mp4", "", "aac"), "mp4", "audio/mp4", (Stream("audio", "aac", "LC", channels=1, rate=44100),)),
    "aac": (lambda: made("adts", "", "aac"), "aac", "audio/aac", (Stream("audio", "aac", "LC", channels=1, rate=44100),)),
    "mp3": (lambda: made("mp3", "", "libmp3lame"), "mp3", "audio/mpeg", (Stream("audio", "mp3", channels=1, rate=44100),)),
    "amr": (
        lambda: made("amr", "", "libopencore_amrnb", hertz=8000),
        "amr",
        "audio/amr",
        (Stream("audio", "amr_nb", channels=1, rate=8000),),
    ),
    "opus": (lambda: made("ogg", "", "libopus", hertz=48000), "ogg", OPUS, (Stream("audio", "opus", channels=1, rate=48000),)),
    "opus, stereo": (
        lambda: made("ogg", "", "libopus", hertz=48000, layout="stereo"),
        "ogg",
        OPUS,
        (Stream("audio", "opus", channels=2, rate=48000),),
    ),
    "voice note of a browser": (
        lambda: made("webm", "", "libopus", hertz=48000),
        "webm",
        "audio/webm",
        (Stream("audio", "opus", channels=1, rate=48000),),
    ),
    "wav": (lambda: made("wav", "", "pcm_s16le"), "wav", "audio/wav", (Stream("audio", "pcm_s16le", channels=1, rate=44100),)),
}


@pytest.mark.parametrize("name", FOUND)
def test_p09_a_probe_names_the_streams(name: str, children: Children, tmp_path: Path) -> None:
    make, form, mime, streams = FOUND[name]
    data = make()
    found = probe(children, tmp_path, data)
    picture = next((stream for stream in streams if stream.kind == "video"), Stream("", ""))
    assert found == Facts(form, mime, picture.width, picture.height, streams=streams, seconds=found.seconds, size=len(data))
    assert found.seconds == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("container", ["", FRONT, FRAGMENTS])
@pytest.mark.parametrize("muxer", ["mp4", "mov", "3gp"])
def test_p11_a_compliant_video_keeps_every_picture_and_sound(muxer: str, container: str, children: Children, tmp_path: Path) -> None:
    data = made(muxer, "libx264", "aac", metadata=SEOUL, container=container)
    assert any(told in data for told in TOLD)
    todo, written = repaired(children, tmp_path, data, "video")
    assert todo == Plan("video", "strip", H264, MOST)
    assert frames(written) == frames(data) and samples(written) == samples(data)
    assert not any(told in written for told in TOLD)
    kinds = [kind for kind, _ in boxes(written)]
    assert kinds.index("moov") < kinds.index("mdat"), "a player may begin before it has everything"
    if container != FRAGMENTS:  # those state times in another way
        assert repaired(children, tmp_path, written, "video")[1] == written


def test_p09_sound_in_mp4_is_stripped_and_says_that_it_is_sound(children: Children, tmp_path: Path) -> None:
    data = made("mp4", "", "aac", metadata=SEOUL)
    todo, written = repaired(children, tmp_path, data, "audio")
    assert todo.action == "strip" and samples(written) == samples(data)
    assert boxes(written)[0][1].startswith(b"M4A ") and not any(told in written for told in TOLD)


@pytest.mark.parametrize("degrees", [90, 180, -90])
@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_p11_a_turned_video_stays_turned(degrees: int, encoder: str, children: Children, tmp_path: Path) -> None:
    data = made("mp4", encoder, turned=degrees, seconds=0.4)
    _, written = repaired(children, tmp_path, data, "video")
    assert {rotation for _, _, rotation, _ in frames(written)} == {rotation for _, _, rotation, _ in frames(data)} != {0}


CONVERTED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "hevc": (lambda: made("mp4", "libx265", "aac"), "video", H264),
    "vp8 and opus": (lambda: made("webm", "libvpx", "libopus", hertz=48000), "video", H264),
    "avi": (lambda: made("avi", "mpeg4", "libmp3lame"), "video", H264),
    "asf": (lambda: made("asf", "wmv2", "wmav2"), "video", H264),
    "flv": (lambda: made("flv", "flv", "libmp3lame"), "video", H264),
    "aiff": (lambda: made("aiff", "", "pcm_s16be"), "audio", AAC),
    "caf": (lambda: made("caf", "", "pcm_s16le"), "audio", AAC),
    "four colours for four pixels": (lambda: made("mp4", "libx264", "aac", pixels="yuv444p"), "video", H264),
    "odd sides": (lambda: made("mp4", "libx264", size="65x49", pixels="yuv444p"), "video", H264),
    "stereo opus": (lambda: made("ogg", "", "libopus", hertz=48000, layout="stereo"), "audio", OPUS),
    "six channels of opus": (lambda: made("ogg", "", "libopus", hertz=48000, layout="5.1"), "audio", OPUS),
    "voice note of a browser": (lambda: made("webm", "", "libopus", hertz=48000), "audio", OPUS),
    "wav": (lambda: made("wav", "", "pcm_s16le", layout="stereo"), "audio", AAC),
    "wav, odd rate": (lambda: made("wav", "", "pcm_s16le", hertz=37_800), "audio", AAC),
    "flac": (lambda: made("flac", "", "flac"), "audio", AAC),
    "flac in ogg": (lambda: made("ogg", "", "flac"), "audio", AAC),
    "alac": (lambda: made("ipod", "", "alac"), "audio", AAC),
    "amr in 3gp": (lambda: made("3gp", "", "libopencore_amrnb", hertz=8000), "audio", AAC),
    "two sounds": (lambda: made("ipod", "", "aac", sounds=2), "audio", AAC),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_p09_p11_whatever_a_repair_makes_may_go_out_as_it_is(name: str, children: Children, tmp_path: Path) -> None:
    make, media_type, mime = CONVERTED[name]
    todo, written = repaired(children, tmp_path, make(), media_type)
    assert (todo.action, todo.mime) == ("convert", mime)
    assert seconds(written) == pytest.approx(1, abs=0.15) and b"Lavf" not in written
    if media_type == "video":
        assert len(frames(written)) == recordings.RATE
        assert {(width % 2, height % 2) for width, height, _, _ in frames(written)} == {(0, 0)}


def test_p11_a_new_picture_shows_what_the_old_one_showed(children: Children, tmp_path: Path) -> None:
    data = made("mp4", "libx265", size="128x96", seconds=0.4)
    for old, new in zip(frames(data), frames(repaired(children, tmp_path, data, "video")[1]), strict=True):
        assert sum(abs(one - other) for one, other in zip(old[3], new[3], strict=True)) / len(old[3]) < 6


def test_p11_a_picture_that_may_go_out_is_not_coded_again_for_its_sound_or_container(children: Children, tmp_path: Path) -> None:
    mute = made("3gp", "libx264", "libopencore_amrnb", hertz=8000)
    for data in (mute, made("matroska", "libx264", "aac"), made("mp4", "libx264", "aac", sounds=2)):
        todo, written = repaired(children, tmp_path, data, "video")
        assert todo.action == "convert" and frames(written) == frames(data)
    assert samples(written) == samples(data), "the first sound stays"


def test_p08_a_compliant_video_of_just_the_ceiling_is_only_stripped(children: Children, tmp_path: Path) -> None:
    data = mp4()
    todo, written = repaired(children, tmp_path, padded(data, MOST), "video")
    assert todo.action == "strip" and frames(written) == frames(data)
    facts = probe(children, tmp_path, padded(data, MOST + 1))
    assert plan(facts, "video", Rules()).why == (f"{MOST + 1} bytes; at most {MOST} may go out",)


def test_p08_an_index_that_was_given_too_much_room_costs_no_file_its_ceiling(children: Children, tmp_path: Path) -> None:
    data = mp4(seconds=2)
    _, written = repaired(children, tmp_path, data, "video")
    assert repaired(children, tmp_path, data, "video", most=len(written))[1] == written


NOISE = "crf=0,preset=ultrafast"


def test_p08_a_video_over_the_ceiling_is_made_smaller(children: Children, tmp_path: Path) -> None:
    data = mp4(size="320x240", options=NOISE, seconds=2)
    for most in (len(data) - 1, 60_000):
        todo = replace(plan(probe(children, tmp_path, data), "video", Rules()), action="convert", most=most)
        rendered, written = render(children, tmp_path, data, todo)
        assert rendered.size == len(written) <= most and len(frames(written)) == 50


@pytest.mark.parametrize(("media_type", "make"), [("video", mp4), ("audio", lambda: made("wav", "", "pcm_s16le"))])
def test_p08_what_cannot_be_made_small_enough_is_refused(
    media_type: str, make: Callable[[], bytes], children: Children, tmp_path: Path
) -> None:
    todo = Plan(media_type, "convert", H264 if media_type == "video" else AAC, 500)
    with pytest.raises(Fault) as caught:
        render(children, tmp_path, make(), todo)
    assert caught.value.situation == TOO_LARGE_TO_SEND and "500 bytes" in caught.value.details
    assert not (tmp_path / "rendition").exists()


def test_the_same_file_always_becomes_the_same_bytes(children: Children, tmp_path: Path) -> None:
    """A rendition that was deleted is made again, and its key belongs to its bytes."""
    for data, media_type in ((made("webm", "libvpx", "libopus", hertz=48000), "video"), (CONVERTED["stereo opus"][0](), "audio")):
        assert repaired(children, tmp_path, data, media_type) == repaired(children, tmp_path, data, media_type)


@pytest.mark.parametrize("name", ["flac", "opus, stereo"])
def test_every_packet_counts(name: str, children: Children, tmp_path: Path) -> None:
    data = (CONVERTED | {key: (value[0], "", "") for key, value in FOUND.items()})[name][0]()
    found = probe(children, tmp_path, data)
    assert found.seconds == pytest.approx(1, abs=0.05)


WHOLE: dict[str, Callable[[], bytes]] = {
    "index behind": mp4,
    "index in front": lambda: mp4(container=FRONT),
    "fragments": lambda: mp4(container=FRAGMENTS),
    "opus": lambda: made("ogg", "", "libopus", hertz=48000),
    "matroska": lambda: made("matroska", "libx264", "aac"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_cut_is_unreadable(name: str, children: Children, tmp_path: Path) -> None:
    data = WHOLE[name]()
    for length in range(64, len(data) - 1, max(1, len(data) // 90)):
        with pytest.raises(Fault) as caught:
            found = probe(children, tmp_path, data[:length])
            assert not found, f"{length} of {len(data)} bytes"
        assert caught.value.situation == MEDIA_UNREADABLE


@pytest.mark.parametrize("name", ["aac", "mp3", "amr", "wav"])
def test_sound_without_an_end_of_its_own_is_merely_shorter_when_it_is_cut(name: str, children: Children, tmp_path: Path) -> None:
    data = FOUND[name][0]()
    whole = probe(children, tmp_path, data)
    half = probe(children, tmp_path, data[: int(len(data) * 0.95)])
    assert half.streams == whole.streams and 0.8 < half.seconds < whole.seconds


def test_a_child_that_has_converted_is_not_used_again(tmp_path: Path) -> None:
    """Probes and strips share one; a decoder that a hostile file has taken over sees no other file."""
    compliant, other = tmp_path / "compliant", tmp_path / "other"
    compliant.write_bytes(mp4())
    other.write_bytes(made("wav", "", "pcm_s16le"))

    async def use(pool: Children) -> list[int]:
        pids = []
        for path, todo in ((compliant, Plan("video", "strip", H264, MOST)), (other, Plan("audio", "convert", AAC, MOST))) * 2:
            await pool.probe(path)
            pids.append(the_child().pid)
            await pool.render(path, todo, tmp_path / f"{len(pids)}")
        return pids

    first, second, third, fourth = with_pool(use)
    assert first == second != third == fourth
