"""The encrypted blob: a pure function of plain bytes, media key and media type (docs/reference/media-encryption.md)."""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

WORDS = {"image": "Image", "sticker": "Image", "video": "Video", "audio": "Audio", "document": "Document"}
BLOCK = 256 * 1024
MAC_BYTES = 10


@dataclass(frozen=True)
class Sealed:
    """What an encryption found: SHA-256 of the plain bytes and of the whole blob, 32 bytes each, and the plain length."""

    file_sha256: bytes
    file_enc_sha256: bytes
    file_length: int


def keys(media_key: bytes, media_type: str) -> tuple[bytes, bytes, bytes]:
    """IV (16 bytes), cipher key (32) and MAC key (32) of a media key."""
    info = f"WhatsApp {WORDS[media_type]} Keys".encode()
    okm = HKDF(algorithm=SHA256(), length=112, salt=None, info=info).derive(media_key)
    return okm[:16], okm[16:48], okm[48:80]


def encrypt(source: BinaryIO, into: BinaryIO, media_type: str, media_key: bytes) -> Sealed:
    """Write the encrypted blob of `source` to `into`, block by block; nothing is held whole."""
    iv, cipher_key, mac_key = keys(media_key, media_type)
    encryptor: CipherContext = Cipher(AES(cipher_key), CBC(iv)).encryptor()
    mac = hmac.new(mac_key, iv, hashlib.sha256)
    plain, blob, length = hashlib.sha256(), hashlib.sha256(), 0
    for block, padded in _padded(source):
        plain.update(block)
        length += len(block)
        sealed = encryptor.update(padded)
        mac.update(sealed)
        blob.update(sealed)
        _write(into, sealed)
    tail = mac.digest()[:MAC_BYTES]
    blob.update(tail)
    _write(into, tail)
    return Sealed(plain.digest(), blob.digest(), length)


def _padded(source: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Blocks of the source beside what is encrypted for each: the last one carries the PKCS#7 padding."""
    while len(block := _read(source)) == BLOCK:
        yield block, block
    fill = 16 - len(block) % 16
    yield block, block + bytes([fill]) * fill


def _read(source: BinaryIO) -> bytes:
    """A full block, or what is left."""
    parts: list[bytes] = []
    wanted = BLOCK
    while wanted and (part := source.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _write(into: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[into.write(view) :]
