"""Audio and video for the tests of post-processing, made in memory: moving test pictures and tones in any container and codec."""

import io
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

RATE = 25
PLACE = "taken in the garden"


def pictures(size: str, seconds: float, pixels: str) -> Iterator[VideoFrame]:
    """The frames of a moving test picture."""
    with av.open(f"testsrc2=size={size}:rate={RATE}:duration={seconds},format={pixels}", format="lavfi") as source:
        for frame in source.decode(video=0):
            frame.pict_type = 0
            yield frame


def tones(seconds: float, hertz: int) -> Iterator[AudioFrame]:
    with av.open(f"sine=frequency=440:sample_rate={hertz}:duration={seconds}", format="lavfi") as source:
        yield from source.decode(audio=0)


@cache
def made(
    muxer: str,
    video: str = "",
    audio: str = "",
    *,
    seconds: float = 1.0,
    size: str = "64x48",
    pixels: str = "yuv420p",
    layout: str = "mono",
    hertz: int = 44100,
    turned: int = 0,
    sounds: int = 1,
    metadata: str = "",
    container: str = "",
    options: str = "",
) -> bytes:
    """A recording.

    `video`, `audio`: encoders; `sounds`: audio streams; `metadata`: a place;
    `container`, `options`: of the muxer and the video encoder, k=v,k=v.
    """
    sink = io.BytesIO()
    with av.open(sink, "w", format=muxer, options=_options(container)) as into:
        if metadata:
            into.metadata.update(location=metadata, title=PLACE)
        picture = _picture(into, video, size, pixels, turned, options) if video else None
        heard = [_sound(into, audio, layout, hertz) for _ in range(sounds)] if audio else []
        _encode(into, picture, heard, (size, seconds, pixels), hertz)
    return sink.getvalue()


def _options(text: str) -> dict[str, str]:
    return dict(part.split("=") for part in text.split(",") if part)


def _picture(into: OutputContainer, encoder: str, size: str, pixels: str, turned: int, options: str) -> VideoStream:
    stream = cast(VideoStream, into.add_stream(encoder, rate=RATE, options=_options(options)))
    stream.width, stream.height = map(int, size.split("x"))
    stream.pix_fmt = pixels
    if turned:
        stream.set_display_rotation(turned)
    return stream


def _sound(into: OutputContainer, encoder: str, layout: str, hertz: int) -> AudioStream:
    stream = cast(AudioStream, into.add_stream(encoder, rate=hertz))
    stream.codec_context.layout = layout
    stream.codec_context.bit_rate = 12_200 if "amr" in encoder else 64_000
    return stream


def _encode(
    into: OutputContainer, picture: VideoStream | None, heard: list[AudioStream], shown: tuple[str, float, str], hertz: int
) -> None:
    into.start_encoding()
    if picture:
        for frame in pictures(*shown):
            into.mux(picture.encode(frame))
        into.mux(picture.encode(None))
    for stream in heard:
        for tone in tones(shown[1], hertz):
            into.mux(stream.encode(tone))
        into.mux(stream.encode(None))


FRONT = "moov_size=20000"
FRAGMENTS = "movflags=frag_keyframe+empty_moov"


def mp4(**options: Any) -> bytes:
    """A video that may go out as it is, its index at the end."""
    return made("mp4", "libx264", "aac", **options)


def padded(data: bytes, size: int) -> bytes:
    """An MP4 with a box behind it that holds nothing, so that it has just that many bytes."""
    more = size - len(data)
    return data + struct.pack(">I4s", more, b"free") + bytes(more - 8)


def boxes(data: bytes) -> list[tuple[str, bytes]]:
    """The boxes of an MP4."""
    found, at = [], 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind.decode("latin-1"), data[at + 8 : at + length]))
        at += length
    return found


def opened(data: bytes) -> Any:
    return av.open(io.BytesIO(data))


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """What a player shows: width, height, degrees and pixels of each frame."""
    with opened(data) as source:
        return [(one.width, one.height, one.rotation, bytes(one.planes[0])) for one in source.decode(video=0)]


def samples(data: bytes) -> list[bytes]:
    """What a player lets hear."""
    with opened(data) as source:
        return [bytes(one.planes[0]) for one in source.decode(audio=0)]


def seconds(data: bytes) -> float:
    with opened(data) as source:
        return float(source.duration / 1e6)
