"""Putting streams into a new file: copied as they are or made anew, without metadata, the index in front. Runs inside the child only.

The result lies in memory, for it is at most as large as may go out. FFmpeg's own way to put the index in front opens the file again by its
name, which a child cannot; so room for the index is left at the beginning, and where it was too little, everything is written again.
"""

from __future__ import annotations  # PyAV's packets are generic in its stubs alone

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import av
from av.container import InputContainer, OutputContainer
from av.error import ArgumentError
from av.packet import Packet
from av.stream import Stream

from satchel.postprocess.broken import Broken
from satchel.postprocess.recording_source import BUFFER, opened

INDEX_BASE, INDEX_PER_PACKET = 4096, 40
"""Bytes of index: a few tables, and the most that a packet takes in them."""

WASTE = 0.01
"""The share of a file that may be room left over; where it is more, the file is small and soon written again."""

MUXERS = {"audio": "ipod", "video": "mp4"}
"""What FFmpeg calls an MP4 that says of itself to be sound alone, and one that does not."""


class Overflow(Exception):
    """The result became larger than it may be."""


class Track(Protocol):
    """One stream on its way into the new file."""

    stream: Stream

    def feed(self, packet: Packet[Stream]) -> Iterable[Packet[Stream]]:
        """The packets to write for one that was read; the last one read is empty and asks for what is left."""


class Copied:
    """A stream that is copied packet for packet."""

    def __init__(self, stream: Stream, into: OutputContainer) -> None:
        self.stream = stream
        # A template's decoder is all that is needed: an encoder of the same name need not exist.
        self._into = into.add_stream_from_template(stream, opaque=True)
        self._early: list[Packet[Stream]] = []

    def feed(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """What of the stream may be written by now; an empty packet ends it."""
        if packet.size and packet.dts is None:
            self._early.append(packet)
            return
        for made in (*self._timed(packet), *([packet] if packet.size else ())):
            made.stream = self._into
            yield made

    def _timed(self, next_: Packet[Stream]) -> list[Packet[Stream]]:
        """The first packets of Matroska say when they are shown and not when they are decoded: one after the other, before the next."""
        early, self._early = self._early, []
        for before, packet in enumerate(reversed(early), 1):
            packet.dts = packet.pts if next_.dts is None else next_.dts - before * (next_.duration or 1)
        return early


class Sink:
    """A file in memory of at most `most` bytes, of which a good guess is reserved at once. Raises `Overflow`."""

    def __init__(self, most: int, guess: int = 0) -> None:
        self._data, self._most = bytearray(min(guess, most)), most
        self._at = self._end = 0

    def write(self, block: bytes) -> int:
        end = self._at + len(block)
        if end > self._most:
            raise Overflow
        if self._at > len(self._data):
            self._data.extend(bytes(self._at - len(self._data)))
        self._data[self._at : end] = block
        self._at, self._end = end, max(self._end, end)
        return len(block)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    @property
    def written(self) -> memoryview:
        """What has been written."""
        return memoryview(self._data)[: self._end]


def new(sink: Sink, muxer: str, **options: str) -> OutputContainer:
    """An empty file that will name neither its maker nor the time: the same input always gives the same bytes."""
    return av.open(sink, "w", format=muxer, options={"fflags": "+bitexact", **options}, buffer_size=BUFFER)


def write(source: InputContainer, into: OutputContainer, tracks: Sequence[Track]) -> None:
    """Read everything, write what the tracks make of it, and close the new file. Raises `Overflow` and whatever FFmpeg raises."""
    by_index = {track.stream.index: track for track in tracks}
    for packet in source.demux(*(track.stream for track in tracks)):
        for made in by_index[packet.stream.index].feed(packet):
            into.mux_one(made)
    into.close()


def remux(data: memoryview, form: str, media_type: str, most: int) -> memoryview:
    """The first picture, if it is a video, and the first sound in an MP4 with the index in front; may be a little over `most` bytes."""
    reserve = 0
    while True:
        with opened(data, form, to_copy=True) as source:
            chosen = [stream for kind in ("video", "audio") if (stream := first(source, kind))]
            packets = sum(len(stream.index_entries) for stream in chosen)
            reserve = reserve or INDEX_BASE + INDEX_PER_PACKET * packets
            try:
                written = _remuxed(source, chosen, media_type, reserve, Sink(most + reserve + INDEX_BASE, len(data) + reserve))
            except ArgumentError:
                if reserve > most:
                    raise
                reserve *= 4  # fragments tell of their packets only when they are read
                continue
        tight = _index_size(written) + 8
        if tight >= reserve or (len(written) <= most and reserve - tight <= len(written) * WASTE):
            return written
        reserve = tight


def first(source: InputContainer, kind: str) -> Stream | None:
    """The first stream of a kind, "audio" or "video", that is no cover picture. Raises `Broken` for one that nobody can decode."""
    streams: Iterable[Stream] = source.streams.video if kind == "video" else source.streams.audio
    found = next((stream for stream in streams if not is_cover(stream)), None)
    if found and found.codec_context is None:
        raise Broken(f"its {kind} is encrypted, or in a codec that is not known here")
    return found


def is_cover(stream: Stream) -> bool:
    """Whether a stream is one still picture beside a recording."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _remuxed(source: InputContainer, chosen: list[Stream], media_type: str, reserve: int, sink: Sink) -> memoryview:
    into = new(sink, MUXERS[media_type], moov_size=str(reserve))
    write(source, into, [Copied(stream, into) for stream in chosen])
    return sink.written


def _index_size(written: memoryview) -> int:
    """Bytes of the box behind the first one, which is the index."""
    begin = int.from_bytes(written[:4], "big")
    return int.from_bytes(written[begin : begin + 4], "big")
