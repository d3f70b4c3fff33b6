"""A picture made anew: H.264 with AAC in MP4, bounded in bytes. Runs inside the child only.

Streams that may go out are copied, so a wrong sound does not cost the picture a generation. The way round (`rotation`) is kept as it is
written in the file: it is not applied.
"""

from __future__ import annotations  # PyAV's packets are generic in its stubs alone

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from satchel.domain.media import Facts
from satchel.domain.recordings import AAC, LINES, YUV420, lines_of, picture_rate, sound_share
from satchel.postprocess.audio import LOWER, Decoding, Sound
from satchel.postprocess.broken import Broken, Unfit
from satchel.postprocess.coders import needed
from satchel.postprocess.recording_source import opened
from satchel.postprocess.recording_write import Copied, Overflow, Sink, Track, first, new, remux, write

TICKS = 90_000
"""A second in the time base of the new picture: fine enough for any rate of pictures, and for none at all."""

FAST, FAST_RATE, CALM = 60, 2_000_000, 30
"""Pictures a second: at most so many, and at most `CALM` with fewer bits a second than `FAST_RATE`."""

THREADS = 4
"""Fixed, for the number of threads changes the bytes that come out."""


@dataclass(frozen=True)
class Bounds:
    """`rate`: bits a second, at most; `lines`: pixels of the shorter side, at most; `turned`: degrees the picture is shown turned by."""

    rate: int
    lines: int
    turned: int


class Picture:
    """A stream of pictures that is decoded, made smaller where it has to be, and coded."""

    def __init__(self, stream: VideoStream, into: OutputContainer, bounds: Bounds) -> None:
        self.stream: Stream = stream
        stream.thread_type = "AUTO"
        stream.thread_count = THREADS
        self._bounds, self._into = bounds, into
        self._size = _fitted(stream, bounds.lines)
        self._coder = _coder(into, bounds.rate, self._size)
        if bounds.turned:
            self._coder.set_display_rotation(bounds.turned)
        self._least = TICKS // (1 + (FAST if bounds.rate >= FAST_RATE else CALM))
        self._last: int | None = None
        self._decoding = Decoding()

    def feed(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """What a packet becomes, encoded anew; an empty one ends the stream."""
        for frame in self._decoding.frames(packet):
            yield from self._take(cast(VideoFrame, frame))
        if not packet.size:
            self._decoding.judge()
            yield from self._coder.encode(None)

    def _take(self, frame: VideoFrame) -> Iterator[Packet[Stream]]:
        at = self._time(frame)
        if self._last is not None and at < self._last + self._least:
            return
        self._last = at
        width, height = self._size
        made = frame.reformat(width, height, "yuv420p", interpolation="BICUBIC", dst_color_range="MPEG")
        made.pts, made.time_base, made.pict_type = at, Fraction(1, TICKS), 0
        yield from self._coder.encode(made)

    def _time(self, frame: VideoFrame) -> int:
        if frame.pts is None or frame.time_base is None:
            return (self._last or 0) + TICKS // CALM
        return round(frame.pts * frame.time_base * TICKS)


def convert(data: memoryview, form: str, facts: Facts, most: int) -> memoryview:
    """The first picture and the first sound in at most so many bytes. Raises `Broken`, and `Unfit` where they do not fit."""
    pictures = [stream for stream in facts.streams if stream.kind == "video"]
    rate, sound = picture_rate(facts.seconds, most), sound_share(facts.seconds, most)
    if pictures and pictures[0].codec == "h264" and pictures[0].pixels in YUV420:
        try:
            return _made(data, form, None, sound, most)
        except (Overflow, av.FFmpegError):  # too large, or times that MP4 does not take: it is made anew
            pass
    if not lines_of(rate):
        raise Unfit(f"{facts.seconds:.0f} seconds do not fit into {most} bytes")
    turned = _turned(data, form)
    for rate_ in (rate, int(rate * LOWER)):
        try:
            return _made(data, form, Bounds(rate_, lines_of(rate_) or LINES[-1][0], turned), sound, most)
        except Overflow:
            continue
    raise Unfit(f"even with {int(rate * LOWER)} bits a second it has more than {most} bytes")


def _made(data: memoryview, form: str, bounds: Bounds | None, sound: int, most: int) -> memoryview:
    """The new file; without bounds its picture is a copy. Raises `Overflow`."""
    sink = Sink(most)
    with opened(data, form) as source:
        into = new(sink, "mp4")
        write(source, into, _tracks(source, into, bounds, sound))
    written = remux(sink.written, "mp4", "video", most)
    if len(written) > most:
        raise Overflow
    return written


def _tracks(source: InputContainer, into: OutputContainer, bounds: Bounds | None, sound: int) -> list[Track]:
    picture, heard = first(source, "video"), first(source, "audio")
    if picture is None:
        raise Broken("it has no moving picture")
    tracks: list[Track] = [Picture(cast(VideoStream, picture), into, bounds) if bounds else Copied(picture, into)]
    if heard:
        keeps = heard.codec_context.codec.canonical_name == "aac" and not bounds
        tracks.append(Copied(heard, into) if keeps else Sound(cast(AudioStream, heard), into, AAC, sound))
    return tracks


def _turned(data: memoryview, form: str) -> int:
    """Degrees. They come with the first frame, and must be known before the first packet is written."""
    with opened(data, form) as source:
        for frame in source.decode(first(source, "video")):
            return cast(VideoFrame, frame).rotation
    return 0


def _coder(into: OutputContainer, rate: int, size: tuple[int, int]) -> VideoStream:
    name = needed("H.264")
    options = {"preset": "veryfast", "crf": "23", "profile": "main", "bf": "0", "maxrate": str(rate), "bufsize": str(rate)}
    if name == "libopenh264":
        options = {"rc_mode": "bitrate", "maxrate": str(rate)}
    coder = cast(VideoStream, into.add_stream(name, rate=CALM, options=options))
    coder.width, coder.height = size
    coder.pix_fmt = "yuv420p"
    coder.codec_context.time_base = Fraction(1, TICKS)
    coder.codec_context.thread_count = THREADS
    if name == "libopenh264":
        coder.bit_rate = min(rate, size[0] * size[1] * 4)
    return coder


def _fitted(stream: VideoStream, lines: int) -> tuple[int, int]:
    """Width and height of the new picture: square pixels, even numbers, the shorter side at most so many, the longer twice that."""
    width, height = Fraction(stream.codec_context.width), Fraction(stream.codec_context.height)
    if not width or not height:
        raise Broken("its picture has no size")
    shape = stream.codec_context.sample_aspect_ratio or Fraction(1)
    width, height = (width * shape, height) if shape > 1 else (width, height / shape)
    scale = min(Fraction(1), lines / min(width, height), 2 * lines / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
