"""The handler of the recordings family: what a probe and a rendition do to audio and video. Runs inside the child only."""

import os
from collections import Counter

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream as AvStream
from av.video.stream import VideoStream

from satchel.domain.media import Facts, Stream
from satchel.domain.plans import Plan
from satchel.domain.recordings import AAC, MP4, OPUS
from satchel.postprocess import audio, recording_whole, video
from satchel.postprocess.broken import Broken
from satchel.postprocess.recording_source import opened
from satchel.postprocess.recording_write import is_cover, remux

MAX_PACKETS = 2_000_000
"""Ten hours of sound have as many."""

NICE = 5
"""A conversion takes as long as it takes; messages that wait for none of it go first."""

UNFRAMED = {"aac", "amr", "avi", "mp3", "wav"}
"""Formats in which a recording that breaks off in the middle of a packet is merely shorter."""

STATED = {"avi", "flac", "wav"}
SHORTER = 0.9
"""A file of these that holds less than this share of the time its header states was cut off."""


def self_test() -> None:
    """Make some sound and look into it. Raises whatever is missing: a codec, memory."""
    found = probe(memoryview(audio.tone()), "mp4", AAC, 0)
    if [(stream.codec, stream.channels) for stream in found.streams] != [("aac", 1)]:
        raise RuntimeError(f"the built-in tone came out as {found}")


def probe(data: memoryview, form: str, mime: str, max_pixels: int) -> Facts:
    """What lies in a file, proved by reading every packet of it; decodes no more than FFmpeg needs to name the streams. Raises `Broken`."""
    recording_whole.prove(data, form)
    with opened(data, form) as source:
        streams = tuple(_stream(stream) for stream in source.streams)
        seconds = _read(source, form)
    picture = next((stream for stream in streams if stream.kind == "video"), Stream("", ""))
    found = _mime(form, mime, streams)
    return Facts(form, found, picture.width, picture.height, streams=streams, seconds=seconds, size=len(data))


def render(data: memoryview, form: str, plan: Plan, max_pixels: int) -> tuple[str, bytes | memoryview]:
    """Carry out a plan: the mime and the bytes of the result. Raises `Broken` and `Unfit`."""
    assert plan.mime
    if plan.action == "strip":
        stripped = remux(data, form, plan.media_type, plan.most)
        if len(stripped) <= plan.most:
            return plan.mime, stripped
    os.nice(NICE)  # for good: this child ends afterwards
    facts = probe(data, form, "", max_pixels)
    if plan.media_type == "video":
        return plan.mime, video.convert(data, form, facts, plan.most)
    return plan.mime, audio.convert(data, form, facts, plan.mime, plan.most)


def _stream(stream: AvStream) -> Stream:
    if is_cover(stream):
        return Stream("cover", "")
    coder = stream.codec_context
    if coder is None:
        return Stream(stream.type, "an unknown codec")
    name, profile = coder.codec.canonical_name, str(stream.profile or "")
    if isinstance(stream, VideoStream):
        return Stream("video", name, profile, stream.pix_fmt or "", stream.width, stream.height)
    if isinstance(stream, AudioStream):
        return Stream("audio", name, profile, channels=stream.channels, rate=stream.rate)
    return Stream(stream.type, name, profile)


def _read(source: InputContainer, form: str) -> float:
    """Read all packets; the seconds they span. Raises `Broken` where some are missing."""
    begin: dict[int, int] = {}
    end: dict[int, int] = {}
    count: Counter[int] = Counter()
    for packet in source.demux():
        if not packet.size:
            continue
        if packet.is_corrupt and form not in UNFRAMED:
            raise Broken("it ends in the middle of a packet")
        index, at = packet.stream_index, packet.pts
        if not count[index] and packet.has_sidedata("encryption_info"):
            raise Broken("it is encrypted")
        count[index] += 1
        if count[index] > MAX_PACKETS:
            raise Broken(f"it has more than {MAX_PACKETS} packets")
        if at is not None:
            begin[index] = min(begin.get(index, at), at)
            end[index] = max(end.get(index, at), at + (packet.duration or 0))
    for stream in source.streams:
        if form in MP4 and count[stream.index] < len(stream.index_entries):
            raise Broken(f"its index names {len(stream.index_entries)} packets, and {count[stream.index]} are there")
    return _seconds(source, form, begin, end)


def _seconds(source: InputContainer, form: str, begin: dict[int, int], end: dict[int, int]) -> float:
    seen = [
        float((end[stream.index] - begin[stream.index]) * stream.time_base)
        for stream in source.streams
        if stream.index in end and stream.time_base and not is_cover(stream)
    ]
    seconds, stated = max(seen, default=0.0), (source.duration or 0) / 1e6
    if not seconds:
        raise Broken("it holds no sound and no moving picture")
    if form in STATED and seconds < stated * SHORTER:
        raise Broken(f"it ends after {seconds:.1f} of {stated:.1f} seconds")
    return seconds


def _mime(form: str, mime: str, streams: tuple[Stream, ...]) -> str:
    """What the streams say better than the first bytes of the file."""
    kinds = {stream.kind for stream in streams}
    if form == "ogg" and [stream.codec for stream in streams if stream.kind == "audio"] == ["opus"] and "video" not in kinds:
        return OPUS
    if "video" not in kinds and "audio" in kinds and mime.startswith("video/"):
        return mime.replace("video/", "audio/", 1)
    return mime
