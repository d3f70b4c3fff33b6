"""How large a file may be when it goes out, P08. Nothing is made smaller here, so that the ceilings themselves are seen."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import av
import pytest

from satchel.testing.world import World

from ..postprocess import pictures, recordings
from ..postprocess.test_repair import padded, sticker
from .conftest import Api

KB, MB = 1 << 10, 1 << 20


def aac(size: int) -> bytes:
    """A recording of any length in bytes: a second of sound, and frames of any size behind it that nobody decodes."""
    sound = recordings.made("adts", "", "aac")
    missing, longest, frames = size - len(sound), 8000, list[bytes]()
    while missing:
        length = missing if missing <= longest else min(longest, missing - 100)
        head = int.from_bytes(sound[:7], "big") & ~(0x1FFF << 13) | length << 13
        frames.append(head.to_bytes(7, "big") + bytes(length - 7))
        missing -= length
    return b"".join([sound, *frames])


def film(size: int) -> bytes:
    """A video that goes out with so many bytes, 8 more than it has: behind its last picture stands filler that no player shows."""
    return _filled(size - 8 - len(_filled(100)) + 100)


def _filled(filler: int) -> bytes:
    sink = BytesIO()
    with recordings.opened(recordings.mp4()) as source, av.open(sink, "w", "mp4", options={"fflags": "+bitexact"}) as into:
        streams = [into.add_stream_from_template(stream) for stream in source.streams]
        packets = [packet for packet in source.demux() if packet.size]
        last = max(at for at, packet in enumerate(packets) if packet.stream.type == "video")
        packets[last] = _longer(packets[last], filler.to_bytes(4, "big") + b"\x0c" + b"\xff" * (filler - 2) + b"\x80")
        for packet in packets:
            packet.stream = streams[packet.stream.index]
            into.mux(packet)
    return sink.getvalue()


def _longer(packet: Any, tail: bytes) -> Any:
    longer = av.Packet(bytes(packet) + tail)
    longer.stream, longer.time_base, longer.is_keyframe = packet.stream, packet.time_base, packet.is_keyframe
    longer.pts, longer.dts, longer.duration = packet.pts, packet.dts, packet.duration
    return longer


CEILINGS: dict[str, tuple[Callable[[int], bytes], str, int, int, int]] = {
    "audio": (aac, "audio/aac", 16_777_199, 16_777_200, 16 * MB),
    "document": (bytes, "application/zip", 104_857_583, 104_857_584, 100 * MB),
    "image": (lambda size: padded(pictures.HARBOUR, size), "image/jpeg", 5_242_863, 5_242_864, 5 * MB),
    "sticker": (sticker, "image/webp", 102_382, 102_384, 100 * KB),  # the bytes of a WebP are even in number
    "video": (film, "video/mp4", 16_777_199, 16_777_208, 16 * MB),  # this one has 16,777,200 bytes when it comes
}
"""How one is made, its type, the largest plain size and the next one, the ceiling of the page."""


@pytest.fixture(scope="session")
def satchel_settings() -> dict[str, Any]:
    return {f"postprocess.{type_}": "refuse" for type_ in ("audio", "image", "sticker", "video")}


def blob_size(whatsapp: World, api: Api, number: str) -> int:
    """Bytes of the newest media as it lies on the server."""
    sandbox = whatsapp.server.sandbox_url
    media = api.http.get(f"{sandbox}/sandbox/phones/{number}/messages/latest/envelope").json()["media"]
    return len(api.http.get(sandbox + media["direct_path"]).content)


@pytest.mark.parametrize("type_", CEILINGS)
def test_p08_the_ceiling_holds_to_the_byte_after_encryption(api: Api, whatsapp: World, type_: str) -> None:
    make, mime, most, over, ceiling = CEILINGS[type_]
    phone = whatsapp.phone()
    api.send(phone.number, type_, id=api.upload(make(most), mime))
    message = phone.wait_for(type_, timeout=60)
    assert message.state == "downloaded"
    assert len(message.bytes) == most
    assert blob_size(whatsapp, api, phone.number) <= ceiling < blob_size(whatsapp, api, phone.number) + 16
    error = api.refused(type_, id=api.upload(make(over), mime))
    assert (error["code"], str(ceiling) in error["details"]) == (1014, True), error
