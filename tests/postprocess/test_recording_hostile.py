"""Files made to harm: the child that looks into them opens nothing, ends in time, and says in words what is wrong."""

import asyncio
import os
import random
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from satchel.domain.errors import CONTENT_MISMATCH, MEDIA_TOO_HEAVY, MEDIA_UNREADABLE, TOO_LARGE_TO_SEND, TYPE_NOT_ACCEPTED, Fault
from satchel.domain.media import Facts
from satchel.domain.plans import Plan, Rules, plan
from satchel.domain.recordings import FORMATS, H264
from satchel.postprocess import recording
from satchel.postprocess.broken import Broken
from satchel.postprocess.children import Children

from .processes import children_of, with_pool
from .recordings import FRONT, boxes, made, mp4

REASONS = {CONTENT_MISMATCH, MEDIA_TOO_HEAVY, MEDIA_UNREADABLE, TOO_LARGE_TO_SEND, TYPE_NOT_ACCEPTED}


async def sent(pool: Children, folder: Path, data: bytes, media_type: str) -> Plan | Fault:
    """What becomes of a file that is sent as a media type, from the probe to the rendition."""
    (folder / "media").write_bytes(data)
    try:
        todo = plan(await pool.probe(folder / "media"), media_type, Rules())
        if todo.action != "keep":
            (folder / "rendition").unlink(missing_ok=True)
            await pool.render(folder / "media", todo, folder / "rendition")
    except Fault as fault:
        assert fault.situation in REASONS and fault.details.endswith(".")
        return fault
    return todo


def refused(children: Children, folder: Path, data: bytes, media_type: str = "video") -> Fault:
    found = asyncio.run(sent(children, folder, data, media_type))
    assert isinstance(found, Fault), found
    return found


def box(kind: bytes, *payload: bytes) -> bytes:
    body = b"".join(payload)
    return struct.pack(">I4s", len(body) + 8, kind) + body


FTYP = box(b"ftyp", b"isom\0\0\2\0isomavc1")


def lists(port: int, path: Path) -> list[bytes]:
    """Texts in which a player finds other addresses and files to open."""
    address = f"http://127.0.0.1:{port}/secret"
    return [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}.ts\n#EXT-X-ENDLIST\n".encode(),
        f"#EXTM3U\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n".encode(),
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n".encode(),
        f"ffconcat version 1.0\nfile '{path}'\n".encode(),
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{address}</BaseURL></MPD>'.encode(),
        f"[playlist]\nFile1={address}\nNumberOfEntries=1\n".encode(),
    ]


@pytest.mark.timeout(60)
def test_lists_and_session_descriptions_open_nothing(children: Children, tmp_path: Path) -> None:
    """Told by their first bytes they never reach FFmpeg; with the first bytes of a video it takes them for a broken one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        (tmp_path / "other").write_bytes(mp4())
        for text in lists(server.getsockname()[1], tmp_path / "other"):
            assert refused(children, tmp_path, text).situation == CONTENT_MISMATCH
            assert refused(children, tmp_path, FTYP + text).situation == MEDIA_UNREADABLE
            for form in FORMATS:  # not even without the isolation of a child
                with pytest.raises(Exception, match=r"."):
                    assert not recording.probe(memoryview(text), form, "", 0)
        with pytest.raises(BlockingIOError):
            server.accept()


def with_other_file(data: bytes, path: Path) -> bytes:
    """The same MP4, its media said to lie in another file (an alias of the Macintosh with an absolute path)."""
    name = str(path).encode()
    name += b"\0" * (len(name) % 2)
    alias = bytes(10) + b"\x01x" + bytes(26) + bytes(12) + b"\x01x" + bytes(62) + bytes(16) + struct.pack(">hh", 2, 2) + bytes(16)
    alias += struct.pack(">HH", 2, len(name)) + name + struct.pack(">HH", 0xFFFF, 0)
    other = box(b"dref", bytes(4), struct.pack(">I", 1), box(b"alis", bytes(4), alias))
    found = data.replace(box(b"dref", bytes(4), struct.pack(">I", 1), box(b"url ", b"\0\0\0\1")), other)
    grown = len(other) - 28
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        for at in [match.start() - 4 for match in re.finditer(kind, found)]:
            times = found.count(b"alis") if kind == b"moov" else 1
            found = found[:at] + struct.pack(">I", struct.unpack_from(">I", found, at)[0] + grown * times) + found[at + 4 :]
    return found


@pytest.mark.timeout(60)
def test_an_index_that_points_to_another_file_opens_nothing(children: Children, tmp_path: Path) -> None:
    """The other file is a pipe without a writer: whoever opened it would wait for ever, in a child as in this process."""
    os.mkfifo(tmp_path / "pipe")
    data = with_other_file(mp4(), tmp_path / "pipe")
    assert data.count(b"alis") == 2 and [kind for kind, _ in boxes(data)] == [kind for kind, _ in boxes(mp4())]
    with pytest.raises(Broken, match="its index names 25 packets, and 0 are there"):
        recording.probe(memoryview(data), "mp4", "video/mp4", 0)
    assert refused(children, tmp_path, data).situation == MEDIA_UNREADABLE


@pytest.mark.parametrize(
    "data", [b"", b"\0", FTYP, FTYP[:9], b"ID3", b"OggS", b"RIFF\0\0\0\0WAVE", b"\x1a\x45\xdf\xa3", b"fLaC\0", b"#!AMR\n"]
)
@pytest.mark.parametrize("media_type", ["audio", "video"])
def test_next_to_nothing_is_refused(data: bytes, media_type: str, children: Children, tmp_path: Path) -> None:
    assert refused(children, tmp_path, data, media_type).situation in {CONTENT_MISMATCH, MEDIA_UNREADABLE}


def test_thousands_of_streams_are_refused(tmp_path: Path) -> None:
    moov = dict(boxes(mp4(container=FRONT)))["moov"]
    trak = re.search(rb"(?s).{4}trak", moov)
    assert trak
    begin = trak.start()
    end = begin + struct.unpack_from(">I", moov, begin)[0]
    data = FTYP + box(b"moov", moov[:begin], moov[begin:end] * 20_000, moov[end:]) + box(b"mdat", bytes(1000))
    assert refuses(tmp_path, data).situation in {MEDIA_UNREADABLE, MEDIA_TOO_HEAVY}


def refuses(tmp_path: Path, data: bytes, media_type: str = "video") -> Fault:
    """With a pool of its own, which must work on afterwards."""

    async def use(pool: Children) -> Fault:
        found = await sent(pool, tmp_path, data, media_type)
        assert isinstance(found, Fault), found
        assert isinstance(await sent(pool, tmp_path, mp4(), "video"), Plan)
        return found

    return with_pool(use)


def patched(data: bytes, kind: bytes, offset: int, value: int) -> bytes:
    """An MP4 with four bytes behind the name of its first such box exchanged."""
    at = data.index(kind) + 4 + offset
    return data[:at] + struct.pack(">I", value) + data[at + 4 :]


LYING = {
    "samples without end": (b"stsz", 8, 2**31 - 1),
    "a sample of two gigabytes": (b"stsz", 12, 2**31 - 1),
    "all samples of one size": (b"stsz", 4, 2**20),
    "chunks beyond the end": (b"stco", 8, 2**31),
    "times without end": (b"stts", 4, 2**28),
}


@pytest.mark.parametrize("name", LYING)
def test_an_index_that_lies_is_refused(name: str, tmp_path: Path) -> None:
    kind, offset, value = LYING[name]
    assert refuses(tmp_path, patched(mp4(), kind, offset, value)).situation in {MEDIA_UNREADABLE, MEDIA_TOO_HEAVY}


def test_a_picture_of_144_megapixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    data = made("avi", "huffyuv", pixels="yuv422p")
    at = data.index(b"strf") + 12
    huge = data[:at] + struct.pack("<II", 12_000, 12_000) + data[at + 8 :]
    fault = refuses(tmp_path, huge)
    assert fault.situation == TYPE_NOT_ACCEPTED and "a side of 12000 pixels" in fault.details


def test_a_recording_of_centuries_is_refused(tmp_path: Path) -> None:
    data = bytearray(made("wav", "", "pcm_s16le"))
    struct.pack_into("<I", data, 24, 1)  # samples a second
    struct.pack_into("<I", data, 28, 2)
    fault = refuses(tmp_path, bytes(data), "audio")
    assert fault.situation == TOO_LARGE_TO_SEND and "12 h 15 min" in fault.details


def test_an_encrypted_recording_is_said_to_be_encrypted(children: Children, tmp_path: Path) -> None:
    key = "0123456789abcdef" * 2
    locked = mp4(container=f"encryption_scheme=cenc-aes-ctr,encryption_key={key},encryption_kid={key}")
    for data in (locked, mp4().replace(b"avc1\0\0\0\0", b"encv\0\0\0\0")):
        assert "is encrypted" in refused(children, tmp_path, data).details


SEEDS: list[tuple[Callable[[], bytes], str]] = [
    (lambda: mp4(seconds=0.4), "video"),
    (lambda: made("webm", "libvpx", seconds=0.4), "video"),
    (lambda: made("ogg", "", "libopus", hertz=48000, layout="stereo", seconds=0.4), "audio"),
    (lambda: made("avi", "mpeg4", "libmp3lame", seconds=0.4), "video"),
    (lambda: made("flac", "", "flac", seconds=0.4), "audio"),
    (lambda: made("ipod", "", "aac", seconds=0.4), "audio"),
]


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_noise_gets_a_plan_or_a_reason_and_never_harms_the_child(number: int, children: Children, tmp_path: Path) -> None:
    make, media_type = SEEDS[number]
    data, dice = make(), random.Random(number)

    async def use() -> None:
        await children.probe(tmp_path / "whole")
        before = {child.pid for child in children_of(os.getpid())}
        for _ in range(20):
            mutated = bytearray(data)
            for _ in range(dice.randint(1, 8)):
                mutated[dice.randrange(12, len(data))] = dice.randrange(256)
            found = await sent(children, tmp_path, bytes(mutated), media_type)
            assert isinstance(found, Plan) or found.situation != MEDIA_TOO_HEAVY or "memory" in found.details
        assert len({child.pid for child in children_of(os.getpid())} - before) < 10

    (tmp_path / "whole").write_bytes(data)
    asyncio.run(use())


def test_a_transcoding_that_is_too_slow_is_cut_off(tmp_path: Path) -> None:
    data = made("avi", "mpeg4", size="1280x720", seconds=3)

    async def use(pool: Children) -> Facts:
        with pytest.raises(Fault, match=r"within 0\.3 seconds") as caught:
            (tmp_path / "media").write_bytes(data)
            await pool.probe(tmp_path / "media")
            await pool.render(tmp_path / "media", Plan("video", "convert", H264, 10**7), tmp_path / "rendition")
        assert caught.value.situation == MEDIA_TOO_HEAVY and not (tmp_path / "rendition").exists()
        return await pool.probe(tmp_path / "media")

    assert with_pool(use, seconds=0.3).streams
