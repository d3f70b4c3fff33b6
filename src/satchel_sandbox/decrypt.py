"""Opening an encrypted blob, with the checks a phone makes (docs/reference/media-encryption.md). Blocking: call it from a thread.

It never encrypts, and it publishes nothing before every check has passed.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import BinaryIO

from .envelope import Media, MediaType
from .files import PartFile

_BLOCK = 256 * 1024
MAC_BYTES = 10  # bytes of the HMAC that end the encrypted blob
_WINDOW = 64 * 1024  # bytes that one entry of the streaming sidecar vouches for, and one AES block
_INFO: dict[MediaType, bytes] = {
    "image": b"WhatsApp Image Keys",
    "sticker": b"WhatsApp Image Keys",
    "video": b"WhatsApp Video Keys",
    "audio": b"WhatsApp Audio Keys",
    "document": b"WhatsApp Document Keys",
}


class Damaged(Exception):
    """A check failed; the text says which."""


class Stopped(Exception):
    """The process ends or the world was reset; nothing was kept."""


@dataclass(frozen=True)
class Keys:
    """What a media key expands to: 16, 32 and 32 bytes."""

    iv: bytes
    cipher: bytes
    mac: bytes


def expand(media_key: bytes, media_type: MediaType) -> Keys:
    """HKDF-SHA256 without salt; of its 112 bytes the last 32 are not used here."""
    okm, block = b"", b""
    extracted = hmac.digest(bytes(32), media_key, "sha256")
    for counter in range(1, 5):
        block = hmac.digest(extracted, block + _INFO[media_type] + bytes([counter]), "sha256")
        okm += block
    return Keys(okm[:16], okm[16:48], okm[48:80])


def open_into(source: Path, target: Path, media: Media, durable: bool, stop: Event) -> None:
    """Check `source`, decrypt it and publish the plain bytes as `target`; raises Damaged or Stopped and then publishes nothing."""
    keys = expand(media.media_key, media.type)
    with source.open("rb") as blob:
        size = _verify(blob, source.stat().st_size, keys, media, stop)
        if media.sidecar is not None:
            _verify_sidecar(blob, keys, media.sidecar, stop)
        blob.seek(0)
        part = PartFile(target, durable)
        try:
            _decrypt(_blocks(blob, size, stop), part, keys, media)
            part.publish()
        finally:
            part.discard()


def _verify(blob: BinaryIO, size: int, keys: Keys, media: Media, stop: Event) -> int:
    """Length, SHA-256 and MAC of the encrypted blob, in that order; returns the length of the ciphertext in it."""
    if size <= MAC_BYTES:
        raise Damaged(f"the encrypted blob has {size} bytes, which is too short for its MAC")
    digest, mac = hashlib.sha256(), hmac.new(keys.mac, keys.iv, hashlib.sha256)
    for block in _blocks(blob, size - MAC_BYTES, stop):
        digest.update(block)
        mac.update(block)
    tail = blob.read(MAC_BYTES)
    digest.update(tail)
    if digest.digest() != media.file_enc_sha256:
        raise Damaged("the encrypted blob's SHA-256 is not file_enc_sha256")
    if not hmac.compare_digest(mac.digest()[:MAC_BYTES], tail):
        raise Damaged("the encrypted blob's MAC does not fit the media key and type")
    if (size - MAC_BYTES) % 16:
        raise Damaged("the ciphertext is not made of whole AES blocks")
    return size - MAC_BYTES


def _verify_sidecar(blob: BinaryIO, keys: Keys, sidecar: bytes, stop: Event) -> None:
    """A player checks window by window: each is 64 KiB of IV + blob and the AES block behind them."""
    blob.seek(0)
    window, at = keys.iv + blob.read(_WINDOW), 0
    while window:
        if stop.is_set():
            raise Stopped
        if hmac.digest(keys.mac, window, "sha256")[:MAC_BYTES] != sidecar[at : at + MAC_BYTES]:
            raise Damaged(f"the streaming sidecar does not fit from byte {at // MAC_BYTES * _WINDOW} on")
        window = window[_WINDOW:] + blob.read(_WINDOW) if len(window) > _WINDOW else b""
        at += MAC_BYTES
    if at != len(sidecar):
        raise Damaged(f"the streaming sidecar has {len(sidecar)} bytes, the encrypted blob needs {at}")


def _decrypt(ciphertext: Iterator[bytes], part: PartFile, keys: Keys, media: Media) -> None:
    """Write the plain bytes to `part`; padding, length and SHA-256 are judged at the end."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # late: the first message pays, not the start-up
    from cryptography.hazmat.primitives.padding import PKCS7

    cipher, padding = Cipher(algorithms.AES(keys.cipher), modes.CBC(keys.iv)).decryptor(), PKCS7(128).unpadder()
    digest, length = hashlib.sha256(), 0

    def take(plain: bytes) -> None:
        nonlocal length
        digest.update(plain)
        part.write(plain)
        length += len(plain)

    try:
        for block in ciphertext:
            take(padding.update(cipher.update(block)))
        take(padding.update(cipher.finalize()) + padding.finalize())
    except ValueError:
        raise Damaged("the padding of the decrypted bytes is wrong") from None
    if length != media.file_length:
        raise Damaged(f"the decrypted file has {length} bytes, file_length says {media.file_length}")
    if digest.digest() != media.file_sha256:
        raise Damaged("the decrypted file's SHA-256 is not file_sha256")


def _blocks(file: BinaryIO, size: int, stop: Event) -> Iterator[bytes]:
    """The next `size` bytes of a file, in blocks."""
    while size > 0 and (block := file.read(min(_BLOCK, size))):
        if stop.is_set():
            raise Stopped
        size -= len(block)
        yield block
