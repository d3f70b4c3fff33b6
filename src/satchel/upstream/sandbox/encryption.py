"""The encrypted blob: a pure function of plain bytes, media key and media type (docs/reference/media-encryption.md).

Large files are encrypted here and hashed beside, in a second thread: both let the other run. One file at a time does so; while it does,
others go through in one thread each, which keeps two processors just as busy.
"""

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from satchel.upstream.sandbox.sidecar import MAC_BYTES, Sidecar

WORDS = {"image": "Image", "sticker": "Image", "video": "Video", "audio": "Audio", "document": "Document"}
STREAMED = frozenset({"audio", "video"})
BLOCK, AHEAD = 256 * 1024, 8
"""Bytes of a block, and how many of them the hashes may be behind."""
SMALL = 1 << 20
"""Bytes up to which a second thread gains nothing."""
_beside = threading.Lock()


@dataclass(frozen=True)
class Sealed:
    """What an encryption found: SHA-256 of the plain bytes and of the whole blob, 32 bytes each, and the plain length.

    `sidecar`: 10 bytes for each 64 KiB of audio and video, None for the rest.
    """

    file_sha256: bytes
    file_enc_sha256: bytes
    file_length: int
    sidecar: bytes | None = None


def keys(media_key: bytes, media_type: str) -> tuple[bytes, bytes, bytes]:
    """IV (16 bytes), cipher key (32) and MAC key (32) of a media key."""
    info = f"WhatsApp {WORDS[media_type]} Keys".encode()
    okm = HKDF(algorithm=SHA256(), length=112, salt=None, info=info).derive(media_key)
    return okm[:16], okm[16:48], okm[48:80]


def encrypt(source: BinaryIO, into: BinaryIO, media_type: str, media_key: bytes, size: int = 0) -> Sealed:
    """Write the encrypted blob of `source` to `into`, block by block; nothing is held whole. `size`: about how many bytes come."""
    iv, cipher_key, mac_key = keys(media_key, media_type)
    encryptor: CipherContext = Cipher(AES(cipher_key), CBC(iv)).encryptor()
    sums = _Sums(iv, mac_key, media_type in STREAMED)
    with _hashing(sums, size) as hashed:
        for block, padded in _padded(source):
            sealed = encryptor.update(padded)
            hashed(block, sealed)
            _write(into, sealed)
    tail = sums.close()
    _write(into, tail)
    return sums.sealed()


class _Sums:
    """Everything that is hashed of a file on its way."""

    def __init__(self, iv: bytes, mac_key: bytes, streamed: bool) -> None:
        self._plain, self._blob, self._length = hashlib.sha256(), hashlib.sha256(), 0
        self._mac = hmac.new(mac_key, iv, hashlib.sha256)
        self._sidecar = Sidecar(mac_key, iv) if streamed else None

    def take(self, block: bytes, sealed: bytes) -> None:
        self._plain.update(block)
        self._length += len(block)
        self._mac.update(sealed)
        self._blob.update(sealed)
        if self._sidecar is not None:
            self._sidecar.update(sealed)

    def close(self) -> bytes:
        """The MAC that ends the blob; call it once, when all has been taken."""
        tail = self._mac.digest()[:MAC_BYTES]
        self._blob.update(tail)
        if self._sidecar is not None:
            self._sidecar.update(tail)
        return tail

    def sealed(self) -> Sealed:
        sidecar = None if self._sidecar is None else self._sidecar.digest()
        return Sealed(self._plain.digest(), self._blob.digest(), self._length, sidecar)


@contextmanager
def _hashing(sums: _Sums, size: int) -> Iterator[Callable[[bytes, bytes], None]]:
    """What takes blocks: at once, or in a thread beside, which has taken all when this ends."""
    if size <= SMALL or not _beside.acquire(blocking=False):
        yield sums.take
        return
    try:
        with _Beside(sums) as beside:
            yield beside.take
    finally:
        _beside.release()


class _Beside:
    """Hashes in a thread of its own, a few blocks behind."""

    def __init__(self, sums: _Sums) -> None:
        self._sums = sums
        self._blocks: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self._room = threading.Semaphore(AHEAD)
        self._thread = threading.Thread(target=self._run, name="hashing", daemon=True)

    def __enter__(self) -> "_Beside":
        self._thread.start()
        return self

    def take(self, block: bytes, sealed: bytes) -> None:
        self._room.acquire()
        self._blocks.put((block, sealed))

    def __exit__(self, *_: object) -> None:
        self._blocks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (pair := self._blocks.get()) is not None:
            self._sums.take(*pair)
            self._room.release()


def _padded(source: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Blocks of the source beside what is encrypted for each: the last one carries the PKCS#7 padding."""
    while len(block := _read(source)) == BLOCK:
        yield block, block
    fill = 16 - len(block) % 16
    yield block, block + bytes([fill]) * fill


def _read(source: BinaryIO) -> bytes:
    """A full block, or what is left."""
    first = source.read(BLOCK)
    if len(first) == BLOCK or not first:
        return first
    parts = [first]
    wanted = BLOCK - len(first)
    while wanted and (part := source.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _write(into: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[into.write(view) :]
