"""What a media retry says, sealed with a key that comes from the media key (docs/reference/sandbox-wire.md, 4).

Two protobuf messages of one to four fields in AES-256-GCM. Not who is asked, nor what is done about it: bytes in, values out.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

INFO = b"WhatsApp Media Retry Notification"
IV_BYTES, TAG_BYTES = 12, 16
MOST = 4096
"""Bytes of a sealed message: an honest one has less than 300."""
STANZA_ID, DIRECT_PATH, RESULT = 1, 2, 3
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class Result(IntEnum):
    """How a retry went. A result that is not there, or that nobody knows, reads as GENERAL_ERROR."""

    GENERAL_ERROR = 0
    SUCCESS = 1
    NOT_FOUND = 2
    DECRYPTION_ERROR = 3


class Unreadable(Exception):
    """It does not open with this key for this message, or what it holds is damaged; the text says which and holds no secret."""


@dataclass(frozen=True)
class Sealed:
    """`enc_p`: ciphertext and its tag of 16 bytes; `enc_iv`: 12 bytes."""

    enc_p: bytes
    enc_iv: bytes


@dataclass(frozen=True)
class Answer:
    """`direct_path`: where the blob lies now, with SUCCESS only."""

    result: Result
    direct_path: str | None = None


def seal_request(media_key: bytes, message: str, iv: bytes | None = None) -> Sealed:
    """ServerErrorReceipt: the media of this message cannot be had any more. `iv`: random unless given."""
    return _seal(media_key, message, _text(STANZA_ID, message), iv)


def open_request(media_key: bytes, message: str, sealed: Sealed) -> None:
    """Check that it asks for this message and comes from somebody who has its media key. Raises `Unreadable`."""
    _same(_read(_open(media_key, message, sealed)).get(STANZA_ID), message)


def seal_answer(media_key: bytes, message: str, answer: Answer, iv: bytes | None = None) -> Sealed:
    """MediaRetryNotification."""
    fields = _text(STANZA_ID, message)
    if answer.direct_path is not None:
        fields += _text(DIRECT_PATH, answer.direct_path)
    if answer.result:
        fields += _varint(RESULT << 3 | VARINT) + _varint(answer.result)
    return _seal(media_key, message, fields, iv)


def open_answer(media_key: bytes, message: str, sealed: Sealed) -> Answer:
    """What is said about this message's media. Raises `Unreadable`, also for a success without an address."""
    fields = _read(_open(media_key, message, sealed))
    _same(fields.get(STANZA_ID), message)
    given, path = fields.get(RESULT, 0), fields.get(DIRECT_PATH)
    result = Result(given) if isinstance(given, int) and given in set(Result) else Result.GENERAL_ERROR
    if result is not Result.SUCCESS:
        return Answer(result)
    if not isinstance(path, bytes) or not path:
        raise Unreadable("the answer tells of success and names no address")
    try:
        return Answer(result, path.decode())
    except UnicodeDecodeError:
        raise Unreadable("the address in the answer is no text") from None


def _gcm(media_key: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO).derive(media_key))


def _seal(media_key: bytes, message: str, fields: bytes, iv: bytes | None) -> Sealed:
    iv = os.urandom(IV_BYTES) if iv is None else iv
    return Sealed(_gcm(media_key).encrypt(iv, fields, message.encode()), iv)


def _open(media_key: bytes, message: str, sealed: Sealed) -> bytes:
    if len(sealed.enc_iv) != IV_BYTES or not TAG_BYTES <= len(sealed.enc_p) <= MOST:
        raise Unreadable(f"it has {len(sealed.enc_p)} bytes and an iv of {len(sealed.enc_iv)}, which no retry has")
    try:
        return _gcm(media_key).decrypt(sealed.enc_iv, sealed.enc_p, message.encode())
    except InvalidTag:
        raise Unreadable("it was not sealed with this message's media key, or for another message") from None


def _same(stanza_id: int | bytes | None, message: str) -> None:
    if stanza_id != message.encode():
        raise Unreadable("it names another message inside")


def _text(field: int, text: str) -> bytes:
    data = text.encode()
    return _varint(field << 3 | LENGTH) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read(data: bytes) -> dict[int, int | bytes]:
    """The fields by number; of one that comes twice, the last. One of another wire type than ours counts as unknown."""
    return {field: value for field, wire_type, value in _fields(data) if wire_type == (VARINT if field == RESULT else LENGTH)}


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        field, wire_type = tag >> 3, tag & 7
        value: int | bytes
        if field == 0:
            raise Unreadable("it holds a field without a number")
        if wire_type == VARINT:
            value, at = _read_varint(data, at)
        else:
            size, at = _size(data, at, wire_type)
            value, at = data[at : at + size], at + size
        if at > len(data):
            raise Unreadable("it is cut short inside")
        yield field, wire_type, value


def _size(data: bytes, at: int, wire_type: int) -> tuple[int, int]:
    """How many bytes the field has, and where they begin."""
    if wire_type == LENGTH:
        return _read_varint(data, at)
    if wire_type not in (FIXED64, FIXED32):
        raise Unreadable(f"it holds a field of wire type {wire_type}")
    return 8 if wire_type == FIXED64 else 4, at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for count, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number, at + count + 1
    raise Unreadable("a number inside is cut short or too long")
