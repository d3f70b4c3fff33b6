"""What kind of file begins with these bytes: our own table of signatures. Not a validator, and never guided by a name or a declared mime.

Signatures of two bytes (BMP, MP3 and AAC frames) or of zeros (ICO) are confirmed by a second field, so that no text passes for them.
"""

import codecs
import re
import struct
from collections.abc import Callable

HEAD_BYTES = 4096
"""How many bytes from the start of a file `sniff` makes use of."""

UNKNOWN = ("unknown", "application/octet-stream")
TEXT = ("text", "text/plain")

PREFIXES: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\xd8\xff", "jpeg", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png", "image/png"),
    (b"GIF87a", "gif", "image/gif"),
    (b"GIF89a", "gif", "image/gif"),
    (b"II*\0", "tiff", "image/tiff"),
    (b"MM\0*", "tiff", "image/tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2", "image/jp2"),
    (b"\xff\x4f\xff\x51", "jp2", "image/jp2"),
    (b"8BPS\0\x01", "psd", "image/vnd.adobe.photoshop"),
    (b"%PDF-", "pdf", "application/pdf"),
    (b"PK\x03\x04", "zip", "application/zip"),
    (b"PK\x05\x06", "zip", "application/zip"),
    (b"\x1f\x8b\x08", "gzip", "application/gzip"),
    (b"#!AMR\n", "amr", "audio/amr"),
    (b"#!AMR-WB\n", "amr", "audio/amr-wb"),
    (b"fLaC\0", "flac", "audio/flac"),
    (b"fLaC\x80", "flac", "audio/flac"),
    (b"caff\0\1\0\0", "caf", "audio/x-caf"),
    (b"FLV\x01", "flv", "video/x-flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "asf", "video/x-ms-asf"),
    (b"\0\0\x01\xba", "mpeg", "video/mpeg"),
    (b"\0\0\x01\xb3", "mpeg", "video/mpeg"),
)

RIFF = {b"WEBP": ("webp", "image/webp"), b"WAVE": ("wav", "audio/wav"), b"AVI ": ("avi", "video/x-msvideo")}
FORM = {b"AIFF": ("aiff", "audio/aiff"), b"AIFC": ("aiff", "audio/aiff")}

BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), ("heif", "image/heic")),
    **dict.fromkeys((b"mif1", b"msf1"), ("heif", "image/heif")),
    **dict.fromkeys((b"avif", b"avis"), ("avif", "image/avif")),
    b"qt  ": ("quicktime", "video/quicktime"),
    b"M4A ": ("mp4", "audio/mp4"),
    b"M4B ": ("mp4", "audio/mp4"),
    b"M4P ": ("mp4", "audio/mp4"),
    b"F4A ": ("mp4", "audio/mp4"),
}
BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
"""With one of these a QuickTime film begins that is older than the brands."""

BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
MP3_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MP3_HERTZ = (44100, 48000, 32000)

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""Characters no text file holds; tab, line ends, form feed and escape are allowed."""


def sniff(head: bytes) -> tuple[str, str]:
    """Name the format and the mime of a file by its first bytes (`HEAD_BYTES` are enough, fewer will do when the file is shorter)."""
    for prefix, name, mime in PREFIXES:
        if head.startswith(prefix):
            return name, mime
    for test in TESTS:
        if found := test(head):
            return found
    return _text(head) or UNKNOWN


def _riff(head: bytes) -> tuple[str, str] | None:
    return {b"RIFF": RIFF, b"FORM": FORM}.get(head[:4], {}).get(head[8:12])


def _ftyp(head: bytes) -> tuple[str, str] | None:
    """ISO media: the major brand decides, but "mif1" says only "some picture" and leaves it to the compatible brands."""
    if head[4:8] != b"ftyp" or len(head) < 16:
        return None
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major, others = head[8:12], [head[at : at + 4] for at in range(16, size - 3, 4)]
    if major in (b"mif1", b"msf1"):
        return next((BRANDS[brand] for brand in others if BRANDS.get(brand, BRANDS[major]) != BRANDS[major]), BRANDS[major])
    if major[:3] in (b"3gp", b"3g2"):
        return "3gp", "video/3gpp"
    return BRANDS.get(major, ("mp4", "video/mp4"))


def _quicktime(head: bytes) -> tuple[str, str] | None:
    """A box no larger than an upload, so that its first byte is none that a text has."""
    plausible = head[4:8] in BOXES and head[0] <= 6 and len(head) >= 16
    return ("quicktime", "video/quicktime") if plausible else None


def _matroska(head: bytes) -> tuple[str, str] | None:
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return None
    return ("webm", "video/webm") if b"webm" in head[:64] else ("matroska", "video/x-matroska")


def _ogg(head: bytes) -> tuple[str, str] | None:
    """The first page tells the codec of the first stream, which lies behind a table of segments."""
    if head[:5] != b"OggS\0" or len(head) < 28:
        return None
    first = head[27 + head[26] :][:8]
    if first == b"OpusHead" or first[1:7] == b"vorbis" or first == b"Speex   " or first[:5] == b"\x7fFLAC":
        return "ogg", "audio/ogg"
    return "ogg", "video/ogg" if first[1:7] == b"theora" else "application/ogg"


def _bmp(head: bytes) -> tuple[str, str] | None:
    if head[:2] != b"BM" or len(head) < 26 or head[6:10] != bytes(4):
        return None
    return ("bmp", "image/bmp") if int.from_bytes(head[14:18], "little") in BMP_HEADERS else None


def _ico(head: bytes) -> tuple[str, str] | None:
    """An icon's first picture lies behind its directory, whose reserved byte is zero."""
    if head[:4] != b"\0\0\x01\0" or len(head) < 22:
        return None
    count, offset = int.from_bytes(head[4:6], "little"), int.from_bytes(head[18:22], "little")
    return ("ico", "image/x-icon") if count and head[9] == 0 and offset >= 6 + 16 * count else None


def _mp3(head: bytes) -> tuple[str, str] | None:
    """Two frames of MPEG layer III one behind the other."""
    length = _mp3_frame(head)
    return ("mp3", "audio/mpeg") if length and _mp3_frame(head[length : length + 4]) else None


def _id3(head: bytes) -> tuple[str, str] | None:
    """A tag, in front of what it is a tag of; where that lies beyond the head, of an MP3."""
    if head[:3] != b"ID3" or len(head) < 10 or head[3] not in (2, 3, 4) or max(head[6:10]) >= 0x80:
        return None
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    behind = head[10 + size + 10 * bool(head[5] & 0x10) :]
    return _aac(behind) or (("flac", "audio/flac") if behind[:4] == b"fLaC" else ("mp3", "audio/mpeg"))


def _mp3_frame(head: bytes) -> int:
    """The length in bytes of the layer III frame that begins here; 0 when none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    hertz = MP3_HERTZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kbits, per_frame = (MP3_KBITS_1[bitrate], 144_000) if version == 3 else (MP3_KBITS_2[bitrate], 72_000)
    return per_frame * kbits // hertz + (head[2] >> 1 & 1)


def _aac(head: bytes) -> tuple[str, str] | None:
    """Two ADTS frames one behind the other."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    length = (struct.unpack(">I", head[3:7])[0] >> 13) & 0x1FFF
    follows = head[length : length + 2]
    return ("aac", "audio/aac") if length >= 7 and len(follows) == 2 and follows[0] == 0xFF and follows[1] & 0xF6 == 0xF0 else None


TESTS: tuple[Callable[[bytes], tuple[str, str] | None], ...] = (_riff, _ftyp, _quicktime, _matroska, _ogg, _bmp, _ico, _id3, _mp3, _aac)


def _text(head: bytes) -> tuple[str, str] | None:
    """Plain text and the markup that begins like it; a character cut at the end of the head does no harm."""
    if not head:
        return None
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    if CONTROLS.search(text):
        return None
    return _markup(text.lstrip().lower()) or TEXT


def _markup(text: str) -> tuple[str, str] | None:
    if text.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "html", "text/html"
    if text.startswith("<svg") or (text.startswith("<?xml") and "<svg" in text):
        return "svg", "image/svg+xml"
    return ("xml", "text/xml") if text.startswith("<?xml") else None
