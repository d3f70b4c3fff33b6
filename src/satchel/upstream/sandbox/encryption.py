"""The encrypted blob: a pure function of plain bytes, media key and media type (docs/reference/media-encryption.md).

Large files are encrypted here and hashed beside, in a second thread: both let the other run. One file at a time does so; while it does,
others go through in one thread each, which keeps two processors just as busy.
"""

import hashlib
import hmac
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import BinaryIO, Protocol

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


class Readable(Protocol):
    """What is read from: a raw or buffered binary file."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the beginning of the buffer; how many bytes, 0 at the end."""


def encrypt(source: Readable, into: BinaryIO, media_type: str, media_key: bytes, size: int = 0, known: Sealed | None = None) -> Sealed:
    """Write the encrypted blob of `source` to `into`, block by block; nothing is held whole. `size`: about how many bytes come.

    `known`: what an earlier encryption under this key found, which holds again if the plain bytes are the same; else look at their hash.
    """
    iv, cipher_key, mac_key = keys(media_key, media_type)
    encryptor: CipherContext = Cipher(AES(cipher_key), CBC(iv)).encryptor()
    sums = _Sums(iv, mac_key, media_type in STREAMED) if known is None else _KnownSums(iv, mac_key, known)
    with _hashing(sums, size) as (free, hashed):
        is_last = False
        while not is_last:
            block = free.get()
            is_last = block.fill(source)
            block.seal(encryptor)
            _write(into, block.sealed)
            hashed(block)
    tail = sums.close()
    _write(into, tail)
    return sums.sealed()


class _Block:
    """Memory for a block and what it becomes, used again and again: fresh memory of this size costs as much as a third of the cipher."""

    def __init__(self) -> None:
        self._in, self._out = memoryview(bytearray(BLOCK + 16)), memoryview(bytearray(BLOCK + 32))
        self.plain = self._padded = self._in[:0]
        self.sealed = self._out[:0]

    def fill(self, source: Readable) -> bool:
        """Read until it is full or the source is at its end, whose block carries the PKCS#7 padding; whether it was the last."""
        count = 0
        while count < BLOCK and (got := source.readinto(self._in[count:BLOCK])):
            count += got
        pad = 0 if count == BLOCK else 16 - count % 16
        self._in[count : count + pad] = bytes([pad]) * pad
        self.plain, self._padded = self._in[:count], self._in[: count + pad]
        return count < BLOCK

    def seal(self, encryptor: CipherContext) -> None:
        self.sealed = self._out[: encryptor.update_into(self._padded, self._out)]


_Free = SimpleQueue[_Block]
_spare: deque[_Block] = deque(maxlen=2 * AHEAD)
"""Whose memory is kept for the next file."""


class _Sums:
    """Everything that is hashed of a file on its way."""

    def __init__(self, iv: bytes, mac_key: bytes, streamed: bool) -> None:
        self._plain, self._blob, self._length = hashlib.sha256(), hashlib.sha256(), 0
        self._mac = hmac.new(mac_key, iv, hashlib.sha256)
        self._sidecar = Sidecar(mac_key, iv) if streamed else None

    def take(self, block: _Block) -> None:
        self._plain.update(block.plain)
        self._length += len(block.plain)
        self._mac.update(block.sealed)
        self._blob.update(block.sealed)
        if self._sidecar is not None:
            self._sidecar.update(block.sealed)

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


class _KnownSums(_Sums):
    """Half of the hashing: the blob's own hash and its sidecar are known, and follow from key and plain bytes, whose hash is taken."""

    def __init__(self, iv: bytes, mac_key: bytes, known: Sealed) -> None:
        super().__init__(iv, mac_key, streamed=False)
        self._known = known

    def take(self, block: _Block) -> None:
        self._plain.update(block.plain)
        self._length += len(block.plain)
        self._mac.update(block.sealed)

    def sealed(self) -> Sealed:
        return replace(self._known, file_sha256=self._plain.digest(), file_length=self._length)


@contextmanager
def _hashing(sums: _Sums, size: int) -> Iterator[tuple[_Free, Callable[[_Block], None]]]:
    """Where free blocks are, and what takes full ones: at once, or in a thread beside, which has taken all when this ends."""
    beside = size > SMALL and _beside.acquire(blocking=False)
    with _lent(AHEAD if beside else 1) as free:
        if not beside:
            yield free, lambda block: _take(sums, block, free)
            return
        try:
            with _Beside(sums, free) as hashing:
                yield free, hashing.take
        finally:
            _beside.release()


@contextmanager
def _lent(count: int) -> Iterator[_Free]:
    """So many blocks, of those that earlier files left where there are some."""
    free, blocks = _Free(), [_block() for _ in range(count)]
    for block in blocks:
        free.put(block)
    try:
        yield free
    finally:
        _spare.extend(blocks)


def _block() -> _Block:
    try:
        return _spare.pop()
    except IndexError:
        return _Block()


class _Beside:
    """Hashes in a thread of its own. It may be behind by as many blocks as there are."""

    def __init__(self, sums: _Sums, free: _Free) -> None:
        self._sums, self._free = sums, free
        self._blocks: SimpleQueue[_Block | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hashing", daemon=True)
        self.take = self._blocks.put

    def __enter__(self) -> "_Beside":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            _take(self._sums, block, self._free)


def _take(sums: _Sums, block: _Block, free: _Free) -> None:
    sums.take(block)
    free.put(block)


def _write(into: BinaryIO, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[into.write(view) :]
