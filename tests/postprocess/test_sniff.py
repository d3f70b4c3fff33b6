"""Formats are told by their first bytes, and text is never taken for one of the formats with a short signature."""

import gzip
import io
import struct
import wave
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.postprocess.sniff import HEAD_BYTES, UNKNOWN, sniff

from .pictures import HARBOUR, jpeg, png, saved, scene


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", len(body) + 4) + body + bytes(64)


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "a")
    return out.getvalue()


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(100))
    return out.getvalue()


MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)
ADTS_FRAME = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)


def ogg(packet: bytes, segments: int = 1) -> bytes:
    """A first page."""
    return b"OggS\0\x02" + bytes(20) + bytes([segments]) + bytes([len(packet)] * segments) + packet


def id3(size: int) -> bytes:
    """A tag of so many bytes."""
    return b"ID3\4\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(min(size, 8192))


KNOWN = [
    (HARBOUR, "jpeg", "image/jpeg"),
    (jpeg(), "jpeg", "image/jpeg"),
    (png(), "png", "image/png"),
    (saved(scene(), "WEBP", {}), "webp", "image/webp"),
    (saved(scene(), "GIF", {}), "gif", "image/gif"),
    (saved(scene(), "BMP", {}), "bmp", "image/bmp"),
    (saved(scene(), "TIFF", {}), "tiff", "image/tiff"),
    (saved(scene(), "ICO", {"sizes": [(16, 16)]}), "ico", "image/x-icon"),
    (saved(scene(), "PDF", {}), "pdf", "application/pdf"),
    (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "jp2", "image/jp2"),
    (b"8BPS\0\x01" + bytes(20), "psd", "image/vnd.adobe.photoshop"),
    (ftyp(b"heic", b"mif1"), "heif", "image/heic"),
    (ftyp(b"mif1", b"heic"), "heif", "image/heic"),
    (ftyp(b"mif1"), "heif", "image/heif"),
    (ftyp(b"mif1", b"avif"), "avif", "image/avif"),
    (ftyp(b"avif"), "avif", "image/avif"),
    (ftyp(b"isom", b"mp41"), "mp4", "video/mp4"),
    (ftyp(b"M4A "), "mp4", "audio/mp4"),
    (ftyp(b"3gp4"), "3gp", "video/3gpp"),
    (ftyp(b"qt  "), "quicktime", "video/quicktime"),
    (ftyp(b"M4B "), "mp4", "audio/mp4"),
    (ftyp(b"3g2a"), "3gp", "video/3gpp"),
    (b"\0\0\0\x08wide\0\0\1\0mdat" + bytes(8), "quicktime", "video/quicktime"),
    (b"\0\0\1\0moov\0\0\0\x6cmvhd", "quicktime", "video/quicktime"),
    (ogg(b"OpusHead\1\1"), "ogg", "audio/ogg"),
    (ogg(b"\x01vorbis"), "ogg", "audio/ogg"),
    (ogg(b"\x7fFLAC\1\0"), "ogg", "audio/ogg"),
    (ogg(b"\x80theora"), "ogg", "video/ogg"),
    (ogg(b"\x80theora", segments=2), "ogg", "video/ogg"),
    (id3(20) + ADTS_FRAME * 3, "aac", "audio/aac"),
    (id3(20) + b"fLaC\0\0\0\x22", "flac", "audio/flac"),
    (id3(20) + MP3_FRAME, "mp3", "audio/mpeg"),
    (id3(1 << 20), "mp3", "audio/mpeg"),
    (b"fLaC\0\0\0\x22", "flac", "audio/flac"),
    (b"#!AMR-WB\n<", "amr", "audio/amr-wb"),
    (b"FORM\0\0\0\x20AIFFCOMM", "aiff", "audio/aiff"),
    (b"RIFF\x20\0\0\0AVI LIST", "avi", "video/x-msvideo"),
    (b"FLV\x01\5\0\0\0\x09", "flv", "video/x-flv"),
    (b"\0\0\x01\xba\x44", "mpeg", "video/mpeg"),
    (b"ID3\x04\0\0\0\0\x0f\x76" + bytes(20), "mp3", "audio/mpeg"),
    (MP3_FRAME * 3, "mp3", "audio/mpeg"),
    (ADTS_FRAME * 3, "aac", "audio/aac"),
    (b"#!AMR\n<", "amr", "audio/amr"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "webm", "video/webm"),
    (b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska", "matroska", "video/x-matroska"),
    (zipped(), "zip", "application/zip"),
    (gzip.compress(b"a"), "gzip", "application/gzip"),
    (sound(), "wav", "audio/wav"),
    (b"<!DOCTYPE html><p>", "html", "text/html"),
    (b'\xef\xbb\xbf<?xml version="1.0"?><a/>', "xml", "text/xml"),
    (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "svg", "image/svg+xml"),
    (b"hello\r\n", "text", "text/plain"),
    ("안녕하세요".encode(), "text", "text/plain"),
    ("안녕하세요".encode()[:-1], "text", "text/plain"),
    ("hello".encode("utf-16"), "text", "text/plain"),
]


@pytest.mark.parametrize(("head", "form", "mime"), KNOWN, ids=[f"{form}-{number}" for number, (_, form, _) in enumerate(KNOWN)])
def test_a_known_file_is_named_by_its_first_bytes(head: bytes, form: str, mime: str) -> None:
    assert sniff(head) == (form, mime)
    assert sniff(head[:HEAD_BYTES]) == (form, mime)


@pytest.mark.parametrize(
    "text",
    [
        "BMW sells cars, and a good many of them",
        "ID3 is a tag",
        "ÿû or not",
        "RIFF raff",
        "GIF8",
        "OggS",
        "PK",
        "ftyp",
        "0000moov and so on",
        "\tabcmdat",
        "FORM a line",
        "FLV is a format",
    ],
)
def test_text_that_begins_like_a_signature_is_text(text: str) -> None:
    assert sniff(text.encode()) == ("text", "text/plain")


@pytest.mark.parametrize(
    "head", [b"", bytes(100), b"\xff\xfb\x90\x64" + bytes(600), b"BM" + bytes(40), b"\0\0\x01\0" + bytes(30), b"\xff\xd8"]
)
def test_what_is_not_known_is_unknown(head: bytes) -> None:
    assert sniff(head) == UNKNOWN


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(head: bytes) -> None:
    form, mime = sniff(head)
    assert form and "/" in mime


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1))
def test_text_is_never_taken_for_a_binary_format(text: str) -> None:
    assert sniff(text.encode())[0] in {"text", "html", "svg", "xml", "pdf", "gif"}
