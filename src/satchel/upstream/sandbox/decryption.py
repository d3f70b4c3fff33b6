"""Opening an encrypted blob block by block (docs/reference/media-encryption.md). What comes out is good only after `finish`.

The blob's own hash, the MAC and the hash of the plain bytes are taken on the way, so nothing is read twice and nothing is held whole.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from satchel.domain.limits import encrypted_size
from satchel.upstream.sandbox.encryption import keys
from satchel.upstream.sandbox.incoming import Source
from satchel.upstream.sandbox.sidecar import MAC_BYTES

AES_BLOCK = 16


class Damaged(Exception):
    """A check failed; the text says which, and holds no secret."""


class Opening:
    """`take` each block of the blob in order, then `finish`. Blocks: call it from a thread."""

    def __init__(self, source: Source) -> None:
        iv, cipher_key, mac_key = keys(source.media_key, source.type)
        self._source = source
        self._size = encrypted_size(source.file_length)
        self._cipher = Cipher(AES(cipher_key), CBC(iv)).decryptor()
        self._mac = hmac.new(mac_key, iv, hashlib.sha256)
        self._blob, self._plain = hashlib.sha256(), hashlib.sha256()
        self._came = self._told = 0
        self._tail = b""

    def take(self, block: bytes) -> bytes:
        """The plain bytes that can be told by now; the last AES block and the MAC are held back."""
        self._came += len(block)
        if self._came > self._size:
            raise Damaged(f"the encrypted blob has more bytes than the {self._size} that its message says")
        self._blob.update(block)
        held = self._tail + block
        ready = max(0, len(held) - AES_BLOCK - MAC_BYTES) // AES_BLOCK * AES_BLOCK
        self._tail = held[ready:]
        if not ready:
            return b""
        sealed = memoryview(held)[:ready]
        self._mac.update(sealed)
        return self._out(self._cipher.update(sealed))

    def finish(self) -> bytes:
        """The rest, once every check has passed. Raises `Damaged`."""
        if self._came < self._size:
            raise Damaged(f"the encrypted blob was cut short: {self._came} of {self._size} bytes came")
        if self._blob.digest() != self._source.file_enc_sha256:
            raise Damaged("the SHA-256 of the encrypted blob is not file_enc_sha256")
        last, mac = self._tail[:-MAC_BYTES], self._tail[-MAC_BYTES:]
        self._mac.update(last)
        if not hmac.compare_digest(self._mac.digest()[:MAC_BYTES], mac):
            raise Damaged("the MAC of the encrypted blob does not fit its key and type")
        plain = self._out(_unpadded(self._cipher.update(last) + self._cipher.finalize()))
        if self._told != self._source.file_length:
            raise Damaged(f"the plain bytes are {self._told}, file_length says {self._source.file_length}")
        if self._plain.digest() != self._source.file_sha256:
            raise Damaged("the SHA-256 of the plain bytes is not file_sha256")
        return plain

    def _out(self, plain: bytes) -> bytes:
        self._told += len(plain)
        self._plain.update(plain)
        return plain


def _unpadded(last: bytes) -> bytes:
    """Without PKCS #7 padding. It has passed the MAC, so whoever made it wrong had the key: nothing can be learnt by asking."""
    count = last[-1]
    if not 1 <= count <= AES_BLOCK or last[-count:] != bytes([count]) * count:
        raise Damaged("the padding of the plain bytes is wrong")
    return last[:-count]
