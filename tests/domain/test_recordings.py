"""What becomes of a recording, judged by its facts alone: what passes, what is repaired, what is refused and in which words."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.domain.errors import CONTENT_MISMATCH, TOO_LARGE_TO_SEND, TYPE_NOT_ACCEPTED, Fault, Situation
from satchel.domain.limits import ENCRYPTED_BYTES, encrypted_size, largest_plain
from satchel.domain.media import Facts, Stream
from satchel.domain.plans import Plan, Policy, Rules, plan
from satchel.domain.recordings import AAC, FITS, H264, OPUS, lines_of, picture_rate, plan_recording, shown_time, sound_rate, sound_share

MOST = largest_plain(ENCRYPTED_BYTES["video"])
H264_STREAM = Stream("video", "h264", "High", "yuv420p", 1280, 720)
AAC_STREAM = Stream("audio", "aac", "LC", channels=2, rate=44100)
COVER = Stream("cover", "")
DATA = Stream("data", "bin_data")


def sound(form: str, mime: str, codec: str, channels: int = 1, **more: Any) -> Facts:
    return replace(Facts(form, mime, streams=(Stream("audio", codec, channels=channels, rate=48000),), seconds=10, size=1000), **more)


def movie(*streams: Stream, form: str = "mp4", mime: str = "video/mp4", seconds: float = 10, size: int = 1000) -> Facts:
    return Facts(form, mime, streams=streams, seconds=seconds, size=size)


def planned(facts: Facts, media_type: str, policy: Policy = "repair") -> Plan:
    return plan_recording(facts, media_type, policy, MOST)


def refused(facts: Facts, media_type: str, policy: Policy = "repair") -> Fault:
    with pytest.raises(Fault) as caught:
        planned(facts, media_type, policy)
    return caught.value


ACCEPTED = [
    (sound("aac", "audio/aac", "aac", 2), "keep", "audio/aac"),
    (sound("amr", "audio/amr", "amr_nb"), "keep", "audio/amr"),
    (sound("amr", "audio/amr-wb", "amr_wb"), "keep", "audio/amr"),
    (sound("mp3", "audio/mpeg", "mp3", 2), "keep", "audio/mpeg"),
    (sound("ogg", OPUS, "opus"), "keep", OPUS),
    (sound("mp4", "audio/mp4", "aac", 6), "strip", AAC),
    (sound("3gp", "audio/3gpp", "aac"), "strip", AAC),
]


@pytest.mark.parametrize(("facts", "action", "mime"), ACCEPTED, ids=[facts.mime for facts, _, _ in ACCEPTED])
@pytest.mark.parametrize("policy", ["refuse", "repair"])
def test_p09_accepted_audio_goes_out_with_its_sound_untouched(facts: Facts, action: str, mime: str, policy: Policy) -> None:
    found = planned(facts, "audio", policy)
    assert (found.action, found.mime, found.why) == (action, mime, ())
    assert planned(replace(facts, streams=(COVER, *facts.streams)), "audio", policy) == found


CONVERTED = [
    (sound("ogg", OPUS, "opus", 2), OPUS, "2 channels of Opus; audio/ogg must have one"),
    (sound("webm", "audio/webm", "opus"), OPUS, "audio/webm with opus"),
    (sound("ogg", "audio/ogg", "vorbis"), AAC, "audio/ogg with vorbis"),
    (sound("wav", "audio/wav", "pcm_s16le"), AAC, "audio/wav with pcm_s16le"),
    (sound("flac", "audio/flac", "flac"), AAC, "audio/flac with flac"),
    (sound("mp4", "audio/mp4", "alac"), AAC, "audio/mp4 with alac"),
    (sound("3gp", "audio/3gpp", "amr_nb"), AAC, "audio/3gpp with amr_nb"),
    (sound("mp4", "audio/mp4", "aac", streams=(AAC_STREAM, AAC_STREAM)), AAC, "2 audio streams; audio must have one"),
]


@pytest.mark.parametrize(("facts", "mime", "why"), CONVERTED, ids=[why for _, _, why in CONVERTED])
def test_p09_other_audio_is_converted_or_refused(facts: Facts, mime: str, why: str) -> None:
    found = planned(facts, "audio")
    assert (found.action, found.mime) == ("convert", mime) and found.why[0].startswith(why)
    fault = refused(facts, "audio", "refuse")
    assert fault.situation == TYPE_NOT_ACCEPTED and fault.situation.code == 1000 and why in fault.details
    assert fault.details.endswith("Convert it, or send it as a document.")


@pytest.mark.parametrize(("form", "mime"), [("mp4", "video/mp4"), ("3gp", "video/3gpp"), ("quicktime", "video/quicktime")])
@pytest.mark.parametrize("policy", ["refuse", "repair"])
def test_p11_h264_with_aac_or_silence_is_only_stripped(form: str, mime: str, policy: Policy) -> None:
    for streams in ([H264_STREAM, AAC_STREAM], [H264_STREAM], [AAC_STREAM, DATA, COVER, H264_STREAM]):
        assert planned(movie(*streams, form=form, mime=mime), "video", policy) == Plan("video", "strip", H264, MOST)


LACKING = [
    (movie(H264_STREAM, AAC_STREAM, AAC_STREAM), "2 audio streams; videos must have one or none"),
    (movie(H264_STREAM, H264_STREAM), "2 video streams; videos must have one"),
    (movie(replace(H264_STREAM, codec="hevc")), "a picture in hevc; videos must be in h264 with yuv420p pixels"),
    (movie(replace(H264_STREAM, pixels="yuv444p")), "a picture in h264 with yuv444p pixels"),
    (movie(H264_STREAM, replace(AAC_STREAM, codec="amr_nb")), "sound in amr_nb; the sound of videos must be in aac"),
    (movie(H264_STREAM, AAC_STREAM, form="matroska", mime="video/x-matroska"), "video/x-matroska; videos must be video/mp4 or video/3gpp"),
]


@pytest.mark.parametrize(("facts", "why"), LACKING, ids=[why for _, why in LACKING])
def test_p11_other_video_is_converted_or_refused(facts: Facts, why: str) -> None:
    found = planned(facts, "video")
    assert (found.action, found.mime) == ("convert", H264) and found.why[0].startswith(why)
    fault = refused(facts, "video", "refuse")
    assert fault.situation == TYPE_NOT_ACCEPTED and why in fault.details


MISMATCHED = [
    (movie(H264_STREAM, AAC_STREAM), "audio", "video in h264 and audio in aac: send it as a video."),
    (sound("mp3", "audio/mpeg", "mp3"), "video", "no moving picture: send it as audio."),
    (sound("mp3", "audio/mpeg", "mp3", streams=(AAC_STREAM, COVER)), "video", "no moving picture: send it as audio."),
    (Facts("jpeg", "image/jpeg", 10, 10), "video", "found image/jpeg: send it as image."),
    (Facts("unknown", "application/octet-stream"), "audio", "found no known file type: send it as a document."),
    (movie(DATA), "video", "without sound or moving picture"),
    (movie(DATA, COVER), "audio", "without sound or moving picture"),
]


@pytest.mark.parametrize(("facts", "media_type", "why"), MISMATCHED)
@pytest.mark.parametrize("policy", ["refuse", "repair"])
def test_p09_the_content_decides_and_not_the_wish(facts: Facts, media_type: str, why: str, policy: Policy) -> None:
    fault = refused(facts, media_type, policy)
    assert fault.situation == CONTENT_MISMATCH and why in fault.details and f"Sent as {media_type}, found" in fault.details


@pytest.mark.parametrize(("media_type", "facts"), [("audio", ACCEPTED[0][0]), ("audio", ACCEPTED[5][0]), ("video", movie(H264_STREAM))])
def test_p08_the_ceiling_is_exact_on_the_encrypted_size(media_type: str, facts: Facts) -> None:
    assert encrypted_size(MOST) <= ENCRYPTED_BYTES[media_type] < encrypted_size(MOST + 1)
    for rules in (Rules(), Rules(audio="refuse", video="refuse")):
        assert plan(replace(facts, size=MOST), media_type, rules).action in {"keep", "strip"}
    over = replace(facts, size=MOST + 1)
    assert plan(over, media_type, Rules()).why == (f"{MOST + 1} bytes; at most {MOST} may go out",)
    with pytest.raises(Fault) as caught:
        plan(over, media_type, Rules(audio="refuse", video="refuse"))
    assert caught.value.situation == TOO_LARGE_TO_SEND and str(ENCRYPTED_BYTES[media_type]) in caught.value.details


def test_p08_what_can_never_fit_is_refused_with_the_numbers() -> None:
    fault = refused(movie(replace(H264_STREAM, codec="hevc"), seconds=3600), "video")
    assert fault.situation == TOO_LARGE_TO_SEND
    assert "lasts 1 h 00 min; at most 14 min 31 s of video fit into the 16777199 bytes" in fault.details
    fault = refused(sound("wav", "audio/wav", "pcm_s16le", seconds=4 * 3600), "audio")
    assert "lasts 4 h 00 min; at most 2 h 14 min of audio fit" in fault.details


def test_p08_long_audio_becomes_opus_where_aac_would_be_too_poor() -> None:
    assert planned(sound("wav", "audio/wav", "pcm_s16le", seconds=2600), "audio").mime == AAC
    assert planned(sound("wav", "audio/wav", "pcm_s16le", seconds=3600), "audio").mime == OPUS


@pytest.mark.parametrize(("seconds", "lines"), [(10, 1080), (340, 1080), (380, 720), (500, 720), (560, 480), (860, 480), (900, 0)])
def test_p08_long_videos_become_smaller_step_by_step(seconds: float, lines: int) -> None:
    assert lines_of(picture_rate(seconds, MOST)) == lines


@given(st.floats(0, 1e7), st.integers(1, 200_000_000))
def test_what_is_planned_fits(seconds: float, most: int) -> None:
    for mime in (AAC, OPUS):
        assert sound_rate(mime, seconds, most) * seconds <= most * 8 * FITS
    if picture_rate(seconds, most) > 0 and seconds >= 1:
        assert (picture_rate(seconds, most) + sound_share(seconds, most)) * seconds <= most * 8 * FITS + seconds


def test_a_picture_beyond_every_phone_is_refused_before_it_is_decoded() -> None:
    fault = refused(movie(replace(H264_STREAM, width=16384)), "video")
    assert fault.situation == TYPE_NOT_ACCEPTED and "a side of 16384 pixels; the limit is 8192" in fault.details


KINDS = st.builds(
    Stream,
    st.sampled_from(["video", "audio", "data", "cover", "subtitle", "unknown", ""]),
    st.sampled_from(["h264", "hevc", "aac", "opus", "mp3", ""]),
    pixels=st.sampled_from(["yuv420p", "yuv420p10le", ""]),
    width=st.integers(0, 10_000),
    height=st.integers(0, 10_000),
    channels=st.integers(0, 8),
)


@given(
    st.sampled_from(["mp4", "ogg", "mp3", "wav", "webm", "jpeg", "unknown", ""]),
    st.lists(KINDS, max_size=4).map(tuple),
    st.sampled_from(["audio", "video"]),
    st.sampled_from(["refuse", "repair"]),
    st.floats(0, 1e6),
    st.integers(0, 10**9),
)
def test_any_facts_get_a_plan_or_a_reason(
    form: str, streams: tuple[Stream, ...], media_type: str, policy: Policy, seconds: float, size: int
) -> None:
    situations: set[Situation] = {CONTENT_MISMATCH, TYPE_NOT_ACCEPTED, TOO_LARGE_TO_SEND}
    try:
        found = planned(Facts(form, f"audio/{form}", streams=streams, seconds=seconds, size=size), media_type, policy)
    except Fault as fault:
        assert fault.situation in situations and fault.details.endswith(".")
        return
    assert found.mime and (found.action == "convert") == bool(found.why)
    assert policy == "repair" or found.action != "convert"


def test_times_are_written_as_people_say_them() -> None:
    assert [shown_time(seconds) for seconds in (4.5, 59.96, 60, 200, 3599.6, 7500)] == [
        "4.5 s",
        "60 s",
        "1 min 00 s",
        "3 min 20 s",
        "1 h 00 min",
        "2 h 05 min",
    ]
    assert all(later > earlier for earlier, later in itertools.pairwise(sound_rate(OPUS, second, MOST) for second in (8000, 4000, 2000)))
