"""Sound made anew: AAC in MP4, or one channel of Opus in Ogg. Runs inside the child only."""

from __future__ import annotations  # PyAV's packets are generic in its stubs alone

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from satchel.domain.media import Facts
from satchel.domain.recordings import AAC, OPUS, sound_rate
from satchel.postprocess.broken import Broken, Unfit
from satchel.postprocess.coders import needed
from satchel.postprocess.recording_source import opened
from satchel.postprocess.recording_write import Overflow, Sink, first, new, remux, write

KINDS = {AAC: "AAC", OPUS: "Opus"}
OPUS_HERTZ = 48_000
AAC_HERTZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
STEREO_FROM = 64_000
"""Bits a second from which on two channels are better than one."""

LOWER = 0.8
"""What the second try gets of the bits of the first."""

CUT = 1024
"""Samples between resampling and coding; any number does, for a coder cuts again."""


class Sound:
    """A stream of sound that is decoded, brought into one form without gaps, and coded."""

    def __init__(self, stream: AudioStream, into: OutputContainer, mime: str, rate: int) -> None:
        self.stream: Stream = stream
        channels = 1 if mime == OPUS or rate < STEREO_FROM or stream.codec_context.channels == 1 else 2
        self._coder = cast(AudioStream, into.add_stream(needed(KINDS[mime]), rate=_hertz(mime, stream.codec_context.sample_rate)))
        self._coder.codec_context.layout = "mono" if channels == 1 else "stereo"
        self._coder.codec_context.bit_rate = rate
        self._forms: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._decoding = Decoding()

    def feed(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """What a packet becomes, encoded anew; an empty one ends the stream."""
        for frame in self._decoding.frames(packet):
            assert isinstance(frame, AudioFrame)
            yield from self._take(frame)
        if not packet.size:
            yield from self._flushed()
            self._decoding.judge()
            yield from self._coder.encode(None)

    def _take(self, frame: AudioFrame) -> Iterator[Packet[Stream]]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:  # also in the middle: some recordings change
            yield from self._flushed()
            target = self._coder.codec_context
            self._form = form
            self._forms = AudioResampler(target.format, target.layout, target.sample_rate, CUT, {"async": "1"})
        assert self._forms
        for formed in self._forms.resample(frame):
            yield from self._coder.encode(formed)

    def _flushed(self) -> Iterator[Packet[Stream]]:
        for formed in self._forms.resample(None) if self._forms else ():
            yield from self._coder.encode(formed)


class Decoding:
    """Decodes the packets of one stream. A few that do not decode are left out, as players do; many make the file `Broken`."""

    def __init__(self) -> None:
        self._packets = self._frames = self._bad = 0
        self._why = ""

    def frames(self, packet: Packet[Stream]) -> Iterator[object]:
        """What a packet decodes to."""
        self._packets += 1
        try:
            decoded = packet.decode()
        except (av.error.InvalidDataError, av.error.ArgumentError) as why:
            self._bad, self._why = self._bad + 1, str(why)
            if self._bad > 3 + self._packets // 20:
                self.judge()
            return
        self._frames += len(decoded)
        yield from decoded

    def judge(self) -> None:
        """Raise `Broken` where too little has come out."""
        if not self._frames or self._bad > 3 + self._packets // 20:
            raise Broken(f"{self._bad} of {self._packets} packets do not decode ({self._why or 'nothing came out'})")


def convert(data: memoryview, form: str, facts: Facts, mime: str, most: int) -> memoryview:
    """The first sound as AAC or Opus in at most so many bytes. Raises `Broken`, and `Unfit` where it does not fit."""
    rate = sound_rate(mime, facts.seconds, most)
    if not rate:
        raise Unfit(f"{facts.seconds:.0f} seconds do not fit into {most} bytes")
    for rate_ in (rate, int(rate * LOWER)):
        try:
            made = _coded(data, form, mime, rate_, most)
        except Overflow:
            continue
        if len(made) <= most:
            return made
    raise Unfit(f"even with {int(rate * LOWER)} bits a second it has more than {most} bytes")


def _coded(data: memoryview, form: str, mime: str, rate: int, most: int) -> memoryview:
    sink = Sink(most)
    with opened(data, form) as source:
        stream = first(source, "audio")
        if stream is None:
            raise Broken("it has no sound")
        into = new(sink, "ogg" if mime == OPUS else "ipod")
        write(source, into, [Sound(cast(AudioStream, stream), into, mime, rate)])
    if mime == OPUS:
        return sink.written
    return remux(sink.written, "mp4", "audio", most)


def tone() -> bytes:
    """A tenth of a second of silence as AAC in MP4, to prove with that decoding and coding work."""
    sink = Sink(1 << 16)
    into = new(sink, "ipod")
    coder = into.add_stream("aac", rate=8000)
    coder.codec_context.layout = "mono"
    frame = AudioFrame("s16", "mono", 800)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
    for packet in (*coder.encode(frame), *coder.encode(None)):
        into.mux_one(packet)
    into.close()
    return bytes(sink.written)


def _hertz(mime: str, hertz: int) -> int:
    if mime == OPUS:
        return OPUS_HERTZ
    return hertz if hertz in AAC_HERTZ else 44_100
