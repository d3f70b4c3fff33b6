"""Sealing and opening what a media retry says (docs/reference/sandbox-wire.md, 4): a phone asks its sender for media that are over.

Only phones do this. The media server passes it on as it is and could not open it: the key comes from the media key.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

Result = Literal["GENERAL_ERROR", "SUCCESS", "NOT_FOUND", "DECRYPTION_ERROR"]
RESULTS: tuple[Result, ...] = get_args(Result)  # in the order of their numbers, from 0

_IV, _TAG, _MOST = 12, 16, 4096  # bytes
_INFO = b"WhatsApp Media Retry Notification"


class Sealing(Exception):
    """What came cannot be opened, or is not what it should be; the text says why."""


@dataclass(frozen=True)
class Parcel:
    """Ciphertext with its tag, and its iv."""

    enc_p: bytes
    enc_iv: bytes


@dataclass(frozen=True)
class Answer:
    """`direct_path`: the new address, with SUCCESS only."""

    result: Result
    direct_path: str | None = None


def seal_request(media_key: bytes, message: str, iv: bytes | None = None) -> Parcel:
    """ServerErrorReceipt."""
    return _seal(media_key, message, _field(1, message), iv)


def open_request(media_key: bytes, message: str, parcel: Parcel) -> None:
    """Raises Sealing unless it asks for this message and was made with its media key."""
    _Fields(_open(media_key, message, parcel)).is_about(message)


def seal_answer(media_key: bytes, message: str, answer: Answer, iv: bytes | None = None) -> Parcel:
    """MediaRetryNotification."""
    body = _field(1, message)
    if answer.direct_path is not None:
        body += _field(2, answer.direct_path)
    if number := RESULTS.index(answer.result):
        body += bytes([3 << 3, number])
    return _seal(media_key, message, body, iv)


def open_answer(media_key: bytes, message: str, parcel: Parcel) -> Answer:
    """Raises Sealing, also for a success without an address. No result, or one that nobody knows, is a general error."""
    fields = _Fields(_open(media_key, message, parcel))
    fields.is_about(message)
    number = fields.numbers.get(3, 0)
    if number != 1:
        return Answer(RESULTS[number] if number < len(RESULTS) else "GENERAL_ERROR")
    try:
        path = fields.texts.get(2, b"").decode()
    except UnicodeDecodeError:
        path = ""
    if not path:
        raise Sealing("the answer names no new address")
    return Answer("SUCCESS", path)


def _key(media_key: bytes) -> bytes:
    """HKDF-SHA256 without salt; 32 bytes are one round of it."""
    return hmac.digest(hmac.digest(bytes(32), media_key, "sha256"), _INFO + b"\x01", "sha256")


def _seal(media_key: bytes, message: str, body: bytes, iv: bytes | None) -> Parcel:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # late: the first retry pays, not the start-up

    iv = secrets.token_bytes(_IV) if iv is None else iv
    return Parcel(AESGCM(_key(media_key)).encrypt(iv, body, message.encode()), iv)


def _open(media_key: bytes, message: str, parcel: Parcel) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(parcel.enc_iv) != _IV:
        raise Sealing(f"the iv has {len(parcel.enc_iv)} bytes instead of {_IV}")
    if not _TAG <= len(parcel.enc_p) <= _MOST:
        raise Sealing(f"the ciphertext has {len(parcel.enc_p)} bytes")
    try:
        return AESGCM(_key(media_key)).decrypt(parcel.enc_iv, parcel.enc_p, message.encode())
    except InvalidTag:
        raise Sealing("it was sealed with another media key or for another message") from None


def _field(number: int, text: str) -> bytes:
    data = text.encode()
    size, length = bytearray(), len(data)
    while length >= 128:
        size.append(length % 128 + 128)
        length //= 128
    return bytes([number << 3 | 2, *size, length]) + data


class _Fields:
    """A protobuf message taken apart: `numbers` are its varints, `texts` its length-delimited fields; the last of a number counts."""

    def __init__(self, data: bytes) -> None:
        self.numbers: dict[int, int] = {}
        self.texts: dict[int, bytes] = {}
        self._data, self._at = data, 0
        while self._at < len(data):
            self._one()

    def is_about(self, message: str) -> None:
        if self.texts.get(1) != message.encode():
            raise Sealing("it names another message inside")

    def _one(self) -> None:
        number, kind = divmod(self._varint(), 8)
        if number == 0 or kind not in (0, 1, 2, 5):
            raise Sealing("it is not made of fields")
        if kind == 0:
            self.numbers[number] = self._varint()
        elif kind == 2:
            self.texts[number] = self._take(self._varint())
        else:
            self._take(8 if kind == 1 else 4)

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise Sealing("it is cut short inside")
        self._at += size
        return taken

    def _varint(self) -> int:
        value = 0
        for place in range(10):
            byte = self._take(1)[0]
            value += (byte % 128) << (7 * place)
            if byte < 128:
                return value
        raise Sealing("a number in it is too long")
